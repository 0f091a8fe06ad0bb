"""The suite under faults: each fault breaks the expected link, and a harmless change breaks none."""

from fixtures.faults import Try
from kubechain.faults.fault import Fault


def test_suite_finds(fault: Fault, try_fault: Try) -> None:
    """The suite finds the fault at the expected link; under a harmless change the chain holds."""
    score = try_fault(fault)
    assert score.good, f"{score.result}: {score.why}"
