"""The load on the nodePorts of a chain reaches every Node, however many there are."""

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.conditions.http import Page
from kubechain.observe.clock import RealClock
from kubechain.probes import http
from kubechain.scenarios.load import PROBERS, load
from kubechain.workload import node_reach, sources
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import WELCOME


def nothing(*_: object) -> None:
    """Do nothing."""


@pytest.mark.parametrize("nodes", [1, 2, PROBERS, PROBERS + 2])
def test_every_node_is_sent_requests(nodes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, urls, all_asked = set[str](), [f"http://node-{number}/" for number in range(nodes)], threading.Event()

    def fetch(url: str, *, port: int) -> Page:
        asked.add(url)
        if len(asked) == nodes:
            all_asked.set()
        return Page(url, 200, WELCOME, source=str(port))

    monkeypatch.setattr(http, "fetch", fetch)
    monkeypatch.setattr(sources, "backends_at_nodes", nothing)
    monkeypatch.setattr(node_reach, "require_host", nothing)
    waiter = SimpleNamespace(eventually=nothing, clock=RealClock())
    chain = cast("Chain", cast("Any", SimpleNamespace(require=nothing, waiter=waiter, pod_names=frozenset())))
    with load(chain, urls, 200.0) as stream:
        assert all_asked.wait(5), f"never asked: {sorted({*urls} - asked)}"
    assert not stream.tally().lost
