"""How often a watch that fails again and again asks the API server, and what it is called meanwhile."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest

from kubechain.core.errors import ExitCode
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from kubechain.kube.listing import Listing
from kubechain.kube.objects import Json
from kubechain.observe.history import History
from kubechain.observe.reflector import LONGEST_SECONDS, RETRY_SECONDS, SHORT_SECONDS, SHORT_WATCHES, Reflector
from tests.fakes import FakeClock, pod
from tests.feeds import FakeFeed

DOWN = ApiUnavailable("API server: 503 ServiceUnavailable: etcd", ExitCode.UNREACHABLE)
GONE = ApiRefused(410, "Expired", "too old resource version")
EVENT = ("ADDED", pod(0).body)
ROUNDS = 40


def following(watches: Sequence[Any]) -> tuple[Reflector, History]:
    history = History("ns", FakeClock())
    return Reflector(FakeFeed([Listing([], "70")] * ROUNDS, watches), "Pod", history), history


@pytest.mark.parametrize("watch", [DOWN, GONE, []], ids=["503", "410", "ends at once"])
def test_pauses_grow_up_to_some_seconds(watch: Any) -> None:
    follower, _ = following([watch] * ROUNDS)
    pauses = [follower.list_and_watch() for _ in range(ROUNDS)]
    assert pauses[0] <= RETRY_SECONDS
    assert all(LONGEST_SECONDS / 2 <= pause <= LONGEST_SECONDS for pause in pauses[5:])
    assert len({*pauses[5:]}) > 1, "all kinds return at the same moment"
    assert all(later >= earlier / 2 for earlier, later in pairwise(pauses))


def test_version_that_is_gone_is_listed_at_once_the_first_time() -> None:
    follower, _ = following([GONE] * 2)
    assert follower.list_and_watch() == 0
    assert follower.list_and_watch() > 0


def test_watch_that_delivered_is_no_failure_and_resets_the_pauses() -> None:
    follower, history = following([*[DOWN] * 10, [EVENT], DOWN])
    pauses = [follower.list_and_watch() for _ in range(12)]
    assert pauses[9] > RETRY_SECONDS
    assert (pauses[10], history.losses) == (0, 2)
    assert pauses[11] <= RETRY_SECONDS


class Living(FakeFeed):
    """Each watch lives for SHORT_SECONDS and is silent."""

    clock: FakeClock

    def watch(self, kind: str, namespace: str, version: str, seconds: float) -> Iterator[tuple[str, Json]]:  # noqa: ARG002
        """End after SHORT_SECONDS."""
        self.clock.time += SHORT_SECONDS
        yield from ()


def test_watch_that_lived_is_no_failure() -> None:
    feed, clock = Living([Listing([], "70")]), FakeClock()
    feed.clock, history = clock, History("ns", clock)
    follower = Reflector(feed, "Pod", history)
    assert [follower.list_and_watch() for _ in range(ROUNDS)] == [0] * ROUNDS
    assert history.trouble() is None


def test_watches_that_end_at_once_again_and_again_are_trouble_until_one_delivers() -> None:
    follower, history = following([*[[]] * SHORT_WATCHES, [EVENT]])
    for _ in range(SHORT_WATCHES - 1):
        follower.list_and_watch()
        assert history.trouble() is None
    follower.list_and_watch()
    assert f"{SHORT_WATCHES} watches in a row ended at once" in str(history.trouble())
    follower.list_and_watch()
    assert history.trouble() is None
