"""Upgrade kind clusters, lose a path of a Node that stays in the middle of each, and check what the run says: `make upgrades`.

The settings are those of `kubechain upgrade`: FROM, TO, DRAIN, REBOOT, REPLACE. The results are in upgrades.json and
upgrades.md in the folder of the results; each run has its own beside them.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from kubechain.cluster import kind
from kubechain.core import cli, settings
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, HarnessError, Unmet
from kubechain.core.settings import Settings
from kubechain.kube.client import Api
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Waiter
from kubechain.upgrade.model import Kind
from kubechain.upgrade.workers import Way, way_of
from tests import kept
from tests.upgrades.child import follow
from tests.upgrades.judging import judged
from tests.upgrades.losses import BETWEEN, PATHS, lose, scene_on, staying
from tests.upgrades.records import Loss, UpgradeRun, UpgradesRecord, table

NAME = "kubechain-upgrades"
# The line of a run with which a hop begins.
HOP = re.compile(r"\.\. upgrade to \S+: (control plane|\S+-worker\d*)(?:,|$)")
CONTROL_PLANE = "control plane"


def busy_in(line: str, way: Way) -> str:
    """Return what begins to be upgraded with this line of a run, if paths can be lost meanwhile; "" if not.

    A worker that stays in place takes less time than the losses; one that is drained, restarted or replaced takes more.
    """
    found = HOP.search(line.rstrip())
    return found[1] if found and (way == "in place" or found[1] != CONTROL_PLANE) else ""


class Losing:
    """Loses paths once, when the first hop begins that lasts long enough."""

    def __init__(self, cluster: str, way: Way, paths: list[Kind], pool: ThreadPoolExecutor) -> None:
        self._cluster, self._paths, self._pool = cluster, paths, pool
        self._way: Way = way
        self.losing: Future[list[Loss]] | None = None

    def seen(self, line: str) -> None:
        """Look at a line of the run."""
        busy = busy_in(line, self._way)
        if busy and self._paths and self.losing is None:
            self.losing = self._pool.submit(self._lose, busy)

    def _lose(self, busy: str) -> list[Loss]:
        docker = kept.engine()
        if docker is None:
            raise HarnessError("no container engine answers", ExitCode.ENGINE)
        with tempfile.TemporaryDirectory(prefix="upgrades-") as folder:
            kubeconfig, context = kind.kubeconfig(docker, self._cluster, Path(folder))
            api = Api(kubeconfig, context, Path(folder))
            names = docker.call("ps", "--filter", f"label={kind.NODE_LABEL}={self._cluster}", "--format", "{{.Names}}")
            joined = {node.name for node in api.list("Node").items}
            waiter = Waiter(RealClock())
            scene = scene_on(api, staying(sorted(joined.intersection(names.split())), busy), waiter)
            losses: list[Loss] = []
            for path in self._paths:
                losses.append(lose(docker, scene, PATHS[path]))
                waiter.pause(BETWEEN)
            return losses


def upgrade(number: int, given: Settings, cluster: str, paths: list[Kind], out: Path) -> UpgradeRun:
    """Upgrade a cluster once, and lose the paths in the middle; return the record."""
    with ThreadPoolExecutor(1) as pool:
        losing = Losing(cluster, way_of(given), paths, pool)
        finished = follow(["upgrade"], out / f"run-{number}", {"KUBECHAIN_CLUSTER": cluster, "KUBECHAIN_KEEP": "0"}, losing.seen)
        losses = losing.losing.result() if losing.losing else []
    if len(losses) < len(paths):
        raise HarnessError(f"no hop began; see {finished.log}")
    return judged(number, way_of(given), finished.document(), finished.run(), losses)


def main() -> int:
    """Run the upgrades as the command line says; return 0 if each run said what was done to its cluster."""
    environment = os.environ.get
    parser = cli.Parser(prog="python -m tests.upgrades", description=__doc__)
    parser.add_argument(
        "--runs", type=int, default=int(environment("UPGRADES_RUNS") or 1), help="number of upgrades (default: 1)"
    )
    parser.add_argument("--cluster", default=environment("KUBECHAIN_CLUSTER") or NAME, help=f"its name (default: {NAME})")
    parser.add_argument("--out", default=environment("KUBECHAIN_OUT") or ROOT / "reports" / "upgrades", help="results")
    parser.add_argument(
        "--lose",
        default=environment("UPGRADES_LOSE") or ",".join(PATHS),
        help=f"the paths to lose for 3 s each, or none (default: {','.join(PATHS)})",
    )
    given = parser.parse_args()
    paths: list[Kind] = [path for path in PATHS if path in str(given.lose).split(",")]
    if unknown := sorted({*str(given.lose).split(",")} - {*PATHS, "none"}):
        parser.error(f"--lose {','.join(unknown)}: choose from {', '.join(PATHS)}, or none")
    out = Path(given.out).absolute()
    out.mkdir(parents=True, exist_ok=True)
    runs: list[UpgradeRun] = []
    for number in range(1, given.runs + 1):
        try:
            runs.append(upgrade(number, settings.load(), given.cluster, paths, out))
        except (HarnessError, Unmet) as error:
            raise HarnessError(f"run {number}: {error}", getattr(error, "code", ExitCode.HARNESS)) from error
        record = UpgradesRecord(runs=runs)
        (out / "upgrades.json").write_text(json.dumps(record.as_json(), indent=2), encoding="utf-8")
        (out / "upgrades.md").write_text(table(runs), encoding="utf-8")
        _say(f"{'ok ' if runs[-1].succeeded else 'BAD'} run {number}: {runs[-1].verdict}")
    _say(table(runs))
    return int(not all(run.succeeded for run in runs))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    cli.main(main)
