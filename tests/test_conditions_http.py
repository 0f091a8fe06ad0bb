import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubechain.conditions import http as on
from kubechain.conditions.condition import Condition
from kubechain.conditions.http import Failure, Page

HI = "Welcome to nginx!"
URL = "http://10.96.0.9:80/"
FAILURES: tuple[Failure, ...] = ("refused", "timeout", "reset", "unreachable", "name", "other")


def page(backend: str = "a", *, status: int = 200, body: str = f"<h1>{HI}</h1>", peer: str = "", source: str = "") -> Page:
    return Page(URL, status, body, backend, source, peer)


def failed(failure: Failure) -> Page:
    return Page(URL, failure=failure, detail="curl exit 7")


A, B = page("a"), page("b")
GOOD: dict[str, tuple[Condition[list[Page]], list[Page]]] = {
    "all_welcome": (on.all_welcome(HI), [A, B]),
    "only_from": (on.only_from("a", "b"), [A, B, A]),
    "one_backend": (on.one_backend(), [A, A, A]),
    "spread_over": (on.spread_over(frozenset("ab")), [A, B] * 30),
    "came_from": (on.came_from("10.0.0.7"), [page(source="10.0.0.7")] * 2),
}


@pytest.mark.parametrize("name", GOOD)
def test_right_pages_meet_each_condition(name: str) -> None:
    condition, pages = GOOD[name]
    assert condition(pages).met


@pytest.mark.parametrize("name", GOOD)
def test_empty_list_of_pages_meets_no_condition(name: str) -> None:
    assert not GOOD[name][0]([]).met


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("name", GOOD)
def test_one_failure_among_right_pages_is_unmet(name: str, failure: Failure) -> None:
    condition, pages = GOOD[name]
    assert not condition([*pages, failed(failure)]).met
    assert not condition([failed(failure)]).met


@pytest.mark.parametrize("status", [204, 302, 403, 404, 500, 503])
@pytest.mark.parametrize("name", GOOD)
def test_one_page_with_another_status_is_unmet(name: str, status: int) -> None:
    condition, pages = GOOD[name]
    assert not condition([*pages, page("a", status=status, source="10.0.0.7")]).met


def test_page_without_the_text_is_unmet() -> None:
    result = on.all_welcome(HI)([A, page(body="<h1>It works!</h1>")])
    assert not result.met
    assert URL in result.got


def test_all_welcome_at_an_address_requires_every_connection_there() -> None:
    there = on.all_welcome(HI, at="10.96.0.9")
    assert there([page(peer="10.96.0.9")]).met
    assert not there([page(peer="10.96.0.9"), page(peer="10.244.0.5")]).met
    assert not there([page()]).met
    assert not there([]).met


def test_answers_of_other_backends_are_unmet() -> None:
    assert not on.only_from("a")([A, B]).met
    assert not on.only_from("a", "b")([A]).met
    assert not on.one_backend()([A, A, B]).met
    assert not on.came_from("10.0.0.7")([page(source="10.0.0.7"), page(source="10.244.0.1")]).met


def test_spread_requires_the_share_of_each_backend_and_no_other_backend() -> None:
    spread = on.spread_over(frozenset("ab"))
    assert not spread([A] * 60).met
    assert not spread([A] * 59 + [B]).met
    assert not spread([A, B] * 30 + [page("c")]).met
    assert not spread([A, B]).met
    lost = spread([A, B] * 6 + [failed("timeout")])
    assert (lost.met, lost.expected) == (False, "an answer to every request")


def test_least_share_is_the_largest_with_a_chance_below_the_alarm() -> None:
    def chance_of_less(least: int) -> float:
        return 2 * sum(math.comb(60, few) for few in range(least)) / 2**60

    least = on.least_share(60, 2)
    assert chance_of_less(least) < 1e-6 <= chance_of_less(least + 1)
    assert on.least_share(2, 2) == 0


@given(st.integers(1, 300), st.integers(1, 6))
def test_least_share_is_at_most_an_even_share(requests: int, backends: int) -> None:
    assert 0 <= on.least_share(requests, backends) <= requests / backends


EVERYWHERE = on.every_backend(frozenset("ab"), HI)
PLACES: dict[str, Mapping[str, list[Page]]] = {
    "no place": {},
    "no page at one place": {"n1": [A, B], "n2": []},
    "one backend never answers at one place": {"n1": [A, B], "n2": [A, A]},
    "a stranger answers at one place": {"n1": [A, B], "n2": [A, B, page("c")]},
    "a failure at one place": {"n1": [A, B], "n2": [A, B, failed("refused")]},
    "another page at one place": {"n1": [A, B], "n2": [A, page("b", body="")]},
}


def test_every_backend_at_every_place_is_met() -> None:
    assert EVERYWHERE({"n1": [A, B, A], "n2": [B, A]}).met


@pytest.mark.parametrize("name", PLACES)
def test_place_without_an_answer_of_every_backend_is_unmet(name: str) -> None:
    result = EVERYWHERE(PLACES[name])
    assert not result.met
    assert result.got


def test_place_is_named_once_where_it_is_the_url_of_the_page() -> None:
    assert EVERYWHERE({URL: [failed("refused")]}).got == f"{URL}: refused (curl exit 7)"
    assert EVERYWHERE({"n1": [failed("refused")]}).got == f"at n1: {URL}: refused (curl exit 7)"


def test_every_backend_without_backends_is_unmet() -> None:
    assert not on.every_backend(frozenset(), HI)({}).met
    assert not on.every_backend(frozenset(), HI)({"n1": []}).met


def test_all_refused_requires_refusals_only() -> None:
    refused = on.all_refused()
    assert refused([failed("refused")] * 2).met
    assert not refused([]).met
    for failure in FAILURES[1:]:
        assert not refused([failed("refused"), failed(failure)]).met
    assert not refused([failed("refused"), A]).met


def test_no_answer_accepts_timeouts_and_refusals_only() -> None:
    silent = on.no_answer()
    assert silent([failed("refused"), failed("timeout")]).met
    assert not silent([]).met
    assert not silent([failed("timeout"), A]).met
    assert not silent([failed("timeout"), page(status=503)]).met
    for failure in ("name", "other"):
        assert not silent([failed(failure)]).met


def test_page_as_text_has_failure_or_status() -> None:
    assert str(failed("refused")) == f"{URL}: refused (curl exit 7)"
    assert str(failed("other")) == f"{URL}: no answer (curl exit 7)"
    assert str(page(status=503)) == f"{URL}: 503"


def test_none_slower_rejects_late_connections_and_wrong_pages() -> None:
    quick = on.none_slower(1.0)
    assert quick([Page(URL, 200, connected=0.9)] * 3).met
    assert not quick([Page(URL, 200, connected=0.9), Page(URL, 200, connected=1.0)]).met
    assert not quick([Page(URL, 200, connected=0.1), Page(URL, 500, connected=0.1)]).met
    assert not quick([]).met


def test_backend_on_a_busy_node_may_take_its_time() -> None:
    assert on.none_slower(1.0)([Page(URL, 200, seconds=2.4, connected=0.002)]).met


def test_every_answer_has_the_status() -> None:
    healthy, sick = Page("http://n1/", 200), Page("http://n2/", 503)
    assert on.all_status(503)([sick]).met
    assert not on.all_status(503)([]).met
    assert str(on.all_status(503)([healthy, sick])) == "expected status 503 of every answer, got http://n1/: 200"


@pytest.mark.parametrize(("failure", "met"), [("refused", False), ("timeout", False), ("unreachable", False), ("reset", True)])
def test_connection_is_accepted_by_somebody(failure: Failure, *, met: bool) -> None:
    nobody = Page("http://n1/", failure="refused")
    assert on.any_accepted()([nobody, Page("http://n2/", failure=failure)]).met == met
    assert not on.any_accepted()([]).met


@pytest.mark.parametrize(
    ("back", "got"),
    [("7 9", ""), ("7 4", "4 of 9 bytes"), ("4294967295 0", "0 of 9 bytes"), ("6 9", "9 bytes with checksum 6 in place of 7")],
)
def test_body_comes_back_whole_and_unchanged(back: str, got: str) -> None:
    result = on.came_back()(("7 9", back))
    assert (result.met, str(result)) == (
        not got,
        str(result) if not got else f"expected 9 bytes to come back unchanged, got {got}",
    )
