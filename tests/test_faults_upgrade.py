"""Faults in the middle of an upgrade: what is injected, and that it goes."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from kubechain.core.run import UPGRADE_LABEL
from kubechain.faults.catalogue import selection, upgrade_events
from kubechain.faults.catalogue.upgrade_events import CorefileLine
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


def test_lost_line_of_the_corefile_comes_back_whatever_happened() -> None:
    world, fault = World(), CorefileLine()
    fault.heal(world.testbed)
    assert world.corefile == COREFILE
    assert not fault.in_effect(world.testbed).met
    fault.inject(world.testbed)
    assert "loadbalance" not in world.corefile
    assert fault.in_effect(world.testbed).met
    for _ in range(2):
        fault.heal(world.testbed)
        assert world.corefile == COREFILE


def test_broken_budget_is_two_pods_that_end_at_once() -> None:
    world = World()
    (fault,) = [each for each in upgrade_events.FAULTS if each.id == "upgrade-budget-broken"]
    fault.injection.inject(world.testbed)
    assert [name for name, _ in world.deleted] == ["web-0", "web-1"]
    assert all(body["gracePeriodSeconds"] == 0 and body["preconditions"]["uid"] for _, body in world.deleted)


def test_at_least_twelve_faults_are_in_the_middle_of_an_upgrade() -> None:
    assert sum(fault.kind == "upgrade" for fault in selection.ALL) >= 12
