"""The short form of `make ends`: whole runs that signals end at their phases, on an API server on loopback."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGKILL, SIGTERM

import pytest

from tests.ends import judge
from tests.ends.phases import PHASES, Phase
from tests.ends.run import Case, Rig
from tests.hostile.access import plain
from tests.hostile.cases import full
from tests.hostile.cluster import cluster
from tests.test_interrupts import CLAIMS, ON_A_CLUSTER, of_runs
from tests.test_run import CONFTEST, INI

pytestmark = pytest.mark.whole_runs
CASES = (
    Case("configuration", (SIGTERM,), "run"),
    Case("collection", (SIGHUP,), "group"),
    Case("claim", (SIGTERM, SIGTERM, SIGTERM), "run", 2),
    Case("claim", (SIGKILL,), "worker", 2),
    Case("teardown", (SIGINT, SIGINT), "run"),
    Case("report", (SIGHUP,), "group"),
    Case("publication", (SIGINT, SIGINT, SIGINT), "run"),
    Case("clean-up", (SIGTERM,), "group"),
)
# Their signals reach other phases of a run in the other cases.
FULL_FORM = ("configuration", "report", "clean-up")


@pytest.fixture(scope="module")
def problems(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What does not hold, by case; the cases run side by side."""
    chosen = [case for case in CASES if case.phase not in FULL_FORM or pytestconfig.getoption("--hostile")]
    project = tmp_path_factory.mktemp("project")
    (project / "suites").mkdir()
    (project / "conftest.py").write_text(CONFTEST + ON_A_CLUSTER)
    (project / "pytest.ini").write_text(INI)
    (project / "suites" / "test_x.py").write_text(CLAIMS.replace("range(6)", "range(2)"))
    with cluster(tmp_path_factory.mktemp("cluster"), plain()) as server, ThreadPoolExecutor(2) as pool:
        environment = {
            "TEST_KUBECONFIG": str(server.kubeconfig),
            "TEST_SERVER": server.api.access.url(server.port),
            "TEST_UID": server.store.required(("Namespace", "", "kube-system"))["metadata"]["uid"],
            "TEST_PHASE": "",
        }
        command = [sys.executable, "-m", "pytest", "suites", "-p", "no:cacheprovider"]
        rig = Rig(command, tmp_path_factory.mktemp("runs"), environment, project, selects=False)

        def judged(case: Case) -> list[str]:
            folder, ended = rig.end(case, CASES.index(case))
            left = [name for name in of_runs(server) if ended.run and ended.run in name]
            return judge.problems(case, folder, ended) + left

        found = dict(zip([case.name for case in chosen], pool.map(judged, chosen), strict=True))
        assert any(request.method == "DELETE" for request in server.api.requests)
    return found


@pytest.mark.parametrize(
    "case",
    [full(case) if case.phase in FULL_FORM else case for case in CASES],
    ids=[case.name for case in CASES],
)
def test_run_ends_as_documented_and_leaves_nothing(problems: dict[str, list[str]], case: Case) -> None:
    assert problems[case.name] == []


def test_results_of_two_runs_in_one_folder_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"earlier": true}')
    (tmp_path / "summary.md").write_text("later")
    (tmp_path / ".published.json").write_text(json.dumps({"names": ["run.json", "summary.md", "junit.xml"]}))
    assert len(judge.results(tmp_path)) == 2


@pytest.mark.parametrize("phase", [phase for phase in PHASES.values() if phase.function], ids=lambda phase: phase.name)
def test_phase_names_a_function_that_exists(phase: Phase) -> None:
    owner, name = phase.owner()
    assert callable(getattr(owner, name))
