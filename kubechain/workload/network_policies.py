"""NetworkPolicies in the namespaces of a run (https://kubernetes.io/docs/concepts/services-networking/network-policies/)."""

from __future__ import annotations

from collections.abc import Mapping

from kubechain.kube.client import Api
from kubechain.kube.objects import Json

ALLOW = "kubechain-allow"


def allow_traffic(labels: Mapping[str, str]) -> Json:
    """Return a NetworkPolicy that allows all traffic from and to the Pods of its namespace with these labels: policies add up."""
    selector = {"matchLabels": dict(labels)} if labels else {}
    spec: Json = {"podSelector": selector, "policyTypes": ["Ingress", "Egress"], "ingress": [{}], "egress": [{}]}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": ALLOW}, "spec": spec}


def denying(api: Api, namespace: str) -> list[str]:
    """Return the names of the policies that select every Pod of a namespace, and so deny what none allows.

    Without those of a namespace in which a policy of the run allows all traffic.
    """
    policies = api.list("NetworkPolicy", namespace).items
    if any(policy.name == ALLOW for policy in policies):
        return []
    return [policy.name for policy in policies if not any(policy.at("spec.podSelector", {}).values())]
