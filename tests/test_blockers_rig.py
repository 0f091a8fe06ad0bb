"""What blocks an upgrade, on a cluster of loopback: the command finds one of each kind, and calls no twin one."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kubechain.claims.claim import Link
from kubechain.claims.records import RunRecord
from kubechain.conditions.blockers import STUCK_SECONDS
from kubechain.kube.objects import KubeObject
from tests.blockers.judging import alarm, missed, table
from tests.blockers.records import KINDS, SPACE, Kind, Made, Scene
from tests.fakes import record as claim_record
from tests.finished_runs import run as finished
from tests.hostile.access import CONTEXT, plain
from tests.hostile.cluster import CONTROLLERS, Cluster, cluster
from tests.hostile.furniture import namespace
from tests.upgrades.child import follow

# Of these the cluster of loopback has all that their claims read: the versions of kubelets are in a snapshot, with witnesses.
SHOWN = [kind for kind in KINDS if kind.id != "kubelet"]
CLAIMS = (
    "nodes_are_ready or room_to_drain or every_budget or webhooks_that or parameters_of or api_services or stored_versions "
    "or stuck_in"
)
Choice = Callable[[Kind], Callable[[Scene], list[Made]]]


def stored(made: Made) -> dict[str, object]:
    """Return an object as it is stored once controllers have seen it."""
    body = copy.deepcopy(made.body)
    if made.deleted:
        ago = timedelta(seconds=STUCK_SECONDS + 60 if made.deleted == "long ago" else 10)
        body["metadata"]["deletionTimestamp"] = (datetime.now(UTC) - ago).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {**body, **({"status": made.status} if made.status else {})}


def run_on_loopback(folder: Path, choice: Choice) -> RunRecord:
    def prepare(made: Cluster) -> None:
        # The objects have the status that controllers would give them; a namespace of the run must go.
        made.off |= {*CONTROLLERS} - {"namespace"}
        for body in made.store.all("Node"):
            key = ("Node", "", body["metadata"]["name"])
            made.store.modify(key, lambda node: node["status"]["allocatable"].update({"cpu": "2", "memory": "4Gi"}))
        scene = Scene("nginx", [KubeObject(body) for body in made.store.all("Node")])
        made.store.create(namespace(SPACE))
        for kind in SHOWN:
            for each in choice(kind)(scene):
                made.store.create(stored(each))

    with cluster(folder, plain(), prepare) as made:
        words = ["upgrade", "before", "--context", CONTEXT, "--kubeconfig", str(made.kubeconfig)]
        words += ["--snapshot", str(folder / "snapshot.json"), "--claims", CLAIMS]
        given = {name: "" for name in os.environ if name.startswith("KUBECHAIN_")}
        return follow(words, folder / "out", {**given, "KUBECHAIN_CACHE": str(folder / "cache")}).run()


@pytest.fixture(scope="module")
def with_blockers(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return run_on_loopback(tmp_path_factory.mktemp("blockers"), lambda kind: kind.blocks)


@pytest.fixture(scope="module")
def with_twins(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return run_on_loopback(tmp_path_factory.mktemp("twins"), lambda kind: kind.twins)


@pytest.mark.parametrize("kind", SHOWN, ids=lambda kind: kind.id)
def test_blocker_is_found_by_the_command(with_blockers: RunRecord, kind: Kind) -> None:
    assert missed(kind, with_blockers) == ""


@pytest.mark.parametrize("kind", SHOWN, ids=lambda kind: kind.id)
def test_twin_is_not_called_a_blocker_by_the_command(with_twins: RunRecord, kind: Kind) -> None:
    assert alarm(kind, with_twins) == ""


def test_rig_counts_a_blocker_only_if_the_message_says_all_of_it() -> None:
    (kind,) = [each for each in KINDS if each.id == "budget"]

    def run(outcome: str, message: str | None) -> RunRecord:
        return finished(1, claim_record(Link.PODS, outcome, id=kind.claim, message=message))

    whole = " ".join(kind.says)
    assert missed(kind, run("failed", whole)) == ""
    assert f"does not say '{kind.says[2]}'" in missed(kind, run("failed", whole.replace(kind.says[2], "")))
    assert "passed" in missed(kind, run("passed", None))
    assert missed(kind, finished(1)) == "BEFORE-PODS-010 did not run"
    assert alarm(kind, run("passed", None)) == ""
    assert "skipped" in alarm(kind, run("skipped", "needs x"))
    nothing = {each.id: "" for each in KINDS}
    text = table(KINDS, {**nothing, "budget": "not seen"}, {**nothing, "room": "seen"})
    assert "9 kinds, 8 found, 1 false alarms on the twins.\n- budget: not seen\n- room: seen\n" in text
