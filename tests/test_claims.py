from collections.abc import Callable

import pytest

from kubechain.claims.claim import DOCS, Claim, ClaimDecorator, Link, claim, problems
from kubechain.claims.requirements import OWN_CLUSTER
from tests.fakes import claim_of


def make(identity: str, text: str | None, **more: object) -> Callable[..., None]:
    def body() -> None: ...

    body.__doc__ = text
    return claim(identity, spec="a/b/", **more)(body)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "bad", ["", "CHAIN-PODS-1", "chain-pods-010", "CHAIN-010", "CHAIN-PODS-010x", "CHAIN PODS 010", "CHAIN-MOON-010"]
)
def test_id_of_another_form_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="expected WORD-LINK-010"):
        make(bad, "A Pod MUST run.")


@pytest.mark.parametrize(
    "text",
    [None, "", "A Pod runs.", "A Pod must run.", "A Pod MUST run", "A Pod MUST run. It MUST stay."],
    ids=["none", "empty", "no MUST", "small must", "no full stop", "two sentences"],
)
def test_docstring_that_is_not_one_must_sentence_is_refused(text: str | None) -> None:
    with pytest.raises(ValueError, match="MUST sentence"):
        make("CHAIN-PODS-010", text)


def test_docstring_over_two_lines_is_one_sentence() -> None:
    made = make("CHAIN-PODS-010", "A Pod MUST\n        run.\n        ")
    found: Claim = made.pytestmark[0].args[0]  # pyright: ignore[reportFunctionMemberAccess]
    assert found.must == "A Pod MUST run."


def test_metadata_is_written_as_json() -> None:
    made = make("CHAIN-PODS-010", "A Pod MUST run.", requires=[OWN_CLUSTER], after=[Link.DNS], level="full", upstream="Pods")
    found: Claim = made.pytestmark[0].args[0]  # pyright: ignore[reportFunctionMemberAccess]
    assert found.spec_url == DOCS + "a/b/"
    plain = found.as_json()
    assert (plain["link"], plain["requirements"], plain["after"], plain["level"]) == ("PODS", ["kind"], ["DNS"], "full")
    assert type(plain["link"]) is str
    assert type(plain["after"][0]) is str


def test_id_gives_the_link() -> None:
    made = make("LIFE-ROLLOUT-010", "A Deployment MUST roll.")
    assert made.pytestmark[0].args[0].link == Link.ROLLOUT  # pyright: ignore[reportFunctionMemberAccess]


@pytest.mark.parametrize(
    ("spec", "page"), [("", "a/b/"), ("#anchor", "a/b/#anchor"), ("c/d/", "c/d/")], ids=["page", "anchor", "another page"]
)
def test_decorator_has_default_page_and_level(spec: str, page: str) -> None:
    def body() -> None:
        """A Pod MUST run."""

    made = ClaimDecorator("a/b/", level="full")("CHAIN-PODS-010", spec=spec)(body)
    found: Claim = made.pytestmark[0].args[0]  # pyright: ignore[reportFunctionMemberAccess]
    assert (found.spec, found.level) == (page, "full")


def test_links_have_the_order_of_the_chain() -> None:
    chain = ["DEPLOYMENT", "REPLICASET", "PODS", "SERVICE", "ENDPOINTS", "CLUSTERIP", "DNS", "DELETION"]
    assert sorted(chain, key=lambda name: Link(name).order) == chain
    assert [link.order for link in Link] == list(range(len(Link)))


def test_test_without_a_claim_is_a_problem() -> None:
    (found,) = problems([("suites/chain/test_1.py::test_x", None)])
    assert found.startswith("suites/chain/test_1.py::test_x")


def test_id_of_two_tests_is_a_problem() -> None:
    twice = claim_of(Link.PODS)
    found = problems([("suites/a.py::test_a", twice), ("suites/b.py::test_b", twice)])
    assert found == ["CHAIN-PODS-010: 2 tests have this id"]


def test_parametrized_claim_is_no_problem() -> None:
    one = claim_of(Link.PODS)
    assert problems([("suites/a.py::test_a[1.36]", one), ("suites/a.py::test_a[1.37]", one)]) == []


def test_all_problems_are_returned() -> None:
    twice = claim_of(Link.PODS)
    found = problems([("suites/a.py::a", twice), ("suites/a.py::b", twice), ("suites/a.py::c", None)])
    assert len(found) == 2
