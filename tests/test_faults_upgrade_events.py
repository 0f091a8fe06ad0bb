"""Faults in the middle of an upgrade: what is injected, and that it goes."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from kubechain.core.run import UPGRADE_LABEL
from kubechain.faults.catalogue import selection, witnesses
from kubechain.faults.testbed import Testbed
from tests.fakes import FakeApi, thing

COREFILE = ".:53 {\n    errors\n    loop\n    reload\n    loadbalance\n}\n"


class World:
    """A cluster with the witnesses of a rehearsal and the Corefile of kubeadm."""

    def __init__(self) -> None:
        self.corefile = COREFILE
        self.deleted: list[tuple[str, Any]] = []
        api = FakeApi(self.answer)
        self.testbed = Testbed(cast("Any", None), cast("Any", SimpleNamespace(api=api)), Path(), cast("Any", None))

    def answer(self, method: str, path: str, body: Any) -> str:
        """Answer as the API server."""
        name = path.rpartition("/")[2]
        if method == "DELETE":
            self.deleted.append((name, body))
            return "{}"
        if name == "coredns":
            if method == "PATCH":
                self.corefile = body["data"]["Corefile"]
            return json.dumps(thing("ConfigMap", "coredns", data={"Corefile": self.corefile}).body)
        lists = {
            "namespaces": [thing("Namespace", "kubechain-upgrade-1", labels={UPGRADE_LABEL: "1"})],
            "pods": [thing("Pod", f"web-{number}") for number in range(4)],
        }
        return json.dumps({"items": [each.body for each in lists[name]], "metadata": {"resourceVersion": "1"}})


def fault(identity: str) -> Any:
    """Return the injection of a fault."""
    return next(each.injection for each in witnesses.FAULTS if each.id == identity)


def test_lost_line_of_the_corefile_comes_back_whatever_happened() -> None:
    world, lost = World(), fault("upgrade-corefile-lost")
    lost.heal(world.testbed)
    assert world.corefile == COREFILE
    assert not lost.in_effect(world.testbed).met
    lost.inject(world.testbed)
    assert "\n    loadbalance" not in world.corefile
    assert lost.in_effect(world.testbed).met
    for _ in range(2):
        lost.heal(world.testbed)
        assert world.corefile == COREFILE


def test_exceeded_budget_is_two_pods_that_end_at_once() -> None:
    world = World()
    fault("upgrade-budget-exceeded").inject(world.testbed)
    assert [name for name, _ in world.deleted] == ["web-0", "web-1"]
    assert all(body["gracePeriodSeconds"] == 0 for _, body in world.deleted)


def test_at_least_twelve_faults_are_in_the_middle_of_an_upgrade() -> None:
    assert sum(fault.kind == "upgrade" for fault in selection.ALL) >= 12
