"""What claims before an upgrade look at: objects of all namespaces, read and never changed."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from kubechain.conditions.blockers import service_of
from kubechain.conditions.drain_room import MIRROR
from kubechain.conditions.endpoints import SERVICE_NAME
from kubechain.conditions.text import some
from kubechain.kube.client import Api
from kubechain.kube.decoding import as_json
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import Json, KubeObject
from kubechain.upgrade import requested_apis
from kubechain.upgrade.versions import machines
from kubechain.workload.chain import Chain

# A holder of the identity of an API server (https://kubernetes.io/docs/concepts/architecture/leases/#api-server-identity).
IDENTITY = "apiserver.kubernetes.io/identity=kube-apiserver"
METADATA = ("name", "namespace", "uid", "resourceVersion", "deletionTimestamp", "finalizers", "ownerReferences")
CONTAINERS = ("containers", "initContainers")
CGROUP_V2 = "test -e /sys/fs/cgroup/cgroup.controllers && echo 2 || echo 1"


def kept(body: Json) -> Json:
    """Return what is looked at of a Pod, and all of another object: a cluster has tens of thousands of Pods."""
    if body.get("kind") != "Pod":
        return body
    metadata: Json = body.get("metadata") or {}
    spec: Json = body.get("spec") or {}
    status: Json = body.get("status") or {}
    annotations: Json = metadata.get("annotations") or {}
    return {
        "kind": "Pod",
        "metadata": {**_chosen(metadata, *METADATA), "annotations": _chosen(annotations, MIRROR)},
        "spec": {**_chosen(spec, "nodeName", "resources", "overhead"), **{name: _containers(spec, name) for name in CONTAINERS}},
        "status": _chosen(status, "phase"),
    }


def _containers(spec: Json, name: str) -> list[Json]:
    containers: list[Json] = spec.get(name) or []
    return [_chosen(each, "name", "resources", "restartPolicy") for each in containers]


def _chosen(fields: Json, *names: str) -> Json:
    return {name: fields[name] for name in names if name in fields}


@dataclass
class ClusterState:
    """The objects of a cluster, listed once each when they are needed; `listing` is a client that keeps what is looked at."""

    api: Api
    listing: Api
    _listed: dict[str, list[KubeObject]] = field(default_factory=dict[str, list[KubeObject]])

    def all(self, *kinds: str) -> list[KubeObject]:
        """Return the objects of these kinds in all namespaces."""
        for kind in kinds:
            if kind not in self._listed:
                self._listed[kind] = self.listing.list(kind).items
        return [each for kind in kinds for each in self._listed[kind]]

    @property
    def machines(self) -> list[KubeObject]:
        """The Nodes that are not virtual."""
        return machines(self.all("Node"))

    def now(self) -> float:
        """Return the time of day of the API server (Unix seconds)."""
        return self.api.server_time()

    def unasked(self, addresses: Mapping[str, str]) -> str:
        """Return which API servers were not asked, "" if each was; `addresses` is address of one that was not -> why.

        Behind one address there may be several, which their Leases show.
        """
        if addresses:
            return some([f"{address} was not asked: {why}" for address, why in addresses.items()])
        endpoints = len(requested_apis.addresses(self.api))
        leases = len(self.api.list("Lease", "kube-system", IDENTITY).items)
        return f"{leases} have a Lease, and {endpoints} an address in default/kubernetes" if leases > max(1, endpoints) else ""

    def kubelet_configuration(self) -> str:
        """Return the configuration that kubeadm gives each kubelet, "" if the cluster has none."""
        found = self.api.get("ConfigMap", "kube-system", "kubelet-config")
        return str(found.at("data.kubelet", "")) if found else ""

    def behind(self, configurations: list[KubeObject]) -> tuple[list[KubeObject], list[KubeObject]]:
        """Return the Services that webhooks ask, as far as they exist, and their EndpointSlices."""
        hooks: list[Json] = [hook for each in configurations for hook in each.at("webhooks", [])]
        keys = sorted({key for hook in hooks if (key := service_of(hook))})
        services = [self.api.get("Service", namespace, name) for namespace, name in keys]
        slices = [
            each for namespace, name in keys for each in self.api.list("EndpointSlice", namespace, f"{SERVICE_NAME}={name}").items
        ]
        return [each for each in services if each], slices

    def known_parameters(self) -> dict[str, bool]:
        """Return name of a binding of a ValidatingAdmissionPolicy -> whether its parameter exists, where that can be said."""
        policies = {each.name: each for each in self.all("ValidatingAdmissionPolicy")}
        known: dict[str, bool] = {}
        # A client of its own: of which kind a parameter is, no claim can declare.
        with contextlib.closing(self.api.twin(patient=True)) as api:
            for binding in self.all("ValidatingAdmissionPolicyBinding"):
                policy, reference = policies.get(str(binding.at("spec.policyName"))), binding.at("spec.paramRef", {})
                if policy and policy.at("spec.paramKind") and reference.get("name"):
                    exists = _parameter(api, policy.at("spec.paramKind"), reference)
                    known |= {} if exists is None else {binding.name: exists}
        return known


def _parameter(api: Api, kind: Json, reference: Json) -> bool | None:
    """Return whether a parameter exists; None if it is in the namespace of each request, or may not be read."""
    version = str(kind["apiVersion"])
    prefix = f"/apis/{version}" if "/" in version else f"/api/{version}"
    try:
        served: Json = as_json(api.call("GET", prefix), f"resources of {version}")
        resources: list[Json] = served.get("resources") or []
        found = next((each for each in resources if each["kind"] == kind["kind"] and "/" not in each["name"]), None)
        if found is None:
            return False
        if found.get("namespaced") and not reference.get("namespace"):
            return None
        where = f"/namespaces/{reference['namespace']}" if found.get("namespaced") else ""
        api.call("GET", f"{prefix}{where}/{found['name']}/{reference['name']}")
    except ApiRefused as refused:
        if refused.status == HTTPStatus.NOT_FOUND:
            return False
        if refused.status == HTTPStatus.FORBIDDEN:
            return None
        raise
    return True


def with_cgroup_v1(chain: Chain) -> list[str]:
    """Return the Nodes with cgroup v1 of those on which witnesses run."""
    found: set[str] = set()
    for pod in chain.pods:
        if chain.inside(pod).must_run("sh", "-c", CGROUP_V2).strip() == "1":
            found.add(str(pod.at("spec.nodeName")))
    return sorted(found)
