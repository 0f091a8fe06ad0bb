"""Whole runs of pytest with the project's plugins, on claims that need no cluster."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kubechain.claims.claim import Link
from kubechain.core.bundle import ROOT
from kubechain.pytest.recording import Recorder
from reports import allure_html
from tests.fakes import record
from tests.json_schema import problems

pytestmark = pytest.mark.whole_runs
# The plugin of Hypothesis imports all of it at the end of a run.
INI = "[pytest]\naddopts = --strict-markers -p no:hypothesispytest\n"
CONFTEST = """
import os
from pathlib import Path
from kubechain.core import bundle
from kubechain.provision import cluster as provision
from kubechain.pytest import session as plugin
from kubechain.cluster.target import Target
from kubechain.core.errors import ExitCode, SetupError
from reports import allure_html

pytest_plugins = ["kubechain.pytest.plugin", "fixtures.plugins", "reports.plugin"]
bundle.ROOT = Path(__file__).parent

def provide(run, *_):
    if os.environ.get("TROUBLE"):
        raise SetupError("KUBECONFIG=x: not a kubeconfig, token=s3cr3ts3cr3t", ExitCode.KUBECONFIG)
    return provision.Provided(Target("c", "", "c", "", "u", True, False, "nginx", "client"), None)

def generate(*_):
    raise SetupError("not here")

assert provision.attach and provision.kind_cluster and allure_html.generate
provision.attach = provision.kind_cluster = provide
allure_html.generate = generate
"""
CLAIMS = '''
import os
import pytest
from kubechain.claims.claim import Link, claim
from kubechain.conditions.condition import Condition, unmet
from kubechain.core.errors import Blocked, HarnessError
from kubechain.conditions.timeouts import Timeout
from kubechain.observe.wait import Polled

@pytest.fixture
def bad():
    assert False, "of a fixture"

@pytest.fixture
def undone():
    yield
    raise HarnessError("cannot delete")

@claim("T-DEPLOYMENT-010", spec="x")
def test_passes():
    """It MUST pass."""

@claim("T-PODS-010", spec="x")
def test_unmet(eventually, clock, undone):
    """It MUST be met."""
    eventually(Polled("x", lambda: 1, clock), Condition("two", lambda n: unmet("1")), within=Timeout(0, "now"))

@claim("T-DNS-010", spec="x")
def test_blocked():
    """It MUST wait."""
    raise Blocked(Link.ENDPOINTS, "no address")

@claim("T-DNS-020", spec="x")
def test_crashes():
    """It MUST survive."""
    os._exit(1)

@pytest.fixture
def dying():
    yield
    os._exit(1)

@claim("T-DNS-025", spec="x")
def test_dies_after_it_has_passed(dying):
    """It MUST end."""

@claim("T-DNS-030", spec="x")
def test_skipped():
    """It MUST apply."""
    pytest.skip("needs 2 nodes")

@claim("T-DNS-040", spec="x")
def test_setup(bad):
    """It MUST begin."""

@claim("T-DNS-050", spec="x")
def test_harness():
    """It MUST be told."""
    raise HarnessError("server unreachable, token=s3cr3ts3cr3t")
'''

PART = "no verdict: no claim was run; only a part was tried (-k): 8 claims left out"


@dataclass
class Done:
    """A run that ended."""

    code: int
    output: str
    out: Path

    @property
    def run(self) -> dict[str, Any]:
        """Its run.json."""
        return json.loads((self.out / "run.json").read_text())

    @property
    def outcomes(self) -> dict[str, str]:
        """How each claim ended."""
        return {claim["id"]: claim["outcome"] for claim in self.run["claims"]}


def prepare(folder: Path, environment: dict[str, str], claims: str = CLAIMS, more: str = "") -> tuple[list[str], dict[str, str]]:
    """Make a project of its own that has these claims and a cluster that is none; return pytest's command and environment."""
    (folder / "suites").mkdir()
    (folder / "conftest.py").write_text(CONFTEST + more)
    (folder / "pytest.ini").write_text(INI)
    (folder / "suites" / "test_x.py").write_text(claims)
    told = {
        "PYTHONPATH": str(ROOT),
        "KUBECHAIN_OUT": str(folder / "out"),
        "KUBECHAIN_CACHE": str(folder / "cache"),
        **environment,
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KUBECHAIN_", "PYTEST_"))}
    return [sys.executable, "-m", "pytest", "suites", "-p", "no:cacheprovider"], {**kept, **told}


def project(folder: Path, arguments: tuple[str, ...], environment: dict[str, str], claims: str = CLAIMS, more: str = "") -> Done:
    """Run pytest in such a project, with `more` in its conftest.py."""
    words, told = prepare(folder, environment, claims, more)
    done = subprocess.run([*words, *arguments], cwd=folder, env=told, capture_output=True, text=True, timeout=120, check=False)
    return Done(done.returncode, done.stdout, folder / "out")


RUNS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "workers": (("-n", "1"), {}),
    "nothing": (("-k", "nothing_of_that_name"), {}),
    "trouble": ((), {"TROUBLE": "1"}),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    """All runs, side by side, because each takes a second."""
    with ThreadPoolExecutor(len(RUNS)) as pool:
        begun = {name: pool.submit(project, tmp_path_factory.mktemp(name), *told) for name, told in RUNS.items()}
        return {name: run.result() for name, run in begun.items()}


@pytest.fixture
def workers(runs: dict[str, Done]) -> Done:
    """A run with xdist, in which one worker crashes."""
    return runs["workers"]


def test_each_claim_has_its_outcome(workers: Done) -> None:
    assert workers.outcomes == {
        "T-DEPLOYMENT-010": "passed",
        "T-PODS-010": "failed",
        "T-DNS-010": "blocked",
        "T-DNS-020": "inconclusive",
        "T-DNS-025": "inconclusive",
        "T-DNS-030": "skipped",
        "T-DNS-040": "inconclusive",
        "T-DNS-050": "inconclusive",
    }, workers.output


def test_verdict_names_the_first_broken_link_and_sets_the_exit_code(workers: Done) -> None:
    last = workers.output.strip().splitlines()[-1]
    assert last.startswith("chain broken at PODS: expected two, got 1 (waited 0.0 of 0 s: now)")
    assert (workers.code, workers.run["firstBrokenLink"], workers.run["holds"]) == (1, "PODS", False)


def test_blocked_claim_names_the_link_that_it_waits_for(workers: Done) -> None:
    (blocked,) = [claim for claim in workers.run["claims"] if claim["outcome"] == "blocked"]
    assert (blocked["waitsFor"], blocked["message"]) == ("ENDPOINTS", "blocked by ENDPOINTS: no address")
    summary = next(line for line in workers.output.splitlines() if re.search(r" in [\d.]+s", line))
    counts = re.findall(r"(\d+) (passed|blocked)", summary)
    # pytest counts the claim whose process died later as passed too.
    assert counts == [("2", "passed"), ("1", "blocked")]


def test_reason_of_many_claims_is_printed_once() -> None:
    told = {"A-DNS-010": "no address", "A-DNS-020": "no address", "A-DNS-030": "no name"}
    lines: list[str] = []
    reporter = SimpleNamespace(section=lines.append, line=lines.append)
    Recorder([record(Link.DNS, "blocked", why, id=name) for name, why in told.items()]).pytest_terminal_summary(reporter)
    assert lines == ["blocked", "A-DNS-010, A-DNS-020: no address", "A-DNS-030: no name"]


def test_claim_of_a_crashed_worker_is_inconclusive(workers: Done) -> None:
    messages = {claim["id"]: claim["message"] for claim in workers.run["claims"]}
    assert "never reported" in messages["T-DNS-020"]
    assert messages["T-DNS-025"] == "its worker process died before its teardown had ended"


def test_waits_of_a_claim_are_in_its_record(workers: Done) -> None:
    (unmet,) = [claim for claim in workers.run["claims"] if claim["id"] == "T-PODS-010"]
    assert [(wait["condition"], wait["endedBy"]) for wait in unmet["waits"]] == [("two", "timeout")]


def test_results_match_the_published_schema(workers: Done, runs: dict[str, Done]) -> None:
    assert problems(workers.run, "run") == []
    assert problems(runs["nothing"].run, "run") == []


def test_published_files_have_no_secret(workers: Done) -> None:
    for name in ("run.json", "summary.md"):
        assert "s3cr3t" not in (workers.out / name).read_text()


@pytest.fixture
def results(workers: Done) -> dict[str, dict[str, Any]]:
    """Allure's result for each claim."""
    found = [json.loads(path.read_text()) for path in (workers.out / "allure-results").glob("*-result.json")]
    return {label["value"]: each for each in found for label in each["labels"] if label["name"] == "story"}


def test_allure_categorises_blocked_claims_by_their_message(results: dict[str, dict[str, Any]]) -> None:
    rules = allure_html.configuration(Path("out"), "")["categories"]["rules"]
    (rule,) = [rule for rule in rules if rule["name"].startswith("Blocked")]
    (matcher,) = rule["matchers"]
    assert results["T-DNS-010"]["status"] in matcher["statuses"]
    assert re.search(matcher["message"], results["T-DNS-010"]["statusDetails"]["message"])


def test_allure_lists_each_claim_by_its_id(results: dict[str, dict[str, Any]]) -> None:
    assert results["T-DEPLOYMENT-010"]["name"] == "T-DEPLOYMENT-010 passes"
    assert [name for name, each in results.items() if not each["name"].startswith(name)] == []


def test_allure_has_every_claim_also_of_a_crashed_worker(results: dict[str, dict[str, Any]], workers: Done) -> None:
    assert set(results) == set(workers.outcomes)


def test_allure_has_the_same_failed_claims_as_the_run(results: dict[str, dict[str, Any]], workers: Done) -> None:
    failed = {name for name, each in results.items() if each["status"] == "failed"}
    assert failed == {name for name, outcome in workers.outcomes.items() if outcome == "failed"}


def test_run_without_claims_is_not_green(runs: dict[str, Done]) -> None:
    done = runs["nothing"]
    assert done.code == 5
    assert done.output.strip().splitlines()[-1] == PART


def test_run_that_cannot_begin_has_its_own_exit_code_and_no_verdict(runs: dict[str, Done]) -> None:
    done = runs["trouble"]
    assert done.code == 16
    # As of every other run, the last line is the verdict; the output of both streams is joined here.
    assert done.output.strip().splitlines()[-1].startswith("no verdict: KUBECONFIG=x: not a kubeconfig")
    text = (done.out / "not-begun" / "run.json").read_text()
    assert (json.loads(text)["exitCode"], json.loads(text)["claims"]) == (16, [])
    assert "s3cr3t" not in text
    assert not (done.out / "run.json").exists()
