"""Policies that are none of Kubernetes: those that may deny the traffic of a run are named beside a broken link."""

from __future__ import annotations

from typing import Any

import pytest

from kubechain.claims.claim import Link
from kubechain.claims.rights import OTHER_POLICIES, POLICIES_OF_OTHERS
from kubechain.diagnostics.suspects import suspects
from kubechain.kube.paths import PLURALS
from kubechain.kube.rights import right
from tests.fakes import thing
from tests.test_suspects import READY, ClusterApi

LABELS = {"matchLabels": {"app": "db"}}
# As of "all but kube-system".
OTHERS = {"matchExpressions": [{"key": "name", "operator": "NotIn", "values": ["kube-system"]}]}
DENY, ALLOW = [{"action": "Deny"}], [{"action": "Allow"}]
CALICO = "Calico GlobalNetworkPolicy"

CASES: list[tuple[str, dict[str, Any], bool]] = [
    ("CiliumNetworkPolicy", {"endpointSelector": {}, "ingress": [{}]}, True),
    ("CiliumClusterwideNetworkPolicy", {"endpointSelector": OTHERS, "egress": []}, True),
    ("CiliumClusterwideNetworkPolicy", {"endpointSelector": {}, "ingressDeny": [{"fromEntities": ["all"]}]}, True),
    (
        "CiliumClusterwideNetworkPolicy",
        {"endpointSelector": {}, "egress": [{}], "enableDefaultDeny": {"egress": False}},
        False,
    ),
    ("CiliumClusterwideNetworkPolicy", {"endpointSelector": LABELS, "ingress": []}, False),
    ("CiliumClusterwideNetworkPolicy", {"nodeSelector": {}, "ingress": []}, False),
    (CALICO, {"types": ["Ingress", "Egress"]}, True),
    (CALICO, {"selector": "all()", "egress": DENY}, True),
    (CALICO, {"namespaceSelector": "kubernetes.io/metadata.name not in {'kube-system'}", "types": ["Egress"]}, True),
    (CALICO, {"namespaceSelector": "!has(system)", "types": ["Egress"]}, True),
    (CALICO, {"namespaceSelector": "kubernetes.io/metadata.name in {'shop'}", "types": ["Egress"]}, False),
    (CALICO, {"selector": "app == 'db'", "types": ["Ingress"]}, False),
    (CALICO, {"selector": "has(app)", "types": ["Ingress"]}, False),
    (CALICO, {"types": ["Ingress"], "ingress": ALLOW}, False),
    ("Calico v3 NetworkPolicy", {"types": ["Ingress"]}, True),
    ("AdminNetworkPolicy", {"subject": {"namespaces": {}}, "egress": DENY}, True),
    (
        "BaselineAdminNetworkPolicy",
        {"subject": {"pods": {"namespaceSelector": {}, "podSelector": OTHERS}}, "ingress": DENY},
        True,
    ),
    ("ClusterNetworkPolicy", {"subject": {"namespaces": {}}, "ingress": [{"action": "Accept"}]}, False),
    ("AdminNetworkPolicy", {"subject": {"namespaces": LABELS}, "egress": DENY}, False),
]


@pytest.mark.parametrize(("kind", "spec", "denies"), CASES)
def test_policy_that_may_deny_traffic_is_named(kind: str, spec: dict[str, Any], *, denies: bool) -> None:
    prefix, plural = PLURALS[kind]

    class OfOneGroup(ClusterApi):
        def has(self, path: str) -> bool:
            return path.startswith(prefix) or not path.endswith(f"/{plural}")

    api = OfOneGroup(nodes=[READY], **{plural: [thing(kind, "some", spec=spec)]})
    said = f"{kind} some: may deny traffic in namespace ns" if denies else ""
    assert suspects(api, Link.CLUSTERIP, "ns") == said


def test_several_specs_are_one_policy() -> None:
    several = thing(
        "CiliumNetworkPolicy", "two", specs=[{"endpointSelector": LABELS, "ingress": []}, {"endpointSelector": {}, "ingress": []}]
    )
    api = ClusterApi(nodes=[READY], ciliumnetworkpolicies=[several])
    assert suspects(api, Link.DNS, "ns") == "CiliumNetworkPolicy two: may deny traffic in namespace ns"


def test_policies_that_may_not_be_read_take_nothing_from_the_verdict() -> None:
    deny = thing("CiliumNetworkPolicy", "deny", spec={"endpointSelector": {}, "ingress": []})
    refused = {PLURALS[kind][1]: None for kind in POLICIES_OF_OTHERS if kind != "CiliumNetworkPolicy"}
    api = ClusterApi(nodes=[READY], **{**refused, "ciliumnetworkpolicies": [deny]})
    assert suspects(api, Link.NODEPORT, "ns") == "CiliumNetworkPolicy deny: may deny traffic in namespace ns"


def test_run_in_one_namespace_asks_for_no_policy_of_the_cluster() -> None:
    wide = thing("AdminNetworkPolicy", "wide", spec={"subject": {"namespaces": {}}, "egress": DENY})
    assert suspects(ClusterApi(adminnetworkpolicies=[wide]), Link.CLUSTERIP, "ns", inside=True) == ""


def test_rights_name_the_group_of_each_policy() -> None:
    groups = {(each.group, each.resource) for each in OTHER_POLICIES.requirement.rights}
    assert {("crd.projectcalico.org", "networkpolicies"), ("projectcalico.org", "networkpolicies")} <= groups
    assert right("list", "networkpolicies").group == "networking.k8s.io"
