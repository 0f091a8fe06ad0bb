import threading

import pytest

from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import Transient, Unmet
from kubechain.observe.present_waits import PRESENT_WAITS, PresentWait, PresentWaits
from kubechain.observe.wait import Polled, Waiter
from tests.fakes import FakeClock

TEN = Timeout(10, "ten will do")


def seen_while(clock: FakeClock, *, holds: bool = False) -> list[PresentWait]:
    found: list[PresentWait] = []

    def poll() -> int:
        last = PRESENT_WAITS.last()
        assert last
        found.append(PresentWait(**vars(last)))
        if len(found) == 2 and not holds:
            raise Transient("no answer")
        return len(found)

    source, waiter = Polled("polls", poll, clock, 1.0), Waiter(clock)
    if holds:
        waiter.consistently(source, Condition("any number", lambda n: expect(n > 0, str(n))), during=TEN)
    else:
        with pytest.raises(Unmet):
            waiter.eventually(source, Condition("a hundred", lambda n: expect(n > 99, f"{n} so far")), within=TEN)
    return found


def test_wait_is_listed_with_its_state_until_it_ends() -> None:
    clock = FakeClock()
    began = clock.now()
    found = seen_while(clock)
    assert [(each.what, each.condition, each.got) for each in found[:4]] == [
        ("polls", "a hundred", ""),
        ("polls", "a hundred", "1 so far"),
        ("polls", "a hundred", "no answer"),
        ("polls", "a hundred", "3 so far"),
    ]
    assert {(each.began, each.ends) for each in found} == {(began, began + 10)}
    assert PRESENT_WAITS.last() is None


def test_state_that_must_hold_is_listed_too() -> None:
    assert {(each.condition, each.ends - each.began) for each in seen_while(FakeClock(), holds=True)} == {("any number", 10.0)}
    assert PRESENT_WAITS.last() is None


def test_waits_of_several_threads_end_in_any_order() -> None:
    waits, inside, leave = PresentWaits(), threading.Event(), threading.Event()

    def other() -> None:
        with waits.wait("x", "same", 1, 2):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with waits.wait("x", "same", 1, 2) as mine:
        thread.start()
        assert inside.wait(10)
    (left,) = waits.waits
    assert left is not mine
    leave.set()
    thread.join(10)
    assert waits.last() is None
