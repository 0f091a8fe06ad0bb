"""The suite judged: each fault must turn the right link red, and no harmless change any."""

from kubechain.faults.fault import Fault
from kubechain.pytest.faults import Judge


def test_suite_finds(fault: Fault, judged: Judge) -> None:
    """The suite finds the fault at the link where it is, or stays green under a harmless change."""
    score = judged(fault)
    assert score.good, f"{score.result}: {score.why}"
