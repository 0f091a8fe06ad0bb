"""Policies of Cilium, Calico and cluster administrators that may deny the traffic of a namespace.

Whether they do, their network plugin alone knows: one that selects by labels is taken for one about other Pods.
https://docs.cilium.io/en/stable/security/policy/, https://docs.tigera.io/calico/latest/reference/resources/globalnetworkpolicy,
https://network-policy-api.sigs.k8s.io/
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from kubechain.kube.client import Api
from kubechain.kube.objects import Json, KubeObject
from kubechain.kube.paths import CLUSTER_SCOPED

RULES = ("ingress", "egress")
# What an expression of Calico asks for: a label, or a value of one; after a negation, it leaves out some.
ASKED_FOR = re.compile(r"==|(?<!!)\bhas\(|(?<!not )\bin \{|\bstarts with\b|\bcontains\b")


def may_deny(api: Api, kind: str, namespace: str) -> list[str]:
    """Return the names of the policies of a kind that are about Pods of any labels, and may deny what none of them allows."""
    policies = api.list(kind, "" if kind in CLUSTER_SCOPED else namespace).items
    return [policy.name for policy in policies if any(_denies(kind, spec) for spec in _specs(policy))]


def _specs(policy: KubeObject) -> list[Json]:
    several: list[Json] = policy.at("specs", []) or []
    return [policy.at("spec", {}) or {}, *several]


def _denies(kind: str, spec: Json) -> bool:
    if kind.startswith("Cilium"):
        return _of_cilium(spec)
    if kind.startswith("Calico"):
        return _of_calico(spec)
    subject: Json = spec.get("subject") or {}
    pods: Json = subject.get("pods") or {}
    selectors = (subject.get("namespaces"), pods.get("namespaceSelector"), pods.get("podSelector"))
    rules: list[list[Json]] = [spec.get(name) or [] for name in RULES]
    denies = any(rule.get("action") == "Deny" for each in rules for rule in each)
    return denies and not any(map(_selects_some, selectors))


def _of_cilium(spec: Json) -> bool:
    """Whether one of Cilium is about Pods, and denies, or lets nothing pass but what it allows."""
    if "endpointSelector" not in spec or _selects_some(spec["endpointSelector"]):
        return False
    by_default: Json = spec.get("enableDefaultDeny") or {}
    return any(spec.get(f"{name}Deny") or (name in spec and by_default.get(name) is not False) for name in RULES)


def _of_calico(spec: Json) -> bool:
    """Whether one of Calico denies: what it is about, and no rule allows, is denied."""
    if any(ASKED_FOR.search(str(spec.get(name) or "")) for name in ("selector", "namespaceSelector", "serviceAccountSelector")):
        return False
    types: list[str] = spec.get("types") or [name.capitalize() for name in RULES if name in spec] or ["Ingress"]
    return any({"action": "Allow"} not in (spec.get(each.lower()) or []) for each in types)


def _selects_some(selector: Mapping[str, Json] | None) -> bool:
    """Whether a selector asks for labels; one that leaves out some is about all others."""
    return bool((selector or {}).get("matchLabels"))
