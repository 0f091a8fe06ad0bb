from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from kubechain.claims.claim import Link, Outcome
from kubechain.claims.records import CollectedClaim
from kubechain.core.errors import Blocked, HarnessError, Unmet
from kubechain.pytest import outcomes
from kubechain.pytest.outcomes import one_line, outcome_of
from kubechain.pytest.state import RUN
from tests.engine_objects import run_state
from tests.fakes import claim_of


def caught(raising: Callable[[], NoReturn]) -> BaseException:
    try:
        raising()
    except BaseException as error:  # noqa: BLE001  # pytest's own outcomes are no Exceptions
        return error


def skipping() -> NoReturn:
    pytest.skip("needs 2 nodes")


def failing() -> NoReturn:
    pytest.fail("Timeout (>60.0s) from pytest-timeout.")


@pytest.mark.parametrize("when", ["setup", "call", "teardown"])
@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (Unmet("no ready address"), Outcome.FAILED),
        (Blocked("PODS", "0/2 ready"), Outcome.BLOCKED),
        (HarnessError("unreachable"), Outcome.INCONCLUSIVE),
        (KeyError("status"), Outcome.INCONCLUSIVE),
        (OSError("no space left"), Outcome.INCONCLUSIVE),
        (caught(skipping), Outcome.SKIPPED),
        (caught(failing), Outcome.INCONCLUSIVE),
        (KeyboardInterrupt(), Outcome.INCONCLUSIVE),
    ],
    ids=["unmet", "blocked", "harness", "defect", "machine", "skip", "timeout", "interrupt"],
)
def test_outcome_depends_on_the_exception(error: BaseException, wanted: Outcome, when: str) -> None:
    assert outcome_of(error, when) == wanted


def test_claim_without_an_exception_has_passed() -> None:
    assert outcome_of(None, "call") == Outcome.PASSED


def test_assertion_of_a_claim_is_failed_and_of_a_fixture_inconclusive() -> None:
    assert outcome_of(AssertionError(), "call") == Outcome.FAILED
    assert outcome_of(AssertionError(), "setup") == Outcome.INCONCLUSIVE
    assert outcome_of(AssertionError(), "teardown") == Outcome.INCONCLUSIVE


def test_message_is_one_line_and_not_empty() -> None:
    assert one_line(HarnessError("a\n  b")) == "a b"
    assert one_line(ZeroDivisionError()) == "ZeroDivisionError"


def test_trouble_that_many_claims_have_is_shown_with_its_traceback_once() -> None:
    state = run_state()
    report: Any = SimpleNamespace(longreprtext='File "client.py", line 1')
    shown = [
        outcomes.traceback_of(
            report, CollectedClaim.of(claim_of(Link.PODS, id=name), "a::b").ended(Outcome.INCONCLUSIVE, why), state
        )
        for name, why in [("CHAIN-PODS-010", "no answer"), ("CHAIN-PODS-020", "no answer"), ("CHAIN-PODS-030", "401")]
    ]
    assert [text.splitlines()[0] for text in shown] == [
        'File "client.py", line 1',
        "CHAIN-PODS-020 (PODS): no answer",
        'File "client.py", line 1',
    ]
    assert all(text.splitlines()[-1].startswith("CHAIN-PODS-0") for text in shown)


def item(nodeid: str, link: Link | None = None, **over: Any) -> Any:
    names = over.pop("fixturenames", [])
    found = claim_of(link, **over) if link else None
    marker = SimpleNamespace(args=[found]) if found else None
    return SimpleNamespace(nodeid=nodeid, fixturenames=names, get_closest_marker=lambda _name: marker)  # pyright: ignore[reportUnknownLambdaType]


def collect(items: list[Any], level: str = "quick", only: str = "") -> list[str]:
    """Pass the items to the plugin in a run of this level, or of `only`; return the node ids that it deselects."""
    deselected_ids: list[str] = []

    def deselected(items: list[Any]) -> None:
        deselected_ids.extend(item.nodeid for item in items)

    stash = {RUN: run_state({"level": level, "only": only, "also": "", "chains": 1})}
    config: Any = SimpleNamespace(stash=stash, hook=SimpleNamespace(pytest_deselected=deselected))
    outcomes.pytest_collection_modifyitems(config, items)
    return deselected_ids


def test_claims_run_in_the_order_of_links_and_ids() -> None:
    items = [
        item("suites/z.py::a", Link.DELETION),
        item("suites/b.py::b", Link.PODS, id="CHAIN-PODS-020"),
        item("suites/a.py::c", Link.DEPLOYMENT),
        item("suites/c.py::d", Link.PODS, id="CHAIN-PODS-010"),
    ]
    collect(items)
    assert [each.nodeid[-1] for each in items] == ["c", "d", "b", "a"]


def test_long_claim_runs_first_in_its_link() -> None:
    items = [
        item("suites/a.py::a", Link.PODS, id="CHAIN-PODS-010"),
        item("suites/a.py::b", Link.PODS, id="CHAIN-PODS-020", long=True),
        item("suites/a.py::c", Link.IMAGE),
    ]
    collect(items)
    assert [each.nodeid[-1] for each in items] == ["c", "b", "a"]


def test_quick_run_deselects_claims_of_the_full_level() -> None:
    items = [item("suites/a.py::a", Link.PODS), item("suites/a.py::b", Link.PODS, id="CHAIN-PODS-020", level="full")]
    assert collect(list(items), "full") == []
    assert collect(items, "quick") == ["suites/a.py::b"]
    assert [each.nodeid for each in items] == ["suites/a.py::a"]


def test_test_under_suites_without_a_claim_is_a_usage_error() -> None:
    with pytest.raises(pytest.UsageError, match=r"suites/a\.py::test_a: the test has no @claim"):
        collect([item("suites/a.py::test_a"), item("suites/a.py::test_b", Link.PODS)])


def test_tests_of_the_harness_need_no_claim() -> None:
    assert collect([item("tests/test_a.py::test_a")]) == []


def test_only_selects_claims_of_any_level() -> None:
    items = [
        item("suites/a.py::a", Link.PODS, id="CHAIN-PODS-010"),
        item("suites/a.py::b", Link.PODS, id="CHAIN-PODS-020", level="full"),
    ]
    assert collect(items, only="CHAIN-PODS-020") == ["suites/a.py::a"]


def test_only_with_an_unknown_claim_is_a_usage_error() -> None:
    with pytest.raises(pytest.UsageError, match="no such claim: CHAIN-PODS-999"):
        collect([item("suites/a.py::a", Link.PODS)], only="CHAIN-PODS-999")


def test_test_of_a_fault_needs_no_claim() -> None:
    items = [item("suites/faults/test_faults.py::a", fixturenames=["fault"])]
    assert collect(items) == []
