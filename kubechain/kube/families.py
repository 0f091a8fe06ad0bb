"""IP families, and the addresses of objects by family (https://kubernetes.io/docs/concepts/services-networking/dual-stack/)."""

from __future__ import annotations

from kubechain.kube.objects import Json, KubeObject

# As Services and EndpointSlices name them.
IPV4, IPV6 = "IPv4", "IPv6"
# Family -> the type of DNS records with its addresses.
RECORDS = {IPV4: "A", IPV6: "AAAA"}


def family_of(address: str) -> str:
    """Return the family of an IP address or of a network of addresses."""
    return IPV6 if ":" in address else IPV4


def other_family(family: str) -> str:
    """Return IPv6 for IPv4, and the reverse."""
    return IPV4 if family == IPV6 else IPV6


def record_of(address: str) -> str:
    """Return the type of DNS records with addresses of the family of this one."""
    return RECORDS[family_of(address)]


def host_of(address: str) -> str:
    """Return an address or a name as a URL has it before the port: an IPv6 address in brackets."""
    return f"[{address}]" if ":" in address else address


def pod_addresses(pod: KubeObject) -> list[str]:
    """Return the addresses of a Pod, its podIP first; none if it has no address yet."""
    listed: list[Json] = pod.at("status.podIPs") or []
    every = [str(pod.at("status.podIP", "")), *(str(entry["ip"]) for entry in listed)]
    return [address for address in dict.fromkeys(every) if address]


def pod_address(pod: KubeObject, family: str) -> str:
    """Return the address of a Pod of a family, "" if it has none."""
    return next((address for address in pod_addresses(pod) if family_of(address) == family), "")


def families_of(service: KubeObject) -> list[str]:
    """Return the families of a Service, that of its clusterIP first."""
    return list(service.at("spec.ipFamilies") or [family_of(str(service.at("spec.clusterIP", "")))])


def cluster_ips(service: KubeObject) -> dict[str, str]:
    """Return family -> clusterIP of a Service, that of its first family first; none for a headless Service."""
    listed: list[str] = service.at("spec.clusterIPs") or [service.at("spec.clusterIP", "")]
    return {family_of(address): address for address in listed if address and address != "None"}


def node_families(node: KubeObject) -> frozenset[str]:
    """Return the families of which a Node shows addresses: InternalIPs, and the ranges of its Pods."""
    addresses: list[Json] = node.at("status.addresses", [])
    ranges: list[str] = node.at("spec.podCIDRs") or []
    return frozenset(family_of(str(each)) for each in [*(a["address"] for a in addresses if a["type"] == "InternalIP"), *ranges])
