"""Run the quick claims many times in a row on one cluster, and check after each run that it left nothing: `make soak`.

Every second run goes through a proxy that cuts every connection after 2 s. The results are in soak.json and soak.md in the
folder of the results; a run that failed keeps its own results beside them.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from kubechain.cleanup import cordons, namespaces
from kubechain.cluster import existing
from kubechain.core import cli
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.run import FOLDERS
from kubechain.kube.client import Api
from kubechain.kube.objects import Json
from tests import kept, rigs
from tests.hostile import tcp_proxy
from tests.soak import way
from tests.soak.records import Leftovers, SoakRun, summed_up, table

# Environment variable by which all processes of one run are found.
MARK = "SOAK_MARK"
RUN_SECONDS = 900.0


class Soak:
    """A cluster that runs of the suite use one after another."""

    def __init__(self, kubeconfig: Path, context: str, images: dict[str, str], out: Path, folder: Path) -> None:
        """Results go to `out`; `folder` holds what is needed meanwhile; `images` are settings, as environment variables."""
        self.kubeconfig, self.context, self.images, self.out = kubeconfig, context, images, out
        self.secrets, self.temporary = folder / "secrets", folder / "tmp"
        self.secrets.mkdir(mode=0o700)
        self.temporary.mkdir()
        self.api = Api(kubeconfig, context, self.secrets)

    def run(self, number: int, mode: str) -> SoakRun:
        """Run the suite once, over the way of this name, and look at what is left."""
        with way.to(self.kubeconfig, self.context, mode, self.secrets) as (kubeconfig, met):
            return self._run(number, kubeconfig, mode, met)

    def _run(self, number: int, kubeconfig: Path, mode: str, met: Callable[[], int]) -> SoakRun:
        results, mark = self.out / "last", f"{os.getpid()}-{number}"
        environment = {**os.environ, **self.images} | {
            MARK: mark,
            "TMPDIR": str(self.temporary),
            "KUBECHAIN_CONTEXT": self.context,
            "KUBECHAIN_CLUSTER": "",
            "KUBECHAIN_KUBECONFIG": str(kubeconfig),
            "KUBECHAIN_OUT": str(results),
            "KUBECHAIN_HTML": "0",
        }
        began = time.monotonic()
        with (self.out / "last.log").open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "kubechain", "run"],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            status, peak = waited(child, RUN_SECONDS)
        seconds = time.monotonic() - began
        record = self._results(results, began_at=time.time() - seconds)
        run = str(record.get("run", ""))
        finished = SoakRun(
            number=number,
            run=run,
            proxy=mode,
            met=met(),
            seconds=round(seconds, 2),
            exit_code=status,
            verdict=str(record.get("verdict", "the run wrote no results")),
            troubles={
                claim["id"]: f"{claim['outcome']}: {claim['message']}"
                for claim in record.get("claims", [])
                if claim["outcome"] not in ("passed", "skipped")
            },
            peak_mib=round(peak, 1),
            leftovers=self._leftovers(run, mark, results),
        )
        if not finished.succeeded:
            shutil.copytree(results, self.out / f"failed-{number}", dirs_exist_ok=True)
            shutil.copy(self.out / "last.log", self.out / f"failed-{number}" / "output.log")
        return finished

    @staticmethod
    def _results(results: Path, began_at: float) -> Json:
        for path in (results / "run.json", results / "not-begun" / "run.json"):
            if path.exists() and path.stat().st_mtime >= began_at:
                return json.loads(path.read_text(encoding="utf-8"))
        return {}

    def _leftovers(self, run: str, mark: str, results: Path) -> Leftovers:
        folders = [*(results / FOLDERS).iterdir()] if (results / FOLDERS).exists() else []
        folders += self.temporary.iterdir()
        return Leftovers(
            namespaces=[space.name for space in namespaces.of_run(self.api, run)] if run else [],
            cordons=[node.name for node in cordons.left_by(self.api, run)] if run else [],
            processes=_marked(mark),
            folders=[str(path) for path in folders],
        )


def waited(child: subprocess.Popen[bytes], seconds: float) -> tuple[int, float]:
    """Wait for a process; return its exit status, and the largest resident set of it and its children in MiB.

    After `seconds`, or if this process is interrupted, it gets SIGTERM: it then ends by itself, and says what it was doing.
    """
    timer = threading.Timer(seconds, child.terminate)
    timer.start()
    try:
        with rigs.ending(child):
            _, status, usage = os.wait4(child.pid, 0)
    finally:
        timer.cancel()
    child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, usage.ru_maxrss / 1024


def _marked(mark: str) -> list[str]:
    found: list[str] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.name()} (pid {process.pid})")
    return found


def main() -> int:
    """Run the soak as the command line says; return 0 if every run held, left nothing, and memory stayed flat."""
    environment = os.environ.get
    parser = cli.Parser(prog="tests.soak", description=__doc__)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--context", default=environment("KUBECHAIN_CONTEXT"), help="context of a cluster that exists")
    where.add_argument("--cluster", default=environment("KUBECHAIN_CLUSTER"), help="name of a kind cluster that a run kept")
    parser.add_argument("--kubeconfig", default=environment("KUBECHAIN_KUBECONFIG") or "", help="kubeconfig of the context")
    parser.add_argument("--runs", type=int, default=int(environment("SOAK_RUNS") or 5), help="number of runs (default: 5)")
    parser.add_argument("--out", type=Path, default=environment("KUBECHAIN_OUT") or ROOT / "reports" / "soak", help="results")
    parser.add_argument(
        "--mode",
        default=environment("SOAK_MODE") or "",
        help=f"every run through a proxy of this mode: {', '.join(way.NAMES)}; default: every second run cut after 2 s",
    )
    given = parser.parse_args()
    if given.mode and given.mode not in way.NAMES:
        parser.error(f"--mode {given.mode}: choose one of {', '.join(way.NAMES)}")
    out = Path(given.out).absolute()
    out.mkdir(parents=True, exist_ok=True)
    runs: list[SoakRun] = []
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        if given.cluster:
            docker = kept.engine()
            if docker is None:
                raise SetupError(f"--cluster={given.cluster}: no container engine answers", ExitCode.ENGINE)
            found = kept.kept(docker, given.cluster, Path(folder))
            kubeconfig, context = found.kubeconfig, found.context
            images = {"KUBECHAIN_NGINX_IMAGE": found.nginx, "KUBECHAIN_CLIENT_IMAGE": found.client}
        elif given.context:
            kubeconfig = existing.kubeconfig(given.kubeconfig, given.context, Path(folder)).absolute()
            context, images = given.context, dict[str, str]()
        else:
            parser.error("name a cluster: CONTEXT (--context), or CLUSTER (--cluster) for one that a run kept")
        soak = Soak(kubeconfig, context, images, out, Path(folder))
        for number in range(1, given.runs + 1):
            mode = given.mode or (tcp_proxy.CUT.name if number % 2 == 0 else way.DIRECT)
            run = soak.run(number, mode)
            runs.append(run)
            _say(f"{number:4} {run.proxy or 'direct':13} {run.seconds:6.1f} s {run.peak_mib:5.0f} MiB  {run.verdict}")
            record = summed_up(runs)
            (out / "soak.json").write_text(json.dumps(record.as_json(), indent=2), encoding="utf-8")
            (out / "soak.md").write_text(table(record), encoding="utf-8")
    record = summed_up(runs)
    _say(table(record))
    return int(bool(record.failures) or not record.flat)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    cli.main(main)
