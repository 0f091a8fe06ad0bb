"""A make of kind cluster that terrains need: what its configuration has besides that of the project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kubechain.cluster import kind_config
from kubechain.cluster.kind import Cluster
from kubechain.cluster.kind_config import FAMILIES
from kubechain.core.bundle import ROOT
from kubechain.kube.objects import Json
from tests.terrains.ground import Ground

CONTROL_PLANE, WORKER = {"role": "control-plane"}, {"role": "worker"}
# What a cluster needs for as long as it is there, and the next command if this one is killed.
STATE = ROOT / "reports" / "terrains" / ".state"
# Where the files of a make are on the control plane's node.
FILES = "/etc/kubernetes/terrain"
PROGRAMS = "/opt/terrain"
# The objects of the Pod network, which kind creates.
NETWORK_MANIFEST = "/kind/manifests/default-cni.yaml"


@dataclass(frozen=True)
class Make:
    """A kind cluster; `id` is "" for the plain one, `is_` completes "a kind cluster that".

    `networking` is merged into that of kind's configuration; each of `kubeadm` is a document of kubeadmConfigPatches;
    `k8s` is a pinned Kubernetes version ("": the default), which is built where it is not there yet. `files` are the content of
    files by their names, in FILES on the control plane's node. `network` returns the objects of another Pod network than the
    project's, `programs` a folder that is PROGRAMS on every node. `made_as` is how the cluster is made; `prepare` changes it
    then, and again if it is kept.
    """

    id: str = ""
    is_: str = "is as the project makes it"
    ip_family: str = kind_config.DEFAULT
    k8s: str = ""
    nodes: tuple[Json, ...] = (CONTROL_PLANE, WORKER, WORKER)
    networking: Json = field(default_factory=dict[str, Any])
    kubeadm: tuple[Json, ...] = ()
    files: Json = field(default_factory=dict[str, Any])
    network: Callable[[], list[Json]] | None = None
    programs: Callable[[], Path] | None = None
    made_as: type[Cluster] = Cluster
    prepare: Callable[[Ground], None] | None = None

    @property
    def dual(self) -> bool:
        """Whether its Services have addresses of two IP families."""
        return len(FAMILIES[self.ip_family]) > 1

    def cluster(self, base: str) -> str:
        """Return the name of its cluster, where `base` is that of the plain one."""
        return f"{base}-{self.id}" if self.id else base


def write(make: Make, folder: Path) -> Path:
    """Write the configuration for kind into the folder, and the files of the make into STATE; return its path."""
    config: Any = yaml.safe_load(kind_config.write(folder, make.ip_family).read_text(encoding="utf-8"))
    # Not in the folder, which goes while a kept cluster stays.
    place = STATE / make.id
    files = {**make.files, **({"network.yaml": _list(make.network())} if make.network else {})}
    for name, content in files.items():
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(yaml.safe_dump(content), encoding="utf-8")
    everywhere = [_mount(make.programs(), PROGRAMS)] if make.programs else []
    first = [_mount(place, FILES)] if make.files else []
    first += [_mount(place / "network.yaml", NETWORK_MANIFEST)] if make.network else []
    config["nodes"] = [{**node, "extraMounts": [*everywhere, *(first if node == CONTROL_PLANE else [])]} for node in make.nodes]
    config["networking"] = {**config.get("networking", {}), **make.networking}
    config["kubeadmConfigPatches"] += [yaml.safe_dump(patch) for patch in make.kubeadm]
    path = folder / "make.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path


def _mount(source: Path, target: str) -> Json:
    return {"hostPath": str(source), "containerPath": target, "readOnly": True}


def _list(objects: list[Json]) -> Json:
    return {"apiVersion": "v1", "kind": "List", "items": objects}
