"""What the API server offers, in the aggregated form in which kubectl asks for it.

https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery
"""

from __future__ import annotations

from collections import defaultdict

from kubechain.kube.objects import Json
from kubechain.kube.paths import PLURALS
from tests.hostile.resources import is_namespaced

PATHS = ("/api", "/apis")
VERSIONS = frozenset(prefix for prefix, _ in PLURALS.values())
TYPE = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
SHORT = {"Deployment": ["deploy"], "ReplicaSet": ["rs"], "Pod": ["po"], "Service": ["svc"], "Endpoints": ["ep"]}


def groups(path: str) -> Json:
    """Return the groups below /api, or below /apis, with their resources."""
    found: defaultdict[tuple[str, str], list[Json]] = defaultdict(list)
    for kind, (prefix, plural) in PLURALS.items():
        if prefix.startswith(f"{path}/"):
            *group, version = prefix.removeprefix(f"{path}/").split("/")
            found["/".join(group), version].append(_resource(kind, plural, "/".join(group), version))
    items = [
        {"metadata": {"name": group}, "versions": [{"version": version, "resources": resources, "freshness": "Current"}]}
        for (group, version), resources in found.items()
    ]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def resources(path: str) -> Json:
    """Return the resources of a version, such as /api/v1, in the form of a version alone."""
    found = [
        {"name": plural, "kind": kind, "namespaced": is_namespaced(kind), "verbs": VERBS}
        for kind, (prefix, plural) in PLURALS.items()
        if prefix == path
    ]
    version = path.removeprefix("/apis/").removeprefix("/api/")
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": found}


def _resource(kind: str, plural: str, group: str, version: str) -> Json:
    return {
        "resource": plural,
        "responseKind": {"group": group, "version": version, "kind": kind},
        "scope": "Namespaced" if is_namespaced(kind) else "Cluster",
        "singularResource": kind.lower(),
        "shortNames": SHORT.get(kind, []),
        "verbs": VERBS,
    }
