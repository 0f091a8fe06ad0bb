"""A cluster that others use, too: hundreds of namespaces and Services that are none of the suite's business."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TypeVar

from kubechain.conditions.condition import Result, expect
from kubechain.kube.objects import Json
from tests.terrains.ground import Ground

T = TypeVar("T")
LABEL = {"kubechain-terrain": "crowd"}
SELECTOR = "kubechain-terrain=crowd"
AT_ONCE = 8


@dataclass(frozen=True)
class Crowd:
    """Namespaces of others, and Services of theirs, a few in each."""

    namespaces: int
    services: int

    def _names(self) -> list[str]:
        return [f"tenant-{number}" for number in range(self.namespaces)]

    def inject(self, ground: Ground, /) -> None:
        """Create them, some at once; those that are there stay."""
        there = {each.name for each in ground.api.list("Namespace", selector=SELECTOR).items}
        of_all(ground, [name for name in self._names() if name not in there], lambda own, name: own.api.create(space(name)))
        there = {each.at("metadata.namespace") + each.name for each in ground.api.list("Service", selector=SELECTOR).items}
        places = [(self._names()[number % self.namespaces], f"app-{number}") for number in range(self.services)]
        missing = [(place, name) for place, name in places if place + name not in there]
        of_all(ground, missing, lambda own, at: own.api.create(service(at[1]), at[0]))

    def in_effect(self, ground: Ground, /) -> Result:
        """Count them."""
        counts = [len(ground.api.list(kind, selector=SELECTOR).items) for kind in ("Namespace", "Service")]
        # While they are being deleted, some are there.
        return expect(sum(counts) > 0, "none")

    def heal(self, ground: Ground, /) -> None:
        """Delete the namespaces, with what is in them."""
        left = [each.name for each in ground.api.list("Namespace", selector=SELECTOR).items if not each.deleting]
        of_all(ground, left, lambda own, name: own.delete("Namespace", name))


def space(name: str) -> Json:
    """Return a namespace of the crowd."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": LABEL}}


def service(name: str) -> Json:
    """Return a Service of the crowd, which has no Pods."""
    metadata, ports = {"name": name, "labels": LABEL}, [{"port": 80}]
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": {"app": name}, "ports": ports}}


def of_all(ground: Ground, things: Iterable[T], act: Callable[[Ground, T], object]) -> None:
    """Do something with each of many things, AT_ONCE at once, each thread with a client of its own."""
    shares = [[*things][first::AT_ONCE] for first in range(AT_ONCE)]

    def work(share: list[T]) -> None:
        own = replace(ground)
        with closing(own.api):
            for each in share:
                act(own, each)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(work, shares))
