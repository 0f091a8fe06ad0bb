from kubechain.conditions.condition import Condition, Result, all_of, empty, equal, expect, hopeless, met, unmet


def test_result_has_got_only_if_it_is_not_met() -> None:
    assert expect(ok=True, got="x is 3") == met()
    assert expect(ok=False, got="x is 3") == unmet("x is 3")
    assert str(equal("x", 3, 4)) == "expected x 4, got 3"
    assert hopeless("deleted").hopeless
    assert not hopeless("deleted").met


def test_all_of_reports_the_first_hopeless_or_unmet_result() -> None:
    def big(n: int) -> Result:
        return expect(n > 5, f"{n} is small")

    def even(n: int) -> Result:
        return expect(n % 2 == 0, f"{n} is odd")

    def lost(n: int) -> Result:
        return hopeless("negative") if n < 0 else met("sane")

    every: Condition[int] = all_of("big and even", big, even, lost)
    assert every(6) == met("sane")
    assert every(3).got == "3 is small"
    assert every(7).got == "7 is odd"
    assert every(-1).hopeless


def test_empty_is_met_by_an_empty_list() -> None:
    assert empty("namespace")([]).met
    assert empty("namespace")(["a", "b"]).got == "a, b"
