"""A watch may deliver late what is there: a chain reads a fresh list before it says that an object does not exist."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.core.errors import HarnessError
from kubechain.observe.history import History
from kubechain.observe.wait import Waiter
from kubechain.workload.chain import Chain
from tests.fakes import FakeClock, changed, deployment

MADE = deployment()


@pytest.fixture
def chain() -> Chain:
    """A chain of which the watches have delivered nothing yet."""
    clock = FakeClock()
    observer = cast("Any", SimpleNamespace(history=History("ns", clock)))
    return Chain(cast("Any", None), "ns", observer, Waiter(clock), (), "host", "nginx", frozenset(), "client", 2)


def test_object_that_the_watch_delivers_late_is_found(chain: Chain) -> None:
    chain.objects.proved_by(lambda: chain.objects.record("ADDED", MADE))
    assert chain.deployment == MADE


def test_what_a_list_shows_after_a_watch_was_down_was_seen_late() -> None:
    clock = FakeClock()
    history = History("ns", clock)
    history.relist("Deployment", [MADE])
    assert not history.seen_late(clock.now())
    history.lost("Deployment", "interrupted")
    clock.time += 61.7
    history.relist("Deployment", [changed(MADE, "metadata.resourceVersion", "99")], gap=True)
    # The history is told so after the list.
    clock.time += 0.001
    history.restored("Deployment", gap=True)
    assert history.seen_late(history.log()[-1].now)


def test_object_that_no_fresh_list_shows_does_not_exist(chain: Chain) -> None:
    chain.objects.proved_by(lambda: None)
    with pytest.raises(HarnessError, match="namespace ns: no Deployment web"):
        _ = chain.deployment
