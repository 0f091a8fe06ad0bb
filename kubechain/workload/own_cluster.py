"""Whether a chain is on a cluster of this project, of which more is known than Kubernetes promises."""

from __future__ import annotations

from kubechain.workload.chain import Chain


def is_own(chain: Chain) -> bool:
    """Whether a chain is on a cluster of this project."""
    return bool(chain.admission and chain.admission.owned)
