"""Which Nodes are asked in a large cluster: all of a few, and of many a sample."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TypeVar

from kubechain.conditions.condition import Condition, Result
from kubechain.kube.objects import KubeObject

T = TypeVar("T")
# A round of requests to as many Nodes takes seconds. Of a fault at one Node in twenty, a sample of 50 finds 92 percent.
SAMPLE = 50


def sampled(nodes: Sequence[KubeObject], seed: str, always: Collection[str] = ()) -> list[KubeObject]:
    """Return the Nodes to ask, in their order: all if there are at most SAMPLE, else SAMPLE of them and those named in `always`.

    The same Nodes and the same seed give the same sample.
    """
    if len(nodes) <= SAMPLE:
        return list(nodes)
    ranked = sorted(nodes, key=lambda node: hashlib.sha256(f"{seed} {node.name}".encode()).digest())
    chosen = {node.name for node in ranked[:SAMPLE]}.union(always)
    return [node for node in nodes if node.name in chosen]


def note(asked: int, nodes: int) -> str:
    """Return how many Nodes were asked, for the end of a message; "" if it was each."""
    return f" (asked {asked:,} of {nodes:,} Nodes, a sample)" if asked < nodes else ""


def noted(condition: Condition[T], text: str) -> Condition[T]:
    """Return the same condition, with a text at the end of its name and of what its messages say there is."""

    def check(state: T) -> Result:
        result = condition(state)
        return replace(result, got=f"{result.got}{text}")

    return Condition(f"{condition.what}{text}", check, condition.timeout)
