"""The controllers of Endpoints and EndpointSlices, and kube-proxy."""

from __future__ import annotations

from kubechain.kube.families import family_of
from kubechain.kube.objects import Json
from tests.hostile.addresses import NODES, of_family, plain
from tests.hostile.core import Core
from tests.hostile.network import Place
from tests.hostile.store import Key, key_of
from tests.hostile.workloads import is_ready, matching, owned_by

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"


def _put(core: Core, body: Json) -> None:
    """Create an object, or give the one of its name this content."""
    key = key_of(body)
    if key not in core.store.objects:
        core.store.create(body)
    else:
        core.store.modify(key, lambda stored: stored.update({k: v for k, v in body.items() if k != "metadata"}))


def _target(pod: Json) -> Json:
    metadata = pod["metadata"]
    return {"kind": "Pod", "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}


def _serving(core: Core) -> list[tuple[Json, list[Json]]]:
    """Return each Service with a selector, and its Pods."""
    services = [service for service in core.store.all("Service") if service["spec"].get("selector")]
    return [(each, matching(core, each["metadata"]["namespace"], each["spec"]["selector"])) for each in services]


def _families(core: Core, service: Json) -> list[str]:
    """Return the families of a Service; one of type ExternalName has none of its own."""
    return service["spec"].get("ipFamilies") or [*core.addresses.families[:1]]


def _is_listed(service: Json, pod: Json) -> bool:
    early = service["spec"].get("publishNotReadyAddresses", False)
    return is_ready(pod) or (early and not pod["metadata"].get("deletionTimestamp"))


def _number(target: object, pod: Json) -> int:
    """Return the number of a targetPort, which may be the name of a container's port; 0 for a name that the Pod lacks."""
    if isinstance(target, int):
        return target
    ports: list[Json] = [port for each in pod["spec"]["containers"] for port in each.get("ports", [])]
    return next((port["containerPort"] for port in ports if port.get("name") == target), 0)


def by_ports(service: Json, pods: list[Json]) -> list[tuple[list[Json], list[Json]]]:
    """Return the ports that Pods have of those of a Service, and these Pods; no port without Pods."""
    found: list[tuple[list[Json], list[Json]]] = []
    for pod in pods:
        numbers = [(port, _number(port["targetPort"], pod)) for port in service["spec"].get("ports", [])]
        ports = [{"name": port.get("name", ""), "port": n, "protocol": port["protocol"]} for port, n in numbers if n]
        group = next((group for known, group in found if known == ports), None)
        if group is None:
            found.append((ports, [pod]))
        else:
            group.append(pod)
    return found or [([], [])]


def endpoint_slices(core: Core) -> None:
    """Keep one EndpointSlice for each family of each Service with a selector."""
    for service, pods in _serving(core):
        for family in _families(core, service):
            if family not in core.unlisted:
                groups = enumerate(by_ports(service, pods))
                names = {_endpoint_slice(core, service, family, number, *group) for number, group in groups}
                if any(isinstance(port["targetPort"], str) for port in service["spec"].get("ports", [])):
                    _remove_others(core, service, family, names)


def _remove_others(core: Core, service: Json, family: str, names: set[str]) -> None:
    """Remove the EndpointSlices of a Service and a family with other names."""
    uid, space = service["metadata"]["uid"], service["metadata"]["namespace"]
    for each in core.store.all("EndpointSlice", space):
        of_it = any(owner["uid"] == uid for owner in each["metadata"].get("ownerReferences", []))
        if of_it and each["addressType"] == family and each["metadata"]["name"] not in names:
            core.store.delete(key_of(each))


def _endpoint_slice(core: Core, service: Json, family: str, number: int, ports: list[Json], pods: list[Json]) -> str:
    """Keep an EndpointSlice of Pods with the same ports, and return its name."""
    metadata = service["metadata"]
    nodes = service["spec"].get("trafficDistribution") == "PreferSameNode"
    endpoints = [
        {
            "addresses": [of_family(pod["status"]["podIP"], family)],
            "conditions": {
                "ready": _is_listed(service, pod),
                "serving": _is_listed(service, pod),
                "terminating": bool(pod["metadata"].get("deletionTimestamp")),
            },
            "nodeName": pod["spec"]["nodeName"],
            "targetRef": _target(pod),
            **({"hints": {"forNodes": [{"name": pod["spec"]["nodeName"]}]}} if nodes else {}),
        }
        for pod in pods
    ]
    labels = {SERVICE_NAME: metadata["name"], MANAGED_BY: "endpointslice-controller.k8s.io"}
    suffix = f"{metadata['uid'][:5]}{'' if family == _families(core, service)[0] else '-2'}"
    suffix += f"-of-{number}" if number else ""
    name = {"name": f"{metadata['name']}-{suffix}", "namespace": metadata["namespace"], "labels": labels}
    body: Json = {"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "addressType": family}
    _put(core, {**body, "metadata": {**name, "ownerReferences": owned_by(service)}, "endpoints": endpoints, "ports": ports})
    return str(name["name"])


def _subset(core: Core, service: Json, ports: list[Json], pods: list[Json]) -> Json:
    """Return the subset of Endpoints of Pods with the same ports."""
    listed: dict[str, list[Json]] = {"addresses": [], "notReadyAddresses": []}
    for pod in pods:
        ip = of_family(pod["status"]["podIP"], _families(core, service)[0])
        entry = {"ip": ip, "nodeName": pod["spec"]["nodeName"], "targetRef": _target(pod)}
        listed["addresses" if _is_listed(service, pod) else "notReadyAddresses"].append(entry)
    return {**{k: v for k, v in listed.items() if v}, "ports": ports}


def endpoints(core: Core) -> None:
    """Keep the Endpoints of each Service with a selector; those of a Service that is gone are deleted."""
    wanted: set[Key] = set()
    for service, pods in _serving(core):
        metadata = {"name": service["metadata"]["name"], "namespace": service["metadata"]["namespace"]}
        subsets = [_subset(core, service, ports, group) for ports, group in by_ports(service, pods)] if pods else []
        body: Json = {"kind": "Endpoints", "apiVersion": "v1", "metadata": metadata, "subsets": subsets}
        wanted.add(key_of(body))
        _put(core, body)
    for body in core.store.all("Endpoints"):
        if key_of(body) not in wanted:
            core.store.delete(key_of(body))


def _answers(spec: Json, slices: list[Json], node: str) -> bool:
    """Whether a Node serves at a nodePort, by the traffic policy of the Service."""
    here = any(entry.get("nodeName") == node for each in slices for entry in each["endpoints"])
    return here or spec.get("externalTrafficPolicy") != "Local"


def kube_proxy(core: Core) -> None:
    """Lead each clusterIP, and each nodePort of every Node, to the ready endpoints of its Service."""
    ways: dict[Place, list[Place]] = {}
    for service in core.store.all("Service"):
        spec, metadata = service["spec"], service["metadata"]
        slices = core.store.all("EndpointSlice", metadata["namespace"])
        own = [each for each in slices if each["metadata"].get("labels", {}).get(SERVICE_NAME) == metadata["name"]]
        if spec.get("clusterIP", "None") == "None":
            continue
        for address in spec["clusterIPs"]:
            if family_of(address) not in core.unproxied:
                of_its = [each for each in own if each["addressType"] == family_of(address)]
                ways |= ways_of(core, spec, of_its, plain(address))
    core.network.forward(ways)
    core.network.report(health(core))


def health(core: Core) -> dict[Place, int]:
    """Return each place where a Node tells whether it has Pods of a Service, and the status of its answer."""
    found: dict[Place, int] = {}
    checked = [service for service in core.store.all("Service") if service["spec"].get("healthCheckNodePort")]
    for service in checked:
        port, metadata = service["spec"]["healthCheckNodePort"], service["metadata"]
        slices = core.store.all("EndpointSlice", metadata["namespace"])
        own = [each for each in slices if each["metadata"].get("labels", {}).get(SERVICE_NAME) == metadata["name"]]
        for node in range(1, NODES + 1):
            here = _answers({"externalTrafficPolicy": "Local"}, own, core.node_name(node))
            found[core.addresses.serving(node), port] = 200 if here else 503
    return found


def ways_of(core: Core, spec: Json, slices: list[Json], address: str) -> dict[Place, list[Place]]:
    """Return each place of a Service at one of its clusterIPs, and the endpoints that it leads to."""
    ways: dict[Place, list[Place]] = {}
    for port in spec.get("ports", []):
        if port["protocol"] != "TCP":
            continue
        backends = [
            (plain(each_address), of_slice["port"])
            for each in slices
            for of_slice in each["ports"]
            if of_slice.get("name", "") == port.get("name", "")
            for endpoint in each["endpoints"]
            if endpoint["conditions"]["ready"]
            for each_address in endpoint["addresses"]
        ]
        if spec.get("sessionAffinity") == "ClientIP":
            # Every request comes from this machine.
            backends = backends[:1]
        places = [(address, port["port"])]
        if port.get("nodePort"):
            places += [
                (core.addresses.serving(node), port["nodePort"])
                for node in range(1, NODES + 1)
                if _answers(spec, slices, core.node_name(node))
            ]
        ways |= dict.fromkeys(places, backends)
    return ways
