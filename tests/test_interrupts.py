"""Whole runs that signals end, on a cluster that stays: an API server on loopback."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from kubechain.cleanup import processes
from kubechain.core.bundle import ROOT
from kubechain.core.process import identity, is_running
from kubechain.core.progress import Progress
from tests.hostile.access import CONTEXT, plain
from tests.hostile.acts import failing, on, rule
from tests.hostile.cases import full
from tests.hostile.cluster import Cluster, cluster
from tests.hostile.furniture import SYSTEM
from tests.test_run import CONFTEST, INI

pytestmark = pytest.mark.whole_runs

START_SECONDS = 60
ON_A_CLUSTER = """
def visit(run, settings, *_):
    from kubechain.cleanup import run_locks
    kubeconfig, server, uid = (os.environ[f"TEST_{name}"] for name in ("KUBECONFIG", "SERVER", "UID"))
    run_locks.mark_visited(settings.cache, run.name, "hostile", uid)
    return provision.Provided(Target("c", kubeconfig, "hostile", server, uid, False, False, "n", "c"), None)

provision.attach = provision.kind_cluster = visit
"""
CLAIMS = '''
import os, signal, subprocess, threading
from pathlib import Path
import pytest
from kubechain.claims.claim import claim
from kubechain.core.process import environment
from kubechain.core.run import RUN_LABEL, EXPIRES_LABEL
from kubechain.kube.client import Api
from kubechain.pytest.state import run_state

PHASE = os.environ["TEST_PHASE"]

@pytest.fixture
def api(request):
    client = Api(Path(os.environ["TEST_KUBECONFIG"]), "hostile", run_state(request.config).run.secrets)
    yield client
    client.close()

def hang(phase):
    if PHASE == phase:
        threading.Event().wait(30)

if PHASE == "import":
    Path(os.environ["TEST_PROGRAM"]).touch()
hang("import")

@pytest.fixture
def namespace(request, api, n):
    run = run_state(request.config).run
    name = f"{run.name}-main-{n}"
    labels = {RUN_LABEL: run.id, EXPIRES_LABEL: "99999999999"}
    api.create({"kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    hang("setup")
    yield name
    if PHASE == "teardown":
        api.create({"kind": "Namespace", "metadata": {"name": f"{run.name}-ending-{n}", "labels": labels}})
        threading.Event().wait(1.5)
        api.delete("Namespace", "", f"{run.name}-ending-{n}")
    api.delete("Namespace", "", name)

@pytest.mark.parametrize("n", range(6))
@claim("T-PODS-010", spec="x")
def test_hangs(namespace, n):
    """It MUST be interrupted."""
    if PHASE == "die":
        program = subprocess.Popen(["sleep", "60"], env=environment(), start_new_session=True)
        Path(os.environ["TEST_PROGRAM"]).write_text(str(program.pid))
        os.kill(os.getpid(), signal.SIGKILL)
    hang("call")
'''


@contextmanager
def started(folder: Path, server: Cluster, phase: str, *words: str) -> Generator[subprocess.Popen[str]]:
    """Start a run in a process group of its own; the claims hang in this phase."""
    (folder / "suites").mkdir()
    (folder / "conftest.py").write_text(CONFTEST + ON_A_CLUSTER)
    (folder / "pytest.ini").write_text(INI)
    (folder / "suites" / "test_x.py").write_text(CLAIMS)
    environment = {
        "PYTHONPATH": str(ROOT),
        "KUBECHAIN_OUT": str(folder / "out"),
        "KUBECHAIN_CACHE": str(folder / "cache"),
        "KUBECHAIN_HTML": "0",
        "TEST_KUBECONFIG": str(server.kubeconfig),
        "TEST_SERVER": server.api.access.url(server.port),
        "TEST_UID": server.store.required(("Namespace", "", "kube-system"))["metadata"]["uid"],
        "TEST_PHASE": phase,
        "TEST_PROGRAM": str(folder / "program"),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KUBECHAIN_", "PYTEST_"))}
    argv = [sys.executable, "-m", "pytest", "suites", "-p", "no:cacheprovider", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        argv, cwd=folder, env={**kept, **environment}, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def server(tmp_path: Path) -> Generator[Cluster]:
    with cluster(tmp_path, plain()) as found:
        yield found


def of_runs(server: Cluster) -> list[str]:
    """Return the names of the namespaces that no cluster has by itself."""
    return [name for name in server.store.names("Namespace") if name not in SYSTEM]


def wait_for(server: Cluster, part: str) -> None:
    """Wait until a namespace exists whose name has this part."""
    with server.store.changed:
        there = server.store.changed.wait_for(lambda: any(part in name for name in of_runs(server)), START_SECONDS)
    assert there, f"no {part} after {START_SECONDS} s"


def marks(folder: Path) -> list[str]:
    return [path.name for path in (folder / "cache" / "runs").glob("*")]


@pytest.mark.parametrize(
    ("phase", "signals", "workers"),
    [
        ("setup", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM], ()),
        full("teardown", [signal.SIGINT, signal.SIGTERM], ("-n", "2")),
        full("call", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM], ()),
        full("teardown", [signal.SIGTERM, signal.SIGTERM], ()),
        full("setup", [signal.SIGTERM], ("-n", "2")),
    ],
)
def test_signals_end_a_run_in_an_orderly_way(
    tmp_path: Path, server: Cluster, phase: str, signals: list[signal.Signals], workers: tuple[str, ...]
) -> None:
    with started(tmp_path, server, phase, *workers) as process:
        wait_for(server, "-ending-" if phase == "teardown" else "-main-")
        for number in signals:
            os.killpg(process.pid, number)
            # The next signal arrives while the run puts things back, or after its end on a fast machine.
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 2, output + errors
    assert "  .. interrupted: removing what the run has made\n" in errors
    assert of_runs(server) == []
    assert marks(tmp_path) == []
    assert output.strip().splitlines()[-1].startswith("no verdict: interrupted after")
    assert json.loads((tmp_path / "out" / "run.json").read_text())["exitCode"] == 2
    assert not (tmp_path / "out" / ".runs").exists()


def test_namespaces_and_programs_of_killed_workers_are_removed(tmp_path: Path, server: Cluster) -> None:
    with started(tmp_path, server, "die", "-n", "2", "-k", "0") as process:
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 10, output + errors
    assert any(request.method == "POST" for request in server.api.requests)
    assert of_runs(server) == []
    assert marks(tmp_path) == []
    program = int((tmp_path / "program").read_text())
    assert not psutil.pid_exists(program) or psutil.Process(program).status() == psutil.STATUS_ZOMBIE


def test_mark_stays_if_a_namespace_cannot_be_removed(tmp_path: Path, server: Cluster) -> None:
    with started(tmp_path, server, "call") as process:
        wait_for(server, "-main-")
        (name,) = of_runs(server)
        rule(on("delete", "Namespace"), failing(403))(server)
        os.killpg(process.pid, signal.SIGTERM)
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 2, output + errors
    assert "no verdict: interrupted after" in output
    assert f"the next run there or `kubechain clean --context {CONTEXT}` tries again" in output.splitlines()[-1]
    run = name[: len("kubechain-") + 8]
    assert marks(tmp_path) == [run, f"{run}.visited"] or marks(tmp_path) == [f"{run}.visited", run]


def test_workers_of_a_killed_run_are_found_by_the_next(tmp_path: Path, server: Cluster) -> None:
    with started(tmp_path, server, "call", "-n", "2") as process:
        wait_for(server, "-main-")
        workers = set(psutil.Process(process.pid).children())
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        found = {orphan.process for orphan in processes.find()}
        assert workers
        # The start of a run in another process of the tests may have ended some already.
        assert all(worker in found or not is_running(identity(worker.pid)) for worker in workers)
        processes.end(Progress())
        process.communicate(timeout=120)
    assert not workers.intersection(orphan.process for orphan in processes.find())


def test_run_that_is_interrupted_without_a_cluster_replaces_no_results(tmp_path: Path, server: Cluster) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.json").write_text("earlier")
    with started(tmp_path, server, "import") as process:
        imported = tmp_path / "program"
        deadline = time.monotonic() + 30
        while not imported.exists() and time.monotonic() < deadline:
            threading.Event().wait(0.05)
        os.killpg(process.pid, signal.SIGTERM)
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 2, output + errors
    assert output.strip().splitlines()[-1].startswith("no verdict: interrupted after")
    assert (tmp_path / "out" / "run.json").read_text() == "earlier"
    assert json.loads((tmp_path / "out" / "not-begun" / "run.json").read_text())["exitCode"] == 2


def test_command_that_is_interrupted_while_it_starts_says_so_in_one_line(tmp_path: Path) -> None:
    script = "import os, signal, sys, threading\nthreading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()\n"
    script += "sys.argv = ['kubechain', 'list']\nfrom kubechain.__main__ import main\nmain()"
    slow = tmp_path / "pydantic.py"
    slow.write_text("import threading\nthreading.Event().wait(20)\n")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stderr) == (2, "kubechain: interrupted\n")
