"""Worker nodes that join a kind cluster after its creation, leave it, and restart.

kind adds no node to a cluster that exists. The options of a node container and of its join are those of kind
(pkg/cluster/internal/providers/docker/provision.go, pkg/cluster/internal/kubeadm/config.go).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import yaml

from kubechain.cluster.kind import NODE_LABEL, ROLE_LABEL, Cluster, remove
from kubechain.core.build_cache import BuildCache
from kubechain.core.errors import ExitCode
from kubechain.core.process import Completed, check, run
from kubechain.kube.families import family_of

RUN_SECONDS = 120.0
EXPORT_SECONDS = 300.0
QUERY_SECONDS = 60.0
EXPORTED = "/kind/kubechain-images.tar"
# Pinned, as the images of the node image are: the kubelet does not remove them when the disk is full.
PINNED = ("--label=io.cri-containerd.pinned=pinned",)
JOIN = "/kind/kubechain-join.yaml"
# Of the processor, while the nodes that stay want it: a new node must not delay the samplers on them until it is ready.
LOW_SHARES, SHARES = "256", "1024"
OPTIONS = (
    *("--detach", "--tty", "--privileged", "--restart=on-failure:1", "--init=false", "--cgroupns=private"),
    *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
    *("--tmpfs", "/tmp", "--tmpfs", "/run", "--volume", "/var", "--volume", "/lib/modules:/lib/modules:ro"),  # noqa: S108  # of the node
)  # fmt: skip


def free_name(cluster: str, taken: Collection[str]) -> str:
    """Return the next name of a worker: "c-worker4" in a cluster with workers up to "c-worker3"."""
    names = (f"{cluster}-worker{number}" for number in itertools.count(2))
    return next(name for name in names if name not in taken)


def start(cluster: Cluster, name: str, image: str, like: str) -> str:
    """Start the container of a new worker, in the network and with the kernel settings of the node `like`; return its id.

    Raises:
        SetupError: the engine does not start it (exit code IMAGES).

    """
    host: Any = json.loads(cluster.docker.call("inspect", "--format", "{{json .HostConfig}}", like))
    settings: dict[str, str] = host.get("Sysctls") or {}
    sysctls = [f"--sysctl={key}={value}" for key, value in settings.items()]
    labels = ["--label", f"{NODE_LABEL}={cluster.name}", "--label", f"{ROLE_LABEL}=worker"]
    words = ["run", "--name", name, "--hostname", name, *labels, "--net", str(host["NetworkMode"])]
    words += [*OPTIONS, f"--cpu-shares={LOW_SHARES}", *sysctls, image]
    return cluster.docker.call(*words, seconds=RUN_SECONDS, doing=f"starting the node {name}").strip()


def release(cluster: Cluster, name: str) -> None:
    """Give a new worker the same share of the processor as other nodes have."""
    cluster.docker.call("update", f"--cpu-shares={SHARES}", name)


def runtime(cluster: Cluster, name: str) -> Completed:
    """Ask for the version of a node's container runtime, which fails until it runs."""
    return run([cluster.docker.client, "exec", name, "ctr", "--namespace=k8s.io", "version"], timeout=QUERY_SECONDS)


def copy_images(cluster: Cluster, source: str, target: str, store: BuildCache) -> None:
    """Copy the images of a node that another lacks: those of the workload, of the network and of other add-ons."""
    missing = sorted(_images(cluster, source) - _images(cluster, target))
    if not missing:
        return
    command = ["ctr", "--namespace=k8s.io", "images", "export", EXPORTED, *missing]
    _call(cluster, source, *command, seconds=EXPORT_SECONDS)
    with store.scratch() as folder:
        archive = folder / "images.tar"
        cluster.docker.call("cp", f"{source}:{EXPORTED}", archive, seconds=EXPORT_SECONDS)
        _call(cluster, source, "rm", EXPORTED)
        cluster.import_archive(target, archive, options=PINNED)


def _images(cluster: Cluster, node: str) -> set[str]:
    """Return the names of a node's images, without those that are digests."""
    listed = _call(cluster, node, "ctr", "--namespace=k8s.io", "images", "list", "--quiet").split()
    return {name for name in listed if "@" not in name and not name.startswith("sha256:")}


def join_configuration(cluster: str, node: str, addresses: str, printed: str) -> dict[str, Any]:
    """Return the JoinConfiguration of a worker with these addresses; `printed` is what `--print-join-command` prints."""
    words = printed.split()
    return {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "JoinConfiguration",
        "discovery": {
            "bootstrapToken": {
                "apiServerEndpoint": words[2],
                "token": words[words.index("--token") + 1],
                "caCertHashes": [words[words.index("--discovery-token-ca-cert-hash") + 1]],
            }
        },
        "nodeRegistration": {
            "criSocket": "unix:///run/containerd/containerd.sock",
            "kubeletExtraArgs": [
                {"name": "node-ip", "value": addresses},
                {"name": "provider-id", "value": f"kind://docker/{cluster}/{node}"},
            ],
        },
    }


def ordered(addresses: Sequence[str], families: Sequence[str]) -> list[str]:
    """Return the address of each of these families, in their order: kind's network has both, also where the cluster has one."""
    return [next(each for each in addresses if family_of(each) == family) for family in dict.fromkeys(families)]


def join(cluster: Cluster, node: str, printed: str, folder: Path, families: Sequence[str]) -> None:
    """Join a worker whose container runs to the cluster, with addresses of these families.

    Raises:
        SetupError: kubeadm fails (exit code CLUSTER).

    """
    network = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}}{{end}}"
    addresses = ",".join(ordered(cluster.docker.call("inspect", "--format", network, node).split(), families))
    file = folder / "join.yaml"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(join_configuration(cluster.name, node, addresses, printed)), encoding="utf-8")
    try:
        cluster.docker.call("cp", file, f"{node}:{JOIN}")
    finally:
        file.unlink()
    # As kind does: what the checks look at are the machine's settings, not the node's.
    _call(cluster, node, "kubeadm", "join", f"--config={JOIN}", "--skip-phases=preflight", seconds=RUN_SECONDS)
    _call(cluster, node, "rm", JOIN)


def stop(cluster: Cluster, node: str) -> None:
    """Remove the container of a node, as a machine that is given back."""
    remove(cluster.docker, [node])


def restart(cluster: Cluster, node: str) -> None:
    """Restart the container of a node, as a machine that reboots."""
    cluster.docker.call("restart", "--time", "30", node, seconds=RUN_SECONDS, doing=f"restarting the node {node}")


def _call(cluster: Cluster, node: str, *words: str, seconds: float = QUERY_SECONDS) -> str:
    command = [cluster.docker.client, "exec", node, *words]
    return check(command, timeout=seconds, code=ExitCode.CLUSTER, doing=f"`{' '.join(words[:3])}` on {node}")
