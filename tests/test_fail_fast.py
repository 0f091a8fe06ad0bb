"""Whole runs that print the verdict as soon as it is known, and with --fail-fast end there."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.hostile.cases import full
from tests.test_run import Done, project

pytestmark = pytest.mark.whole_runs
HEAD = '''
import os
import time
from pathlib import Path

import pytest
from kubechain.claims.claim import Link, claim
from kubechain.claims.requirements import DISRUPTION
from kubechain.core.errors import Blocked, HarnessError, Unmet
from kubechain.pytest.scenario import scenario

def wait_for(pattern):
    """In two processes: wait for a file that the other process writes."""
    ends = time.monotonic() + 60
    while "PYTEST_XDIST_WORKER" in os.environ and not next(Path().glob(pattern), None):
        assert time.monotonic() < ends, pattern
        time.sleep(0.01)

@pytest.fixture(scope="session", autouse=True)
def torn_down():
    yield
    with Path("torn-down").open("a") as file:
        file.write("x")

@claim("T-DEPLOYMENT-010", spec="x")
def test_passes():
    """It MUST pass."""

@claim("T-PODS-010", spec="x")
def test_inconclusive():
    """It MUST be told."""
    raise HarnessError("unreachable")
'''
BROKEN = '''
@claim("T-DNS-010", spec="x")
def test_fails():
    """It MUST resolve."""
    wait_for("under-way")
    raise Unmet("expected a, got b")
'''
LATER = '''
@claim("T-ROLLOUT-010", spec="x")
def test_other():
    """It MUST roll."""
    Path("under-way").touch()
    if os.environ.get("KUBECHAIN_FAIL_FAST"):
        wait_for("out/.runs/*/fail-fast")

@claim("T-ROLLOUT-020", spec="x")
def test_blocked():
    """It MUST wait."""
    raise Blocked(Link.PODS, "expected 2 ready, got 0")

@claim("T-ROLLOUT-030", spec="x")
def test_blocked_again():
    """It MUST wait."""
    raise Blocked(Link.DNS, "expected a, got b")

@claim("T-HEALING-010", spec="x")
def test_last():
    """It MUST heal."""
'''
# A claim of an early link that uses a later one, which is broken because a link between them is.
BETWEEN = '''
@claim("T-PODS-020", spec="x")
def test_uses_a_later_link():
    """It MUST serve."""
    raise Blocked(Link.ENDPOINTS, "expected 2 addresses, got 0")

@claim("T-PODS-030", spec="x")
def test_of_an_earlier_link():
    """It MUST run."""

@claim("T-SERVICE-010", spec="x")
def test_between():
    """It MUST keep its port."""
    raise Unmet("expected 80, got 81")

@claim("T-SERVICE-020", spec="x")
def test_of_the_same_link():
    """It MUST keep its name."""

@claim("T-ENDPOINTS-010", spec="x")
def test_of_the_later_link():
    """It MUST list."""
'''
SCENARIO = '''
@scenario
def undone():
    """A change whose end fails."""
    yield
    raise HarnessError("cannot be undone")

@claim("T-DNS-010", spec="x")
def test_first(undone):
    """It MUST resolve."""
    raise Blocked(Link.ENDPOINTS, "expected a, got b")

@claim("T-DNS-020", spec="x")
def test_second(undone):
    """It MUST resolve again."""
'''
ALONE = '''
@pytest.fixture(scope="session")
def signal():
    Path("under-way").touch()

@claim("T-NODES-010", spec="x", requires=[DISRUPTION])
def test_alone(signal, exclusive):
    """It MUST disturb."""
    Path("disturbed").touch()
'''
FAST = {"KUBECHAIN_FAIL_FAST": "1"}
RUNS: dict[str, tuple[str, tuple[str, ...], dict[str, str]]] = {
    "whole": (BROKEN + LATER, (), {}),
    "whole, two processes": (BROKEN + LATER, ("-n", "2"), {}),
    "whole, verbose": (BROKEN + LATER, ("-v",), {}),
    "fast": (BROKEN + LATER, (), FAST),
    "fast, two processes": (BROKEN + LATER, ("-n", "2"), FAST),
    "between": (BETWEEN, (), FAST),
    "between, two processes": (BETWEEN, ("-n", "2"), FAST),
    "scenario": (SCENARIO + LATER, (), FAST),
    "scenario, two processes": (SCENARIO + LATER, ("-n", "2"), FAST),
    "exclusive": (BROKEN + ALONE, ("-n", "2"), FAST),
    "holds": ("", ("--deselect", "suites/test_x.py::test_inconclusive"), FAST),
}


@dataclass
class Runs:
    """The runs, each of which is made when a test asks for it first."""

    folders: pytest.TempPathFactory
    done: dict[str, Done] = field(default_factory=dict[str, Done])

    def __getitem__(self, name: str) -> Done:
        if name not in self.done:
            claims, words, settings = RUNS[name]
            self.done[name] = project(self.folders.mktemp("run"), words, settings, HEAD + claims)
        return self.done[name]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """The runs of this module."""
    return Runs(tmp_path_factory)


def verdict(done: Done) -> str:
    return done.output.strip().splitlines()[-1]


WHOLE = ["whole", full("whole, verbose")]
FIRST = "  chain broken at DNS: expected a, got b (1 more inconclusive)"


@pytest.mark.parametrize("name", WHOLE)
def test_verdict_is_printed_once_a_link_is_known_to_be_broken_and_again_if_an_earlier_one_is(runs: Runs, name: str) -> None:
    lines = runs[name].output.splitlines()
    early = [line for line in lines if line.startswith(("  chain broken", "  first broken link"))]
    assert early == [
        FIRST,
        "  first broken link is now PODS: expected 2 ready, got 0 (1 more inconclusive); also broken: DNS",
    ], runs[name].output
    assert lines.index(early[1]) < next(number for number, line in enumerate(lines) if "FAILURES" in line)
    assert verdict(runs[name]) == f"chain broken at PODS: {early[1].partition('PODS: ')[2]}"


@pytest.mark.parametrize("name", WHOLE)
def test_line_stands_alone_between_the_lines_on_other_claims(runs: Runs, name: str) -> None:
    lines = runs[name].output.splitlines()
    number = lines.index(FIRST)
    before, after = lines[number - 1], "".join(lines[number + 1 : number + 3])
    assert re.search(r"( claims after \d+ s\)|%\])$", before), before
    assert re.match(r"  DNS: 1 failed |suites/test_x\.py::test_other PASSED", after), after


@pytest.mark.hostile
def test_verdict_of_two_processes_is_printed_in_lines_of_its_own_in_whatever_order_they_report(runs: Runs) -> None:
    done = runs["whole, two processes"]
    early = [line for line in done.output.splitlines() if line.startswith(("  chain broken", "  first broken link"))]
    assert [line.partition(": ")[0].split()[-1] for line in early] in (["DNS", "PODS"], ["PODS"]), done.output
    assert done.output.count("chain broken at") + done.output.count("first broken link is now") == len(early) + 1


@pytest.mark.parametrize("name", ["fast", full("fast, two processes")])
def test_run_ends_at_the_first_broken_link(runs: Runs, name: str) -> None:
    done = runs[name]
    under_way = 1 if "two" in name else 0
    expected = {
        "T-DEPLOYMENT-010": "passed",
        "T-PODS-010": "inconclusive",
        "T-DNS-010": "failed",
        "T-ROLLOUT-010": "passed" if under_way else "not run",
        "T-ROLLOUT-020": "not run",
        "T-ROLLOUT-030": "not run",
        "T-HEALING-010": "not run",
    }
    assert done.outcomes == expected, done.output
    assert done.code == 1
    assert verdict(done) == f"{FIRST.strip()}; {4 - under_way} claims not run (--fail-fast)"
    assert done.run["counts"]["not run"] == 4 - under_way
    assert FIRST in done.output.splitlines()


@pytest.mark.parametrize("name", ["between", full("between, two processes")])
def test_claims_of_earlier_links_still_run(runs: Runs, name: str) -> None:
    done = runs[name]
    assert (done.outcomes["T-PODS-020"], done.outcomes["T-SERVICE-010"]) == ("blocked", "failed"), done.output
    assert done.outcomes["T-PODS-030"] == "passed"
    assert done.run["firstBrokenLink"] == "SERVICE"
    assert verdict(done).startswith("chain broken at SERVICE: expected 80, got 81")
    if "two" not in name:
        assert (done.outcomes["T-SERVICE-020"], done.outcomes["T-ENDPOINTS-010"]) == ("not run", "not run")
        assert verdict(done).endswith("; 2 claims not run (--fail-fast)")


@pytest.mark.parametrize("name", ["fast", full("fast, two processes"), "between", full("between, two processes")])
def test_fixtures_are_torn_down_as_usual(runs: Runs, name: str) -> None:
    assert (runs[name].out.parent / "torn-down").read_text() == "x" * (2 if "two" in name else 1)
    assert "after the verdict" not in runs[name].output


@pytest.mark.parametrize("name", ["scenario", full("scenario, two processes")])
def test_claims_on_a_scenario_are_not_run_either(runs: Runs, name: str) -> None:
    done = runs[name]
    assert (done.outcomes["T-DNS-010"], done.outcomes["T-DNS-020"]) == ("blocked", "not run"), done.output
    # With two processes the scenario may end after the last claim of its process, whose verdict then stands before.
    assert re.search("^chain broken at ENDPOINTS: expected a, got b.*; ", done.output, re.MULTILINE), done.output
    assert "cannot be undone" in done.output


def test_claim_that_waits_for_all_others_is_not_run(runs: Runs) -> None:
    done = runs["exclusive"]
    (alone,) = [claim for claim in done.run["claims"] if claim["id"] == "T-NODES-010"]
    assert (alone["outcome"], bool(alone["worker"])) == ("not run", True), done.output
    assert not (done.out.parent / "disturbed").exists()
    assert verdict(done).endswith("; 1 claim not run (--fail-fast)")


def test_chain_that_holds_runs_to_its_end(runs: Runs) -> None:
    assert runs["holds"].code == 0, runs["holds"].output
    assert verdict(runs["holds"]).startswith("chain holds: 1 claim in ")


def test_reports_have_every_claim_that_was_not_run(runs: Runs) -> None:
    out: Path = runs["fast"].out
    assert (
        "### Not run\n\n- **T-ROLLOUT-010** It MUST roll.<br>the run ended at the first broken link (--fail-fast)"
        in (out / "summary.md").read_text()
    )
    results = [json.loads(file.read_text()) for file in (out / "allure-results").glob("*-result.json")]
    skipped = {result["name"].partition(" ")[0] for result in results if result["status"] == "skipped"}
    assert skipped == {"T-ROLLOUT-010", "T-ROLLOUT-020", "T-ROLLOUT-030", "T-HEALING-010"}
    assert len(results) == 7


def test_every_file_begins_with_the_verdict(runs: Runs) -> None:
    done = runs["fast"]
    line = verdict(done)
    assert list(done.run)[:5] == ["schema", "verdict", "holds", "firstBrokenLink", "exitCode"]
    assert done.run["verdict"] == line
    assert (done.out / "summary.md").read_text().splitlines()[0] == f"## ❌ {line}"
    (suite,) = ElementTree.parse(done.out / "junit.xml").getroot()  # noqa: S314  # our own file
    assert [(each.get("name"), each.get("value")) for each in suite[0]][:1] == [("verdict", line)]
    assert suite[1].tag == "testcase"
    assert (done.out / "allure-results" / "environment.properties").read_text().startswith(f"verdict = {line}\n")
