"""What the soak says of its runs."""

from __future__ import annotations

import pytest

from tests.soak.records import Leftovers, SoakRun, summed_up, table

CLEAN = Leftovers(namespaces=[], cordons=[], processes=[], folders=[])


def run(number: int, *, mib: float = 100.0, seconds: float = 30.0, code: int = 0, left: Leftovers = CLEAN) -> SoakRun:
    verdict = "chain broken at PODS: x" if code else "chain holds: 81 claims in 20 s"
    return SoakRun(
        number=number,
        run=f"{number:08}",
        proxy="" if number % 2 else "cut",
        met=0,
        seconds=seconds,
        exit_code=code,
        verdict=verdict,
        troubles={},
        peak_mib=mib,
        leftovers=left,
    )


def test_run_that_leaves_something_has_failed() -> None:
    left = Leftovers(namespaces=["kubechain-1-main-0"], cordons=[], processes=[], folders=[])
    record = summed_up([run(1), run(2, left=left), run(3, code=1)])
    assert record.failures == 2
    assert "- run 2 (00000002, cut): chain holds" in table(record)
    assert "kubechain-1-main-0" in table(record)


@pytest.mark.parametrize(("last", "flat"), [(100.0, True), (110.0, True), (111.0, False), (50.0, True)])
def test_memory_is_flat_if_the_last_fifth_takes_at_most_a_tenth_more_than_the_first(last: float, *, flat: bool) -> None:
    runs = [run(number, mib=100.0) for number in range(8)] + [run(8, mib=last), run(9, mib=last)]
    assert summed_up(runs).flat is flat


def test_times_are_told_apart_by_the_connection() -> None:
    record = summed_up([run(number, seconds=number) for number in range(1, 6)])
    assert {mode: (s.min, s.median, s.max) for mode, s in record.seconds.items()} == {"direct": (1, 3, 5), "cut": (2, 3, 4)}
