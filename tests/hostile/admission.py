"""What the API server does to an object before it stores it: defaults, allocation and validation."""

from __future__ import annotations

import copy
from typing import Any

from kubechain.kube.families import family_of
from kubechain.kube.objects import Json
from tests.hostile.addresses import Addresses
from tests.hostile.store import Refused, Store, selected

NOT_READY_SECONDS = 300
SERVICE_DEFAULTS = {"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"}
POD_DEFAULTS = {
    "restartPolicy": "Always",
    "dnsPolicy": "ClusterFirst",
    "terminationGracePeriodSeconds": 30,
    "schedulerName": "default-scheduler",
    "enableServiceLinks": True,
}
FIRST_NODE_PORT, LAST_NODE_PORT = 30000, 32767
# Fields with a port of the Nodes.
NUMBERS = ("nodePort", "healthCheckNodePort")


def admitted(store: Store, addresses: Addresses, body: Json, before: Json | None) -> Json:
    """Return the object as it is to be stored, with its defaults; `before` is what it replaces.

    Raises:
        Refused: the object is invalid, or its namespace is being deleted.

    """
    made = copy.deepcopy(body)
    namespace = made["metadata"].get("namespace", "")
    if namespace and before is None:
        home = store.get("Namespace", "", namespace)
        if home is None:
            raise Refused(404, "NotFound", f'namespaces "{namespace}" not found')
        if home["metadata"].get("deletionTimestamp"):
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise Refused(403, "Forbidden", f'{made["kind"].lower()}s "{made["metadata"]["name"]}" is forbidden: {why}')
    if made["kind"] == "Namespace":
        name = made["metadata"]["name"]
        made["metadata"]["labels"] = {**made["metadata"].get("labels", {}), "kubernetes.io/metadata.name": name}
        made.setdefault("spec", {"finalizers": ["kubernetes"]})
        made.setdefault("status", {"phase": "Active"})
    elif made["kind"] == "Deployment":
        _deployment(made, before)
    elif made["kind"] == "ReplicaSet":
        made.setdefault("status", {"replicas": 0})
        _template(made["spec"]["template"]["spec"])
    elif made["kind"] == "Pod":
        _pod(made)
    elif made["kind"] == "Service":
        _service(store, addresses, made, before)
    return made


def _invalid(body: Json, field: str, why: str) -> Refused:
    return Refused(422, "Invalid", f'{body["kind"]} "{body["metadata"]["name"]}" is invalid: {field}: Invalid value: {why}')


def _defaults(target: Json, values: dict[str, Any]) -> None:
    for name, value in values.items():
        target.setdefault(name, copy.deepcopy(value))


def _deployment(body: Json, before: Json | None) -> None:
    spec = body["spec"]
    rolling = {"maxSurge": "25%", "maxUnavailable": "25%"}
    _defaults(spec, {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600})
    _defaults(spec, {"strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}})
    body.setdefault("status", {})
    _template(spec["template"]["spec"])
    if before and spec["selector"] != before["spec"]["selector"]:
        raise _invalid(body, "spec.selector", "field is immutable")
    if not selected({"metadata": spec["template"].get("metadata", {})}, spec["selector"]["matchLabels"]):
        raise _invalid(body, "spec.template.metadata.labels", "`selector` does not match template `labels`")


def _template(spec: Json) -> None:
    _defaults(spec, POD_DEFAULTS)
    for container in spec["containers"]:
        _defaults(container, {"terminationMessagePath": "/dev/termination-log", "imagePullPolicy": "IfNotPresent"})


def _pod(body: Json) -> None:
    spec = body["spec"]
    _template(spec)
    # kubectl sends an empty one.
    body["status"] = body.get("status") or {"phase": "Pending", "qosClass": "BestEffort"}
    spec.setdefault("tolerations", [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(toleration.get("key") == key for toleration in spec["tolerations"]):
            toleration = {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": NOT_READY_SECONDS}
            spec["tolerations"].append(toleration)
    volumes = spec.setdefault("volumes", [])
    if spec.get("automountServiceAccountToken", True) and not any("projected" in volume for volume in volumes):
        field = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
        sources: list[Json] = [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [field]}},
        ]
        volumes.append({"name": "kube-api-access", "projected": {"defaultMode": 420, "sources": sources}})


def _service(store: Store, addresses: Addresses, body: Json, before: Json | None) -> None:
    spec = body["spec"]
    _defaults(spec, SERVICE_DEFAULTS)
    body.setdefault("status", {"loadBalancer": {}})
    for port in spec.get("ports", []):
        _defaults(port, {"protocol": "TCP", "targetPort": port["port"]})
    if spec["type"] == "ExternalName":
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy", "externalTrafficPolicy"):
            spec.pop(name, None)
        without_node_ports(spec)
        return
    _families(addresses, body)
    others = [
        other["spec"] for other in store.all("Service") if other["metadata"].get("uid") != body["metadata"].get("uid", "new")
    ]
    _cluster_ips(addresses, body, before, others)
    if spec["type"] == "ClusterIP":
        spec.pop("externalTrafficPolicy", None)
    else:
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "NodePort" or (spec["type"] == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True)):
        _node_ports(body, others)
    else:
        without_node_ports(spec)
    if (spec["type"], spec.get("externalTrafficPolicy")) == ("LoadBalancer", "Local"):
        spec.setdefault("healthCheckNodePort", next(port for port in range(LAST_NODE_PORT, 0, -1) if port not in _taken(others)))
    else:
        spec.pop("healthCheckNodePort", None)


def without_node_ports(spec: Json) -> None:
    """Take the nodePorts from the spec of a Service."""
    for port in spec.get("ports", []):
        port.pop("nodePort", None)


def _families(addresses: Addresses, body: Json) -> None:
    """Choose the families of a Service, by its policy and by what the cluster has."""
    spec, there = body["spec"], addresses.families
    policy = spec.setdefault("ipFamilyPolicy", "SingleStack")
    wanted: list[str] = spec.get("ipFamilies") or []
    if policy == "RequireDualStack" and len(there) == 1:
        raise _invalid(body, "spec.ipFamilyPolicy", f'"{policy}": this cluster is not configured for dual-stack services')
    if not {*wanted} <= {*there}:
        raise _invalid(body, "spec.ipFamilies[0]", f'"{wanted[0]}": not configured on this cluster')
    chosen = [*dict.fromkeys([*wanted, *there])]
    spec["ipFamilies"] = chosen[:1] if policy == "SingleStack" else chosen


def _cluster_ips(addresses: Addresses, body: Json, before: Json | None, others: list[Json]) -> None:
    spec, taken = body["spec"], [address for other in others for address in other.get("clusterIPs", [])]
    old = before["spec"].get("clusterIP") if before else None
    if old and spec.get("clusterIP") != old:
        raise _invalid(body, "spec.clusterIPs[0]", "field is immutable (clusterIP)")
    wanted = spec.get("clusterIP")
    if wanted and wanted != "None" and wanted in taken:
        raise _invalid(body, "spec.clusterIPs", f'["{wanted}"]: failed to allocate IP {wanted}: provided IP is already allocated')
    if wanted == "None":
        spec["clusterIPs"] = [wanted]
        return
    known = {family_of(address): address for address in [*spec.get("clusterIPs", []), *([wanted] if wanted else [])]}
    free = {family: known.get(family) or addresses.service(taken, family) for family in spec["ipFamilies"]}
    spec["clusterIPs"] = [*free.values()]
    spec["clusterIP"] = spec["clusterIPs"][0]


def _taken(others: list[Json]) -> set[int | None]:
    return {each.get(name) for other in others for each in (other, *other.get("ports", [])) for name in NUMBERS}


def _node_ports(body: Json, others: list[Json]) -> None:
    taken = _taken(others)
    for port in body["spec"].get("ports", []):
        wanted = port.get("nodePort")
        if wanted and not FIRST_NODE_PORT <= wanted <= LAST_NODE_PORT:
            valid = f"The range of valid ports is {FIRST_NODE_PORT}-{LAST_NODE_PORT}"
            raise _invalid(body, "spec.ports[0].nodePort", f"{wanted}: provided port is not in the valid range. {valid}")
        if wanted and wanted in taken:
            raise _invalid(body, "spec.ports[0].nodePort", f"{wanted}: provided port is already allocated")
        free = next(number for number in range(FIRST_NODE_PORT, LAST_NODE_PORT + 1) if number not in taken)
        port["nodePort"] = wanted or free
        taken.add(port["nodePort"])
