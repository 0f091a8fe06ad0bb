"""Conditions on Services by IP family (https://kubernetes.io/docs/concepts/services-networking/dual-stack/)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kubechain.conditions.condition import Condition, Result, expect, fields, unmet
from kubechain.conditions.endpoints import exactly, of_family, slice_addresses, slices_of
from kubechain.conditions.services import service
from kubechain.conditions.text import some
from kubechain.conditions.timeouts import ENDPOINTS
from kubechain.kube.families import families_of, family_of
from kubechain.kube.objects import KubeObject, NamespaceState


def has_families(name: str, policy: str, families: Sequence[str]) -> Condition[NamespaceState]:
    """The Service has this ipFamilyPolicy, these families in this order, and one clusterIP of each, the first as clusterIP."""

    def check(resource: KubeObject) -> Result:
        addresses: list[str] = resource.at("spec.clusterIPs") or []
        result = fields(
            {
                "spec.ipFamilyPolicy": resource.at("spec.ipFamilyPolicy"),
                "spec.ipFamilies": resource.at("spec.ipFamilies"),
                "families of spec.clusterIPs": [family_of(address) for address in addresses],
            },
            {
                "spec.ipFamilyPolicy": policy,
                "spec.ipFamilies": list(families),
                "families of spec.clusterIPs": list(families),
            },
        )
        if not result.met:
            # Nobody changes a Service that is stored.
            return replace(result, hopeless=True)
        first = resource.at("spec.clusterIP")
        return expect(first == addresses[0], f"clusterIP {first}", f"clusterIP {addresses[0]}, the first of spec.clusterIPs")

    return service(name, f"with ipFamilyPolicy {policy} and a clusterIP of {some(families, ' and ')}", check)


def slices_of_each_family(name: str, labels: Mapping[str, str], port: int, count: int) -> Condition[NamespaceState]:
    """The Service's EndpointSlices of each of its families list that address of each of the `count` ready Pods, and no other."""

    def check(state: NamespaceState) -> Result:
        owner = state.one("Service", name)
        if owner is None:
            return unmet(f"no Service {name}")
        for family in families_of(owner):
            listed = slice_addresses(of_family(slices_of(state, name), family))
            result = exactly(state, listed, labels, port, count, [family])
            if not result.met:
                return unmet(result.got, f"EndpointSlices of {name} with the {family} address of each of {count} ready Pods")
        return Result(met=True)

    return Condition(f"EndpointSlices of {name} of each family, each with the {count} ready Pods", check, ENDPOINTS)
