"""Names that do not exist, and what may have been meant."""

from kubechain.core.near_misses import IDS, suggestion


def test_closest_name_is_proposed_without_regard_to_case() -> None:
    assert suggestion("docter", ["run", "doctor"]) == " (did you mean doctor?)"
    assert suggestion("chain-pods-01", ["CHAIN-PODS-010", "CHAIN-DNS-010"], IDS) == " (did you mean CHAIN-PODS-010?)"


def test_nothing_is_proposed_that_is_not_close() -> None:
    assert suggestion("walk", ["watch", "run"]) == ""
    assert suggestion("x", []) == ""


def test_id_with_another_number_is_no_near_miss() -> None:
    assert suggestion("CHAIN-ENDPOINTS-999", ["CHAIN-ENDPOINTS-090"], IDS) == ""
