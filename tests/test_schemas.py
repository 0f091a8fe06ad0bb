"""The JSON files match the published JSON Schemas."""

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kubechain.claims.claim import Link
from kubechain.claims.verdict import verdict_of
from kubechain.core.progress import Progress, Step
from kubechain.core.run import Run
from kubechain.core.settings import load
from kubechain.faults.fault import Fault
from kubechain.faults.injections import frozen
from kubechain.faults.records import Comparison, FaultSeconds
from kubechain.faults.scoring import score
from kubechain.observe.wait_record import WaitRecord
from kubechain.probes.load import Sample, Tally
from kubechain.pytest.results import RunResult
from kubechain.upgrade.model import Route, RouteSamples, UpgradeEvent, UpgradeRecord, Versions
from kubechain.upgrade.snapshot import Snapshot
from reports import fault_matrix, run_json, schemas, upgrade_json
from tests.fakes import deployment, record, run_record
from tests.json_schema import FOLDER, problems, published

WAIT = WaitRecord(what="objects", condition="2 Pods ready", seconds=1.5, observations=3, ended_by="change 7")
CLUSTER = {"name": "c", "context": "kind-c", "uid": "u", "owned": True, "versions": {"server": "v1.37.2"}}
MEASURED = {
    "probeFrom": "host",
    "images": {"nginxImage": "sha256:0a1b"},
    "changeToWaitMs": [1.0, 2.0],
    "timeline": [{"what": "Pod ready", "seconds": 1.2}],
}
FAULT = Fault("pods", "node", "Pods do not start", Link.PODS, frozen("x"), ("CHAIN-PODS-010",), "PodScheduled")
HARMLESS = Fault("harmless", "harmless", "nothing", None, frozen("x"))


def run(folder: Path) -> Any:  # noqa: ARG001
    claims = [
        record(Link.PODS, "passed", waits=[WAIT], measured={"ms": 1.5}),
        record(Link.DNS, "blocked", "blocked by ENDPOINTS: none", waits_for="ENDPOINTS"),
        record(Link.API, "inconclusive", "unreachable"),
    ]
    made = Run("0a1b2c3d", Path("x"), datetime(2026, 1, 2, tzinfo=UTC))
    progress = Progress(steps=[Step("engine", 1.234, ["running"])])
    result = RunResult(made, load(), progress, verdict_of(claims, 3.21), claims, 3.2, CLUSTER, [MEASURED])
    return run_json.reported(run_json.document(result), result, "x").as_json()


def run_that_did_not_begin(folder: Path) -> Any:  # noqa: ARG001
    made = Run("0a1b2c3d", Path("x"), datetime(2026, 1, 2, tzinfo=UTC))
    verdict = verdict_of([], 0.0, trouble="no engine")
    return run_json.document(RunResult(made, load(), Progress(), verdict, [], 0.0, {}, [])).as_json()


def upgrade(folder: Path) -> Any:  # noqa: ARG001
    samples = (Sample(0.0, 0.0, "down", "refused"), Sample(1.0, 1.0, "up"), Sample(2.0, 2.0, "unknown"))
    routes = (RouteSamples(Route("DNS", "", "node", reuse=True), Tally("", samples)),)
    events = (UpgradeEvent(1.0, "step", "kubeadm"),)
    versions = (Versions(0.0, "v1.36.3", {"cp": "v1.36.3"}, {"cp": ""}),)
    seen = UpgradeRecord(
        ("1.36.3", "1.37.2"), 0.0, 2.0, routes, events, versions, 1, 0, 1, upgraded_by_this_run=True, drained=("a",)
    )
    return upgrade_json.document(seen, "chain holds").as_json()


def faults(folder: Path) -> Any:  # noqa: ARG001
    broken = run_record("PODS", record(Link.PODS, "failed", "PodScheduled is False"))
    compared = Comparison(outcomes={"DNS, services": "timeout"}, seconds=7.0)
    killed = score(FAULT, broken, FaultSeconds(inject=1.0, verdict=12.0, heal=3.0), compared)
    green = score(HARMLESS, run_record(None, code=0), FaultSeconds())
    return fault_matrix.document([killed, green], "faults: 1 of 1").as_json()


def no_faults(folder: Path) -> Any:  # noqa: ARG001
    return fault_matrix.document([], "faults: 0 of 0").as_json()


def snapshot(folder: Path) -> Any:
    made = Snapshot(
        run="ab12",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        cluster_uid="uid-1",
        server="v1.36.3",
        namespace="x",
        nodes={"node": "v1.36.3"},
        objects=[deployment().body],
        apis={"Pod": "/api/v1/namespaces/x/pods"},
        configuration={},
        deprecated=None,
        warnings=["old"],
        verdict="",
    )
    made.write(folder / "snapshot.json")
    return json.loads((folder / "snapshot.json").read_text())


WRITERS: list[tuple[str, Callable[[Path], Any]]] = [
    ("run", run),
    ("run", run_that_did_not_begin),
    ("upgrade", upgrade),
    ("faults", faults),
    ("faults", no_faults),
    ("snapshot", snapshot),
]


@pytest.mark.parametrize(("name", "write"), WRITERS)
def test_written_file_matches_its_schema(name: str, write: Callable[[Path], Any], tmp_path: Path) -> None:
    assert problems(json.loads(json.dumps(write(tmp_path))), name) == []


@pytest.mark.parametrize(("name", "write"), WRITERS)
def test_schema_refuses_additional_and_missing_fields(name: str, write: Callable[[Path], Any], tmp_path: Path) -> None:
    made = write(tmp_path)
    assert problems({**made, "more": 1}, name) == ["$.more: not in the schema"]
    for field in made:
        rest = {other: value for other, value in made.items() if other != field}
        assert problems(rest, name) == [f"$.{field}: missing"]
        assert problems({**made, field: object()}, name)


def test_schema_describes_nested_records(tmp_path: Path) -> None:
    for write, name, *path in ((run, "run", "claims", 0, "waits", 0), (upgrade, "upgrade", "routes", 0, "outages", 0)):
        made = copy.deepcopy(write(tmp_path))
        for length in range(2, len(path) + 1, 2):
            part: Any = made
            for step in path[:length]:
                part = part[step]
            part["more"] = 1
        assert len(problems(made, name)) == len(path) // 2


def test_exactly_the_schemas_of_the_records_are_published() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(schemas.SCHEMAS)


@pytest.mark.parametrize("name", list(schemas.SCHEMAS))
def test_published_schema_is_generated_and_its_layout_is_stable(name: str) -> None:
    text = (FOLDER / f"{name}.json").read_text()
    assert text == schemas.document(schemas.SCHEMAS[name])
    found = published(name)
    assert text == json.dumps(found, indent=2, sort_keys=True) + "\n"
    assert found["$schema"].startswith("https://json-schema.org/")
    assert found["title"]
    assert found["description"]
