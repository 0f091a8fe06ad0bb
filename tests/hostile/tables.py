"""Objects as tables, from which `kubectl get` prints its columns: those of the API server's own printers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kubechain.kube.families import host_of
from kubechain.kube.objects import Json

MOST = 3
PARTIAL: Json = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
Cells = Callable[[Json], list[object]]


def _of_deployment(body: Json) -> list[object]:
    status, replicas = body.get("status", {}), body["spec"].get("replicas", 0)
    counts = [status.get(f"{each}Replicas", 0) for each in ("updated", "available")]
    return [f"{status.get('readyReplicas', 0)}/{replicas}", *counts]


def _of_replica_set(body: Json) -> list[object]:
    status = body.get("status", {})
    return [body["spec"]["replicas"], status.get("replicas", 0), status.get("readyReplicas", 0)]


def _of_pod(body: Json) -> list[object]:
    statuses: list[Json] = body["status"].get("containerStatuses", [])
    lasting: list[Json] = [each for each in body["spec"].get("initContainers", []) if each.get("restartPolicy") == "Always"]
    ready = sum(bool(each["ready"]) for each in statuses)
    total = len(body["spec"]["containers"]) + len(lasting)
    return [f"{ready}/{total}", body["status"]["phase"], sum(each["restartCount"] for each in statuses)]


def _of_service(body: Json) -> list[object]:
    spec = body["spec"]
    ports: list[Json] = spec.get("ports", [])
    numbers = [":".join(str(port[name]) for name in ("port", "nodePort") if port.get(name)) for port in ports]
    shown = [f"{number}/{port['protocol']}" for number, port in zip(numbers, ports, strict=True)]
    return [spec["type"], spec.get("clusterIP", "<none>"), "<none>", ",".join(shown)]


def _joined(addresses: Iterable[str]) -> str:
    every = list(addresses)
    more = f" + {len(every) - MOST} more..." if len(every) > MOST else ""
    return (",".join(every[:MOST]) or "<none>") + more


def _of_endpoints(body: Json) -> list[object]:
    pairs: list[tuple[Json, Json]] = [
        (address, port)
        for subset in body.get("subsets", [])
        for port in subset.get("ports", [])
        for address in subset.get("addresses", [])
    ]
    return [_joined(f"{host_of(address['ip'])}:{port['port']}" for address, port in pairs)]


def _of_slice(body: Json) -> list[object]:
    ports = ",".join(str(port["port"]) for port in body["ports"]) or "<unset>"
    return [body["addressType"], ports, _joined(address for entry in body["endpoints"] for address in entry["addresses"])]


# Kind -> the columns between the name and the age, and their cells.
COLUMNS: dict[str, tuple[list[str], Cells]] = {
    "Deployment": (["Ready", "Up-to-date", "Available"], _of_deployment),
    "ReplicaSet": (["Desired", "Current", "Ready"], _of_replica_set),
    "Pod": (["Ready", "Status", "Restarts"], _of_pod),
    "Service": (["Type", "Cluster-IP", "External-IP", "Port(s)"], _of_service),
    "Endpoints": (["Endpoints"], _of_endpoints),
    "EndpointSlice": (["AddressType", "Ports", "Endpoints"], _of_slice),
}


def table(kind: str, items: list[Json]) -> Json:
    """Return the Table of objects of a kind."""
    names, cells = COLUMNS.get(kind, ([], lambda _body: []))
    rows = [
        {"cells": [item["metadata"]["name"], *cells(item), "1s"], "object": {**PARTIAL, "metadata": item["metadata"]}}
        for item in items
    ]
    every = ["Name", *names, "Age"]
    definitions = [
        {"name": name, "type": "string", "format": "name" if name == "Name" else "", "description": "", "priority": 0}
        for name in every
    ]
    head: Json = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {}}
    return {**head, "columnDefinitions": definitions, "rows": rows}
