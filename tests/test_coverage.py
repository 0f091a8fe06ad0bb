"""docs/COVERAGE.md, from coverage.toml and the claims."""

from pathlib import Path

import pytest

from kubechain.claims.claim import Claim, Link
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, SetupError
from reports import catalogue, coverage
from reports.coverage import Coverage, Row

KNOWN = frozenset({"DNS, services", "Pods, QOS", "Deployment Rollover"})


def claim(name: str, upstream: str = "") -> Claim:
    return Claim(name, Link.DNS, "It MUST.", "concepts/", upstream, "quick", ())


CLAIMS = [claim("A-DNS-010", "DNS, services"), claim("A-DNS-020"), claim("A-DNS-030", "Pods, QOS")]


def covering(*upstream: Row, also_named: tuple[str, ...] = ("Pods, QOS",), walkthrough: tuple[Row, ...] = ()) -> Coverage:
    return Coverage("1.37.2", also_named, upstream, walkthrough)


SOUND = Row("DNS, services", ("A-DNS-010", "A-DNS-020"))


def test_coverage_that_agrees_has_no_problems() -> None:
    gap = Row("Deployment Rollover", (), "not covered")
    assert coverage.problems(covering(SOUND, gap, walkthrough=(SOUND,)), CLAIMS, KNOWN) == []
    assert coverage.problems(covering(SOUND), CLAIMS, None) == []


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (covering(Row("DNS, services", ("A-DNS-010", "A-DNS-990"))), "DNS, services: no claim A-DNS-990"),
        (covering(SOUND, walkthrough=(Row("DNS", ("B-DNS-010",)),)), "DNS: no claim B-DNS-010"),
        (covering(SOUND, Row("Deployment Rollover", ())), "Deployment Rollover: neither claims nor a gap"),
        (covering(SOUND, SOUND), "DNS, services: listed 2 times"),
        (
            covering(SOUND, Row("Deployment, Rollover", (), "not covered")),
            "Deployment, Rollover: no conformance test of Kubernetes 1.37.2 (closest: 'Deployment Rollover')",
        ),
        (
            covering(SOUND, also_named=("Pods, QOS", "Deployment Rollover")),
            "Deployment Rollover: in also_named, but no claim names it",
        ),
        (covering(SOUND, also_named=()), "A-DNS-030: its upstream test 'Pods, QOS' is not listed"),
        (
            covering(Row("DNS, services", ("A-DNS-020",))),
            "A-DNS-010: names 'DNS, services', which does not list it",
        ),
    ],
)
def test_coverage_that_does_not_agree_is_a_problem(wrong: Coverage, says: str) -> None:
    assert coverage.problems(wrong, CLAIMS, KNOWN) == [says]


def test_document_has_rows_and_counts() -> None:
    rows = (SOUND, Row("Deployment Rollover", ("A-DNS-010",), "a|b"), Row("Nothing", (), "why"))
    text = coverage.markdown(covering(*rows, walkthrough=(SOUND,)), CLAIMS)
    assert "1 covered, 1 in part, 1 not covered" in text
    assert "| DNS, services | A-DNS-010, A-DNS-020 |  |" in text
    assert "| Deployment Rollover | A-DNS-010 | a\\|b |" in text
    assert "| Nothing | none | why |" in text
    assert "| Pods, QOS | A-DNS-030 |" in text


def test_document_with_a_problem_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "load", lambda: covering(Row("DNS, services", ("A-DNS-010", "A-DNS-990"))))
    with pytest.raises(SetupError, match="A-DNS-990") as caught:
        coverage.document(CLAIMS)
    assert caught.value.code == ExitCode.USAGE


def test_coverage_is_a_generated_document() -> None:
    assert ROOT / "docs" / "COVERAGE.md" in catalogue.DOCUMENTS
    assert len(coverage.load().upstream) == 30


def test_upstream_names_are_read_from_the_module_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOMODCACHE", str(tmp_path))
    assert coverage.upstream_names("1.37.2") is None
    path = tmp_path / "k8s.io" / "kubernetes@v1.37.2" / coverage.LISTED
    path.parent.mkdir(parents=True)
    path.write_text("- testname: DNS, services\n  release: v1.9\n- testname: Pods, QOS\n")
    assert coverage.upstream_names("1.37.2") == {"DNS, services", "Pods, QOS"}


@pytest.mark.parametrize("text", ["upstream = [", 'kubernetes = "1"', "upstream = [{}]\nwalkthrough = []\nalso_named = []"])
def test_file_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "coverage.toml"
    path.write_text(text)
    with pytest.raises(SetupError, match=r"coverage\.toml") as caught:
        coverage.load(path)
    assert caught.value.code == ExitCode.USAGE
