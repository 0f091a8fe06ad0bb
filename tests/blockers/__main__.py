"""Make what blocks an upgrade on a kind cluster, one of each kind, then a harmless twin of each, and run the claims before.

`make blockers CLUSTER=NAME`, of a cluster that a run kept. Each run of claims is `kubechain upgrade before`, without the whole
chain. What is made is undone. The results are in blockers.md in the folder of the results.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kubechain.claims.records import RunRecord
from kubechain.conditions.blockers import STUCK_SECONDS
from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.timeouts import HEALED
from kubechain.core import cli
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, HarnessError, Unmet
from kubechain.kube.client import Api
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled, Waiter
from kubechain.upgrade import snapshot, witnesses
from kubechain.workload import manifests
from tests import kept
from tests.blockers.judging import alarm, missed, table
from tests.blockers.records import KINDS, SPACE, Made, Scene
from tests.kept import Kept
from tests.upgrades.child import follow

# Longer than budgets, APIServices and Nodes take to get their status from a controller.
SETTLED_SECONDS = 20.0
NOT_THE_CHAIN = "not chain_holds"


class Rig:
    """A cluster on which things are made and undone."""

    def __init__(self, found: Kept, api: Api, out: Path) -> None:
        self.found, self.api, self.out, self.waiter = found, api, out, Waiter(RealClock())

    def run(self, name: str, made: Sequence[Made]) -> RunRecord:
        """Make objects, run the claims before an upgrade, undo all; return the run."""
        file = self.out / f"{name}.snapshot.json"
        file.unlink(missing_ok=True)
        try:
            self._make(made)
            words = ["upgrade", "before", "--context", self.found.context, "--kubeconfig", str(self.found.kubeconfig)]
            words += ["--snapshot", str(file), "--claims", NOT_THE_CHAIN]
            return follow(words, self.out / name, self.found.settings).run()
        finally:
            self._undo(made)
            if file.exists():
                left = snapshot.read(file)
                witnesses.remove(self.api, left.namespace, left.run)
                self._gone(left.namespace)

    def _make(self, made: Sequence[Made]) -> None:
        self.api.create(manifests.namespace(SPACE, {}))
        self.api.create(manifests.service_account(), SPACE)
        self.api.create(manifests.nginx_config(), SPACE)
        for each in made:
            metadata = each.body["metadata"]
            kind, namespace, name = each.body["kind"], metadata.get("namespace", ""), metadata["name"]
            self.api.create(each.body, namespace)
            if each.status and kind != "Pod":
                self.api.patch(kind, namespace, name, {"status": each.status}, sub="status")
            if each.deleted == "long ago":
                self.api.delete(kind, namespace, name, {"gracePeriodSeconds": 1})
        ready = Condition[bool]("the Deployment available", lambda available: expect(available, "not yet"))
        self.waiter.eventually(Polled("Deployment", self._available, self.waiter.clock, 1.0), ready, within=HEALED)
        late = any(each.deleted == "long ago" for each in made)
        self.waiter.pause(STUCK_SECONDS + SETTLED_SECONDS if late else SETTLED_SECONDS)
        for each in made:
            if each.deleted == "just now":
                self.api.delete(each.body["kind"], SPACE, each.body["metadata"]["name"], {"gracePeriodSeconds": 1})

    def _available(self) -> bool:
        return all(each.at("status.availableReplicas", 0) for each in self.api.list("Deployment", SPACE).items)

    def _undo(self, made: Sequence[Made]) -> None:
        for each in reversed(made):
            metadata = each.body["metadata"]
            kind, namespace, name = each.body["kind"], metadata.get("namespace", ""), metadata["name"]
            if metadata.get("finalizers") and self.api.get(kind, namespace, name):
                self.api.patch(kind, namespace, name, {"metadata": {"finalizers": None}})
            self.api.delete(kind, namespace, name, missing_ok=True)
        self.api.delete("Namespace", "", SPACE, missing_ok=True)
        self._gone(SPACE)

    def _gone(self, namespace: str) -> None:
        gone = Condition[bool](f"the namespace {namespace} deleted", lambda exists: expect(not exists, "it exists"))
        source = Polled("namespace", lambda: self.api.get("Namespace", "", namespace) is not None, self.waiter.clock, 1.0)
        self.waiter.eventually(source, gone, within=HEALED)


def main() -> int:
    """Make the blockers, then the twins; return 0 if all blockers are found, and no twin is called one."""
    parser = cli.Parser(prog="python -m tests.blockers", description=__doc__)
    environment = os.environ.get
    parser.add_argument("--cluster", default=environment("KUBECHAIN_CLUSTER"), help="name of a kind cluster that a run kept")
    parser.add_argument("--out", default=environment("KUBECHAIN_OUT") or ROOT / "reports" / "blockers", help="results")
    given = parser.parse_args()
    if not given.cluster:
        parser.error("name a kind cluster that a run kept: CLUSTER (--cluster)")
    out = Path(given.out).absolute()
    out.mkdir(parents=True, exist_ok=True)
    try:
        docker = kept.engine()
        if docker is None:
            raise HarnessError("no container engine answers", ExitCode.ENGINE)
        with tempfile.TemporaryDirectory(prefix="blockers-") as folder:
            found = kept.kept(docker, given.cluster, Path(folder))
            api = Api(found.kubeconfig, found.context, Path(folder))
            rig, scene = Rig(found, api, out), Scene(found.nginx, api.list("Node").items)
            with_blockers = rig.run("blockers", [made for kind in KINDS for made in kind.blocks(scene)])
            with_twins = rig.run("twins", [made for kind in KINDS for made in kind.twins(scene)])
    except Unmet as unmet:
        raise HarnessError(str(unmet)) from unmet
    misses = {kind.id: missed(kind, with_blockers) for kind in KINDS}
    alarms = {kind.id: alarm(kind, with_twins) for kind in KINDS}
    text = table(KINDS, misses, alarms)
    (out / "blockers.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return int(any(misses.values()) or any(alarms.values()))


if __name__ == "__main__":
    cli.main(main)
