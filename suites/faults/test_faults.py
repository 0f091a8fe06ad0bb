"""The suite judged: each fault must turn the right link red, and no harmless change any."""

from fixtures.faults import Try
from kubechain.faults.fault import Fault


def test_suite_finds(fault: Fault, try_fault: Try) -> None:
    """The suite finds the fault at the link where it is, or stays green under a harmless change."""
    score = try_fault(fault)
    assert score.good, f"{score.result}: {score.why}"
