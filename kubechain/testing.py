"""The API for claims in other repositories: the decorator, the types of the fixtures, conditions and sources.

The pytest plugin provides the fixtures `watch`, `eventually`, `consistently`, `clock`, `api` and `record_metric`. More
conditions are in kubechain.conditions.
"""

from __future__ import annotations

from kubechain.claims.claim import ClaimDecorator, Link, claim
from kubechain.claims.requirements import right
from kubechain.conditions.condition import Condition, Result, expect
from kubechain.conditions.timeouts import Timeout
from kubechain.kube.objects import KubeObject, NamespaceState
from kubechain.observe.clock import Clock
from kubechain.observe.protocols import Consistently, Eventually, Watch
from kubechain.observe.wait import Polled

__all__ = [
    "ClaimDecorator",
    "Clock",
    "Condition",
    "Consistently",
    "Eventually",
    "KubeObject",
    "Link",
    "NamespaceState",
    "Polled",
    "Result",
    "Timeout",
    "Watch",
    "claim",
    "expect",
    "right",
]
