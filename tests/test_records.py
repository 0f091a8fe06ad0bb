"""Files of earlier versions stay readable, and what is no such file is refused in one line."""

import json
from pathlib import Path
from typing import Any

import pytest

from kubechain.claims.claim import Link, Outcome
from kubechain.claims.records import ClaimRecord, CollectedClaim, RunRecord, read_run
from kubechain.claims.requirements import OWN_CLUSTER
from kubechain.core.bundle import ROOT
from kubechain.core.errors import SetupError
from kubechain.observe.wait_record import WaitRecord
from tests.fakes import claim_of, record, run_record

# What version 623c5c4 wrote of a run with every outcome.
SCHEMA_1 = ROOT / "tests" / "data" / "run-schema-1.json"


def content(**over: Any) -> dict[str, Any]:
    return {**run_record("PODS", record(Link.PODS, "failed", "x")).as_json(), **over}


def old(**over: Any) -> str:
    return json.dumps({**json.loads(SCHEMA_1.read_text()), **over})


def refused(source: Path | str) -> str:
    with pytest.raises(SetupError) as caught:
        read_run(source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    waits = [WaitRecord(what="objects", condition="ready", seconds=1.25, observations=3, ended_by="timeout")]
    run = run_record("PODS", record(Link.PODS, "failed", "x", waits=waits, measured={"ms": 1.5}, waits_for="SERVICE"))
    (tmp_path / "run.json").write_text(json.dumps(run.as_json()))
    assert read_run(tmp_path / "run.json") == read_run(json.dumps(run.as_json())) == run
    assert run.note == ""


def test_run_of_schema_1_is_read_as_schema_2_with_a_note() -> None:
    run = read_run(SCHEMA_1)
    before = json.loads(SCHEMA_1.read_text())
    assert (run.schema_number, run.note) == (2, "schema 1, read as 2")
    assert {outcome: sum(claim.outcome == outcome for claim in run.claims) for outcome in Outcome} == {
        **dict.fromkeys(Outcome, 0),
        **run.counts,
    }
    assert run.counts[Outcome.INCONCLUSIVE] == before["counts"]["broken"] == 3
    assert [claim.message for claim in run.claims] == [claim["message"] for claim in before["claims"]]
    assert (run.verdict, run.first_broken_link, run.holds) == (before["verdict"], Link.PODS, False)
    assert read_run(json.dumps(run.as_json())).claims == run.claims


def test_names_of_schema_1_are_mapped() -> None:
    claim = {**json.loads(SCHEMA_1.read_text())["claims"][0], "needs": ["kind"]}
    run = read_run(old(claims=[claim], vantage="cluster"))
    assert (run.claims[0].requirements, run.probe_from) == (["kind"], "cluster")


def test_names_in_json_are_camel_case_and_of_schema_2() -> None:
    written = content()
    assert {"schema", "firstBrokenLink", "changeToWaitMs", "peakMiB", "probeFrom"} <= set(written)
    assert {"waitsFor", "requirements"} <= set(written["claims"][0])
    assert not {"vantage", "note"} & set(written)
    assert "needs" not in written["claims"][0]


@pytest.mark.parametrize("text", [SCHEMA_1.read_text()[:-100], "", "no JSON", "[" * 5000, json.dumps(content())[:-1]])
def test_text_that_is_not_json_or_truncated_is_refused(text: str, tmp_path: Path) -> None:
    assert refused(text) == "run.json: not JSON, or truncated"
    (tmp_path / "x.json").write_text(text)
    assert refused(tmp_path / "x.json") == f"{tmp_path / 'x.json'}: not JSON, or truncated"


@pytest.mark.parametrize("text", ["[]", "7", "null", '"text"', "{}"])
def test_json_without_an_object_is_refused(text: str) -> None:
    assert refused(text) == "run.json: not a JSON object with a schema number"


@pytest.mark.parametrize("schema", [0, 3, "2", None, [1], True])
def test_another_schema_is_refused(schema: object) -> None:
    assert refused(json.dumps(content(schema=schema))) == f"run.json: schema {schema}, this version reads 1 and 2"


def test_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "none") == f"{tmp_path / 'none'}: cannot be read: No such file or directory"
    (tmp_path / "bytes").write_bytes(bytes(range(256)))
    assert refused(tmp_path / "bytes") == f"{tmp_path / 'bytes'}: not JSON, or truncated"


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({"holds": None}, "holds: expected a valid boolean"),
        ({"more": 1}, "more: no such field"),
        ({"firstBrokenLink": "NOWHERE"}, "firstBrokenLink: expected"),
        ({"exitCode": 99}, "exitCode: expected"),
        ({"claims": [{"id": "x"}]}, "claims.0.link: is missing"),
    ],
)
def test_wrong_field_is_named(over: dict[str, Any], message: str) -> None:
    assert refused(json.dumps(content(**over))).startswith(f"run.json: {message}")


@pytest.mark.parametrize(("name", "value"), [("claims", "null"), ("claims", '["x"]'), ("counts", "[]"), ("claims", "[{}]")])
def test_schema_1_in_another_form_is_refused(name: str, value: str) -> None:
    assert refused(old(**{name: json.loads(value)})).startswith("run.json: not a run.json of schema 1: ")


def test_schema_1_with_a_wrong_field_is_refused() -> None:
    assert refused(old(holds="perhaps")).startswith("run.json: holds: expected")


def test_ended_claim_keeps_its_metadata() -> None:
    entry = CollectedClaim.of(claim_of(Link.DNS, requirements=(OWN_CLUSTER,), after=(Link.PODS,)), "suites/x.py::test_x")
    ended = entry.ended(Outcome.PASSED, None)
    assert isinstance(ended, ClaimRecord)
    assert CollectedClaim(**{name: getattr(ended, name) for name in CollectedClaim.model_fields}) == entry
    assert CollectedClaim.model_validate(entry.as_json()) == entry
    assert (entry.requirements, entry.after) == (["kind"], [Link.PODS])


def test_numbers_are_rounded_in_json_only() -> None:
    wait = WaitRecord(what="x", condition="y", seconds=0.123456)
    assert (wait.seconds, wait.as_json()["seconds"]) == (0.123456, 0.1235)
    claim = record(Link.PODS, "passed", seconds=1.23456, measured={"a": 0.00049})
    assert (claim.as_json()["seconds"], claim.as_json()["measured"]) == (1.235, {"a": 0.0})


def test_record_of_a_run_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        run_record(None).verdict = "other"  # pyright: ignore[reportAttributeAccessIssue]
    assert RunRecord.model_config.get("extra") == "forbid"
