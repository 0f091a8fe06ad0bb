"""A cluster that plain `kubeadm init` and `kubeadm join` make in node containers, without the program kind.

Its nodes have the image, the network and the labels of those of kind, so that what ends and removes these ends and removes them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from kubechain.cleanup.containers import NETWORK
from kubechain.cluster import kind, kind_config, worker_nodes
from kubechain.cluster.kind import NODE_LABEL, ROLE_LABEL, Cluster
from kubechain.cluster.network_isolation import IPV6, IPV6_NETWORKS
from kubechain.conditions.condition import Condition, Result, expect
from kubechain.conditions.timeouts import Timeout
from kubechain.core import secret_files
from kubechain.core.errors import ExitCode, SetupError, unmet_as
from kubechain.core.process import Completed, run
from kubechain.kube.families import IPV4
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled, Waiter

CONTEXT = "kubernetes-admin@kubernetes"
CONFIG, SOCKET = "/kind/kubeadm.conf", "unix:///run/containerd/containerd.sock"
COMMAND_SECONDS, INIT_SECONDS = 60.0, 300.0
BOOTED = Timeout(60, "systemd starts containerd; as kind does, no command runs on a node before")
# What the entrypoint of the node image, or systemd, says last before commands may run.
READY_FOR_COMMANDS = re.compile(r"Reached target .*Multi-User System|detected cgroup v1")
RESERVED = ("nodefs.available", "nodefs.inodesFree", "imagefs.available")


class KubeadmCluster(Cluster):
    """A cluster of one control plane and two workers; its context has kubeadm's name, as that of any such cluster."""

    @property
    def context(self) -> str:
        """The name of the context that kubeadm writes."""
        return CONTEXT

    def create(self, config_file: str | Path | None = None) -> None:
        """Make the cluster; the file, which is for kind, says how many workers it has.

        Raises:
            SetupError: a step fails (exit code CLUSTER or IMAGES); the message has its last words, the log all of them.

        """
        first, *workers = node_names(self.name, kind_config.size(Path(config_file or kind_config.CONFIG)))
        secret_files.folder(self.path)
        self.docker.call("tag", self.image or "", self.creation)
        ensure_network(self)
        start_control_plane(self, first)
        for name in workers:
            worker_nodes.start(self, name, self.creation, like=first)
            worker_nodes.release(self, name)
        for name in (first, *workers):
            await_boot(self, name)
        self._init(first)
        for name in workers:
            self._join(first, name)
        self.attach()
        self.ids = frozenset(node.id for node in self.containers() if node.image == self.creation)

    def attach(self) -> None:
        """Write the kubeconfig that kubeadm has made, with the address of the API server on this machine."""
        secret_files.folder(self.path)
        kind.kubeconfig(self.docker, self.name, self.path)

    def _init(self, node: str) -> None:
        """Make the control plane and the Pod network."""
        version = self._on(node, "cat", "/kind/version").strip()
        write = f"cat > {CONFIG}"
        self._on(node, "sh", "-c", write, stdin=yaml.safe_dump_all(configuration(version)))
        options = (f"--config={CONFIG}", "--skip-phases=preflight", "--skip-token-print")
        self._on(node, "kubeadm", "init", *options, seconds=INIT_SECONDS)
        network = self._on(node, "cat", "/kind/manifests/default-cni.yaml").replace("{{ .PodSubnet }}", kind_config.PODS[IPV4])
        self._on(node, "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "create", "-f", "-", stdin=network)

    def _join(self, control_plane: str, node: str) -> None:
        """Join a worker as the instructions say that `kubeadm init` prints."""
        printed = self._on(control_plane, "kubeadm", "token", "create", "--print-join-command")
        options = (f"--cri-socket={SOCKET}", "--skip-phases=preflight")
        self._on(node, *printed.split(), *options, seconds=INIT_SECONDS)

    def _on(self, node: str, *words: str, stdin: str | None = None, seconds: float = COMMAND_SECONDS) -> str:
        """Run a command on a node and return its stdout; what it prints besides is added to the log."""
        doing = f"`{' '.join(words[:3])}` on {node}"
        command = [self.docker.client, "exec", "--interactive", node, *words]
        done = run(command, timeout=seconds, stdin=stdin)
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"{doing}:\n{done.stderr}\n")
        if done.status != 0:
            raise SetupError(f"{doing} failed (status {done.status}): {done.last_words}; see {self.log.name}", ExitCode.CLUSTER)
        return done.stdout


def node_names(cluster: str, count: int) -> list[str]:
    """Return the names of so many nodes as kind gives them, that of the control plane first."""
    workers = [f"{cluster}-worker{number if number > 1 else ''}" for number in range(1, count)]
    return [f"{cluster}-control-plane", *workers]


def ensure_network(cluster: Cluster) -> None:
    """Make the network of nodes as kind does, unless it is there."""
    if NETWORK not in cluster.docker.call("network", "ls", "--format", "{{.Name}}").split():
        both = ("--ipv6", "--subnet", IPV6_NETWORKS[0]) if IPV6.is_dir() else ()
        options = ("--driver=bridge", "--opt=com.docker.network.bridge.enable_ip_masquerade=true", *both)
        cluster.docker.call("network", "create", *options, NETWORK, doing=f"making the network {NETWORK}")


def start_control_plane(cluster: Cluster, name: str) -> None:
    """Start the container of the control plane, whose API server is reached at a port of loopback."""
    labels = ["--label", f"{NODE_LABEL}={cluster.name}", "--label", f"{ROLE_LABEL}={kind_config.ROLE}"]
    words = ["run", "--name", name, "--hostname", name, *labels, "--net", NETWORK, *worker_nodes.OPTIONS]
    words += [f"--publish=127.0.0.1::{kind.API_PORT}/tcp", cluster.creation]
    cluster.docker.call(*words, seconds=worker_nodes.RUN_SECONDS, doing=f"starting the node {name}")


def await_boot(cluster: Cluster, name: str) -> None:
    """Wait until commands may run on a node, and its container runtime answers.

    Raises:
        SetupError: it does not in time (exit code CLUSTER); the message has the last line of its console.

    """

    def check_console(text: str) -> Result:
        lines = text.strip().splitlines()
        return expect(bool(READY_FOR_COMMANDS.search(text)), lines[-1] if lines else "an empty console")

    clock = RealClock()
    console = Polled(f"console of {name}", lambda: _console(cluster, name), clock)
    runtime = Polled(f"containerd on {name}", lambda: worker_nodes.runtime(cluster, name), clock)
    answers = Condition[Completed]("containerd to answer", lambda done: expect(done.status == 0, done.last_words))
    with unmet_as(SetupError, f"the node {name} does not start", code=ExitCode.CLUSTER):
        Waiter(clock).eventually(console, Condition("systemd to start", check_console), within=BOOTED)
        Waiter(clock).eventually(runtime, answers, within=BOOTED)


def _console(cluster: Cluster, name: str) -> str:
    done = run([cluster.docker.client, "logs", name], timeout=COMMAND_SECONDS)
    return done.stdout + done.stderr


def configuration(version: str) -> Sequence[dict[str, object]]:
    """Return the documents for `kubeadm init`; what is set at all is what a node that is a container needs."""
    kubeadm, nothing = "kubeadm.k8s.io/v1beta4", dict.fromkeys(RESERVED, "0%")
    networking = {"podSubnet": kind_config.PODS[IPV4], "serviceSubnet": kind_config.SERVICES[IPV4]}
    cluster = {"kubernetesVersion": version, "apiServer": {"certSANs": ["localhost", "127.0.0.1"]}, "networking": networking}
    kubelet = {"cgroupRoot": "/kubelet", "failSwapOn": False, "failCgroupV1": False}
    # The disk is that of the machine: the kubelet must not remove images when it is full.
    disk = {"imageGCHighThresholdPercent": 100, "evictionHard": nothing}
    # The kernel's table of connections belongs to the machine.
    proxy = {"conntrack": {"maxPerCore": 0}}
    return (
        {"apiVersion": kubeadm, "kind": "ClusterConfiguration", **cluster},
        {"apiVersion": kubeadm, "kind": "InitConfiguration", "nodeRegistration": {"criSocket": SOCKET}},
        {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", **kubelet, **disk},
        {"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", **proxy},
    )
