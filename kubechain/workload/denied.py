"""Requests of a claim that a policy of the cluster denies, as for a second Service with the selector of another."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from kubechain.claims.obstacles import refuser
from kubechain.core.errors import NotApplicable
from kubechain.kube.errors import ApiRefused
from kubechain.workload.chain import Chain
from kubechain.workload.own_cluster import is_own

POLICIES = ("ValidatingAdmissionPolicy", "webhook")


@contextmanager
def not_applicable(chain: Chain, what: str) -> Generator[None]:
    """Raise NotApplicable for the refusal of the body's request by a policy or webhook of a cluster of others.

    `what` names the request: "a Service twin". On a cluster of this project, nobody has made a policy but a fault.
    """
    try:
        yield
    except ApiRefused as refused:
        by = refuser(refused.detail)
        if is_own(chain) or not by.startswith(POLICIES):
            raise
        raise NotApplicable(f"needs {what}, which is refused by {by}: {refused.detail}") from refused
