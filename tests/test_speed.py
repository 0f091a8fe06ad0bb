"""What counts as slower: only what noise does not explain."""

from __future__ import annotations

import itertools
import math

import pytest

from kubechain.claims.claim import Link
from kubechain.results import speed
from tests.finished_runs import passed, run, series


def test_chance_is_the_share_of_all_orders_that_are_as_extreme() -> None:
    before, after = [1.0, 2.0, 4.0], [3.0, 5.0, 6.0]

    def wrong(first: tuple[float, ...]) -> int:
        second = [value for value in range(1, 7) if value not in first]
        return sum(old > new for old, new in itertools.product(first, second))

    orders = [wrong(first) for first in itertools.combinations(range(1, 7), 3)]
    assert speed.chance(before, after) == pytest.approx(2 * sum(count <= 1 for count in orders) / len(orders))


@pytest.mark.parametrize("size", [3, 8, 12])
def test_chance_of_two_sets_that_do_not_overlap_is_the_least(size: int) -> None:
    before, after = [float(n) for n in range(size)], [float(n) for n in range(100, 100 + size)]
    assert speed.chance(before, after) == speed.chance(after, before) == pytest.approx(2 / math.comb(2 * size, size))


def test_equal_values_are_no_difference() -> None:
    assert speed.chance([1.0] * 8, [1.0] * 8) == 1.0


def test_approximation_is_close_to_the_exact_test(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = [float(n) for n in range(0, 40, 2)], [n + 9.5 for n in range(0, 40, 2)]
    exact = speed.chance(before, after)
    monkeypatch.setattr(speed, "EXACT", 1)
    assert speed.chance(before, after) == pytest.approx(exact, rel=0.1)
    assert exact < 0.05


def test_holm_corrects_for_the_number_of_tests() -> None:
    assert speed.holm([0.04]) == [True]
    assert speed.holm([0.04, 0.9]) == [False, False]
    assert speed.holm([0.03, 0.01, 0.9]) == [False, True, False]
    assert speed.holm([0.02, 0.01, 0.9]) == [True, True, False]
    assert speed.holm([]) == []


def test_one_slow_claim_among_many_is_found_and_noise_is_not() -> None:
    usual = [1.0 + index / 10 for index in range(150)]
    slow = [each * (1.6 if index == 70 else 1) for index, each in enumerate(usual)]
    found = speed.changes(series(8, usual, 1), series(8, slow, 2, first=10))
    assert (found.silent, found.tested) == ("", 150)
    assert [(change.what, change.slower) for change in found.changes] == [("CHAIN-PODS-070", True)]
    back = speed.changes(series(8, slow, 2), series(8, usual, 1, first=10))
    assert [(change.what, change.slower) for change in back.changes] == [("CHAIN-PODS-070", False)]


def test_noise_alone_is_called_a_change_in_few_comparisons() -> None:
    wrong = sum(
        bool(speed.changes(series(8, [2.0] * 30, seed), series(8, [2.0] * 30, 1000 + seed)).changes) for seed in range(60)
    )
    # Five percent are three; more than eight of 60 have a chance of one percent.
    assert wrong <= 8


def test_nothing_is_said_about_speed_with_too_few_runs() -> None:
    found = speed.changes(series(8, [1.0], 1), series(7, [99.0], 2))
    assert found.silent == "no verdict on speed under 8 runs on each side (got 8 and 7)"
    assert found.changes == []


def test_small_figures_and_claims_that_seldom_pass_are_left_out() -> None:
    assert speed.changes(series(8, [0.01], 1), series(8, [0.04], 2)).tested == 0
    seldom = [run(number, passed(Link.PODS), *([passed(Link.DNS, 9.0)] if number % 2 else [])) for number in range(8)]
    assert speed.changes(seldom, seldom).tested == 0


def test_hand_overs_are_compared_too() -> None:
    before = [run(number, passed(Link.PODS), ready=1.0 + number / 100) for number in range(8)]
    after = [run(number, passed(Link.PODS), ready=3.0 + number / 100) for number in range(8)]
    found = speed.changes(before, after).changes
    assert {(change.kind, change.what) for change in found} == {("hand-over", "ready p50"), ("hand-over", "ready p99")}
