"""What the target version of an upgrade no longer has: APIs, stored versions, the IPVS mode, cgroup v1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import yaml

from kubechain.conditions.blockers import Blocker, name_of
from kubechain.core.versions import minor
from kubechain.kube.objects import Json, KubeObject

# https://kubernetes.io/releases/version-skew-policy/
KUBELET_BEHIND = 3
# https://kep.k8s.io/5495: disabled unless a feature gate enables it.
IPVS_OFF = 40
# https://kubernetes.io/docs/concepts/architecture/cgroups/#deprecation-of-cgroup-v1: failCgroupV1 is true by default.
CGROUP_V1_OFF = 35


def requested_apis(deprecated: Mapping[str, str], target: str, unasked: str) -> list[Blocker]:
    """Return the APIs that a client has requested and the target version no longer serves.

    `deprecated` is API -> release that removes it; `unasked` says which API servers were not asked, "" if each was.
    """
    remedy = "let its clients use the version after it; who they are, the audit log says"
    remedy += f" (the other API servers may know of more: {unasked})" if unasked else ""
    return [
        Blocker(f"API {name}", f"requested since the API server started, and removed in {release}", remedy)
        for name, release in sorted(deprecated.items())
        if 0 <= minor(release) <= minor(target)
    ]


def old_kubelets(kubelets: Mapping[str, str], target: str) -> list[Blocker]:
    """Return the Nodes whose kubelets are too old for an API server of the target version; `kubelets` is Node -> version."""
    remedy = f"upgrade its kubelet to {KUBELET_BEHIND} minor versions behind at most, or delete the Node"
    return [
        Blocker(f"Node {node}", f"kubelet {version}, too old for an API server of {target}", remedy)
        for node, version in kubelets.items()
        if minor(target) - minor(version) > KUBELET_BEHIND
    ]


def stored_versions(definitions: Iterable[KubeObject]) -> list[Blocker]:
    """Return the CustomResourceDefinitions with objects in a version that they no longer serve, or have no more."""
    found: list[Blocker] = []
    for each in definitions:
        versions: list[Json] = each.at("spec.versions", [])
        served = {str(version["name"]) for version in versions if version.get("served")}
        lost = [version for version in each.at("status.storedVersions", []) if version not in served]
        if lost:
            why = f"may have objects stored as {', '.join(lost)}, which it does not serve"
            found.append(
                Blocker(name_of(each), why, "write every object again, then remove the version from status.storedVersions")
            )
    return found


def proxy_mode(configuration: str, target: str) -> list[Blocker]:
    """Return kube-proxy if its mode is IPVS and the target version does not have it; `configuration` is its config.conf."""
    settings = _settings(configuration)
    gates: Json = settings.get("featureGates") or {}
    if settings.get("mode") != "ipvs" or minor(target) < IPVS_OFF or gates.get("KubeProxyIPVS") is True:
        return []
    return [Blocker("ConfigMap kube-system/kube-proxy", f"mode ipvs, which {target} has no more", "set mode nftables before")]


def cgroup_v1(nodes: Iterable[str], versions: Mapping[str, str], kubelet: str, target: str) -> list[Blocker]:
    """Return the Nodes with cgroup v1 whose kubelet of the target version would not start.

    `nodes` are the names of those with cgroup v1, `versions` is Node name -> version of its kubelet; `kubelet` is the kubelet's
    configuration that an upgrade gives each Node, "" where the cluster shows none.
    """
    if minor(target) < CGROUP_V1_OFF or _settings(kubelet).get("failCgroupV1") is False:
        return []
    # A kubelet that runs with cgroup v1, though its version does not by default, has the setting in a file that nobody replaces.
    set_there = {name for name, version in versions.items() if not kubelet and minor(version) >= CGROUP_V1_OFF}
    remedy = "boot it with cgroup v2, or set failCgroupV1: false in the kubelet's configuration"
    why = f"cgroup v1, with which the kubelet of {target} does not start"
    return [Blocker(f"Node {name}", why, remedy) for name in nodes if name not in set_there]


def _settings(configuration: str) -> Json:
    """Return the settings of a configuration in YAML, none if it is not one."""
    try:
        content: Any = yaml.safe_load(configuration)
    except yaml.YAMLError:
        return {}
    return cast("Json", content) if isinstance(content, dict) else {}
