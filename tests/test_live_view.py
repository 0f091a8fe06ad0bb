"""The rows and lines of a run's progress."""

import io
from datetime import date
from typing import Any

import pytest
from rich.console import Console

from kubechain.claims.claim import Link
from kubechain.claims.records import ClaimRecord, KnownIssue
from kubechain.pytest.live_view import LinkProgress, line, links, picture, waiting
from kubechain.pytest.present import Present
from tests.fakes import collected, record

WAIT = Present(claim="T-PODS-010", condition="web to have 2 ready Pods", got="1 of 2 ready", began=100, ends=160)
EVERY = [LinkProgress(link, 4, {"passed": 4} if link.order < 5 else {}) for link in Link]


def rows(
    progress: list[LinkProgress], present: list[Present], *, columns: int = 80, height: int = 60, unicode: bool = True
) -> list[str]:
    console = Console(file=io.StringIO(), width=columns, color_system=None)
    console.print(picture(progress, present, 112.0, 30.0, (columns, height), unicode=unicode))
    output: Any = console.file
    return output.getvalue().splitlines()


def of(outcome: str, link: Link = Link.PODS, **over: Any) -> ClaimRecord:
    return record(link, outcome, **over)


def test_links_count_the_last_record_of_each_claim() -> None:
    pods = [collected(Link.PODS, id=f"T-PODS-0{number}0") for number in range(1, 5)]
    known = of("failed", id="T-PODS-030").model_copy(
        update={"known": KnownIssue(reason="r", owner="o", expires=date(2030, 1, 1))}
    )
    ended = {each.nodeid: each for each in (of("passed", id="T-PODS-010"), of("blocked", id="T-PODS-020"), known)}
    (dns, found) = sorted(links([*pods, collected(Link.DNS)], ended), key=lambda each: -each.link.order)
    assert (found.total, found.done, found.complete, found.worst) == (4, 3, False, "blocked")
    assert found.words == "1 passed, 1 blocked, 1 known"
    assert (dns.total, dns.done) == (1, 0)


def test_line_on_a_link_has_its_counts_and_those_of_the_run() -> None:
    pods = LinkProgress(Link.PODS, 3, {"passed": 2, "failed": 1})
    assert line(pods, [pods, LinkProgress(Link.DNS, 5, {})], 12.4) == "  PODS: 2 passed, 1 failed (3 of 8 claims after 12 s)"


def test_wait_in_a_log_has_what_is_expected_what_there_is_and_the_time() -> None:
    expected = "  .. T-PODS-010: expected web to have 2 ready Pods, got 1 of 2 ready (waited 12 of 60 s so far)"
    assert waiting(WAIT, 112.0) == expected
    assert waiting(Present(claim="T-PODS-010"), 112.0) == "  .. T-PODS-010 runs"


def test_picture_has_a_row_for_each_link_and_two_for_each_wait() -> None:
    shown = rows([LinkProgress(Link.PODS, 4, {"passed": 2, "failed": 1})], [WAIT, Present(claim="T-DNS-010")])
    assert [row.rstrip() for row in shown] == [
        "  3 of 4 claims after 30 s",
        f"  ✗ PODS {'━' * 15}      3/4  1 failed",
        "  T-PODS-010 waits for web to have 2 ready Pods",
        "    48 s of 60 s left; now: 1 of 2 ready",
        "  T-DNS-010",
        "",
    ]


@pytest.mark.parametrize("columns", [40, 20])
def test_no_row_is_wider_than_the_terminal(columns: int) -> None:
    long = WAIT.model_copy(update={"condition": "word " * 50, "got": "state " * 50})
    shown = rows([LinkProgress(Link.REPLICASET, 90, {"passed": 80, "failed": 5, "inconclusive": 5})], [long], columns=columns)
    assert len(shown) == 4
    assert all(len(row) <= columns for row in shown)
    assert "━" not in "".join(shown)


@pytest.mark.parametrize("height", [24, 12])
def test_links_that_hold_or_are_to_come_share_a_row_where_there_is_no_room(height: int) -> None:
    some = [*EVERY[:5], LinkProgress(EVERY[5].link, 4, {"passed": 1}), *EVERY[6:]]
    shown = rows(some, [WAIT], height=height)
    assert len(shown) < height
    assert (len(shown) == len(EVERY) + 3) == (height == 24)
    if height == 12:
        assert shown[1].rstrip() == f"  5 links hold, {len(EVERY) - 6} links to come"


@pytest.mark.parametrize(
    ("ended", "mark"),
    [
        ({"passed": 4}, "✓"), ({"skipped": 4}, "-"), ({"passed": 2}, "·"), ({"blocked": 1}, "⊘"), ({"inconclusive": 1}, "?"),
        ({"not run": 4}, "○"), ({"known": 1, "passed": 3}, "✗"), ({"failed": 1, "blocked": 3}, "✗"),
    ],
)  # fmt: skip
def test_mark_says_how_a_link_stands(ended: dict[str, int], mark: str) -> None:
    one = [LinkProgress(Link.PODS, 4, ended)]
    assert rows(one, [])[1].split()[0] == mark
    assert rows(one, [], unicode=False)[1].split()[0].isascii()
