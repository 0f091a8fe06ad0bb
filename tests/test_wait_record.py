"""What the record of a wait says: how long it lasted, and the time since its cause."""

import pytest

from kubechain.conditions.condition import Condition, hopeless
from kubechain.core.errors import Unmet
from kubechain.observe.wait import Waiter
from tests.fakes import FakeClock
from tests.test_wait import IS_THREE, TEN, Readings


def test_seconds_of_a_wait_are_its_own_and_those_since_its_cause_are_another_figure(fake: FakeClock) -> None:
    waiter, begun = Waiter(fake), fake.now()
    fake.time += 8
    waiter.eventually(Readings(fake, [3]), IS_THREE, within=TEN, since=begun)
    waiter.eventually(Readings(fake, [2, 3]), IS_THREE, within=TEN, since=begun)
    waiter.eventually(Readings(fake, [2, 3]), IS_THREE, within=TEN)
    found = [(entry.ended_by, entry.seconds, entry.since_cause) for entry in waiter.record]
    assert found == [("met at once", 0.0, 8.0), ("change 1", 1.0, 9.0), ("change 1", 1.0, None)]
    lost: Condition[int] = Condition("pulled", lambda _: hopeless("ImagePullBackOff"))
    with pytest.raises(Unmet, match=r"gave up after 0\.0 s"):
        waiter.eventually(Readings(fake, [1]), lost, within=TEN, since=begun)
