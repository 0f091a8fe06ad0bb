"""Faults during an upgrade: injected in the middle of a rehearsal, which samples and watches but upgrades nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from kubechain.claims.claim import Link
from kubechain.conditions.condition import Result, expect, met
from kubechain.conditions.text import text
from kubechain.core.errors import HarnessError
from kubechain.core.progress import Progress
from kubechain.core.run import UPGRADE_LABEL
from kubechain.faults.catalogue import dns
from kubechain.faults.fault import Fault
from kubechain.faults.injections import StaticPod
from kubechain.faults.testbed import ASIDE, SERVER, Testbed
from kubechain.images import pins, resolve
from kubechain.images.kubeadm_bundle import bundle_of
from kubechain.kube.objects import KubeObject
from kubechain.probes.pod import PodProbe
from kubechain.workload import actions
from kubechain.workload.manifests import WEB

OUTAGE_SECONDS = 3
# The message of a claim that measures OUTAGE_SECONDS within its error.
MEASURED = r"down for (2\.[89]|3\.[0-2]) s"
SUSPENDED_SECONDS = 5.0


def witnesses(testbed: Testbed) -> str:
    """Return the namespace of the witnesses; HarnessError if none exists."""
    namespaces = [each.name for each in testbed.api.list("Namespace", selector=UPGRADE_LABEL).items if not each.deleting]
    if not namespaces:
        raise HarnessError(f"testbed: no namespace with the label {UPGRADE_LABEL}: the rehearsal has no witnesses")
    return namespaces[-1]


def service(testbed: Testbed) -> KubeObject:
    """Return the Service of the witnesses; HarnessError if it does not exist."""
    namespace = witnesses(testbed)
    resource = testbed.api.get("Service", namespace, WEB)
    if resource is None:
        raise HarnessError(f"testbed: no Service {WEB} in the namespace of the witnesses, {namespace}")
    return resource


@dataclass(frozen=True)
class TemporaryOutage:
    """An outage of OUTAGE_SECONDS on some nodes in parallel: the shell script `takes` begins it, `gives` ends it.

    `words` returns the values of the scripts' {fields}. Both run in one script on the node, so that the duration is exact.
    """

    where: str
    takes: str
    gives: str
    words: Callable[[Testbed], dict[str, str]] = lambda _: {}

    def inject(self, testbed: Testbed) -> None:
        """Run the scripts; returns when the outage has ended."""
        words = self.words(testbed)
        script = f"set -e; mkdir -p {ASIDE}; {self.takes}; sleep {OUTAGE_SECONDS}; {self.gives}".format(**words)
        nodes = testbed.nodes(self.where)
        with ThreadPoolExecutor(len(nodes)) as pool:
            list(pool.map(testbed.run_on, nodes, [script] * len(nodes)))

    def in_effect(self, testbed: Testbed) -> Result:  # noqa: ARG002  # a failed script raises
        """Return met: the scripts have succeeded."""
        return met()

    def heal(self, testbed: Testbed) -> None:
        """Do nothing: the outage ends by itself."""


@dataclass(frozen=True)
class OneTimeChange:
    """A change of the witnesses that is not reverted: the rehearsal deletes them at its end."""

    does: Callable[[Testbed], None]

    def inject(self, testbed: Testbed) -> None:
        """Make the change."""
        self.does(testbed)

    def in_effect(self, testbed: Testbed) -> Result:  # noqa: ARG002  # a failed change raises
        """Return met: the change has succeeded."""
        return met()

    def heal(self, testbed: Testbed) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class OldKubelet:
    """A worker whose kubelet is of the previous minor version, as if its upgrade had been skipped."""

    where: str = "worker"

    def prepare(self, testbed: Testbed) -> Path:
        """Return the folder with the programs of the previous minor version, built if necessary."""
        docker, settings = testbed.cluster.docker, testbed.settings
        known = pins.load()
        now = known.find(settings.k8s).minor
        older = next(each.version for each in known.kubernetes.values() if each.minor == now - 1)
        image = resolve.node_image(docker.client, settings, older, Progress())
        return bundle_of(image, docker, testbed.store, Progress())

    def inject(self, testbed: Testbed) -> None:
        """Replace the kubelet by the older one."""
        (node,) = testbed.nodes(self.where)
        kubelet = self.prepare(testbed) / "kubelet"
        testbed.run_on(node, f"mkdir -p {ASIDE} && cp -n /usr/bin/kubelet {ASIDE}/kubelet")
        testbed.cluster.docker.call("cp", kubelet, f"{node}:{ASIDE}/older")
        testbed.run_on(
            node,
            f"cp {ASIDE}/older /usr/bin/kubelet.new && mv /usr/bin/kubelet.new /usr/bin/kubelet && systemctl restart kubelet",
        )

    def in_effect(self, testbed: Testbed) -> Result:
        """Check the program on the worker, and the versions that its Node and the control plane's Node report."""
        (node,) = testbed.nodes(self.where)
        other = not testbed.succeeds_on(node, f"test ! -e {ASIDE}/kubelet || cmp -s /usr/bin/kubelet {ASIDE}/kubelet")
        worker = testbed.api.get("Node", "", node)
        control_plane = testbed.api.get("Node", "", testbed.control_plane)
        versions = [each.at("status.nodeInfo.kubeletVersion") for each in (worker, control_plane) if each]
        ready = bool(worker and worker.is_true("Ready"))
        return expect(other and ready and len(set(versions)) == 2, f"kubelets {text(versions)}, ready: {text(ready)}")

    def heal(self, testbed: Testbed) -> None:
        """Restore the kubelet."""
        for node in testbed.nodes(self.where):
            restore = f"mv {ASIDE}/kubelet /usr/bin/kubelet && systemctl restart kubelet"
            testbed.run_on(node, f"test ! -e {ASIDE}/kubelet || {{ {restore}; }}")


def restart_witness(testbed: Testbed) -> None:
    """Terminate the container of a Pod of the witnesses."""
    namespace = witnesses(testbed)
    pod = testbed.api.list("Pod", namespace, f"app={WEB}").items[0]
    actions.end_container(PodProbe(testbed.api, namespace, pod.name, pod.container))


def move_node_port(testbed: Testbed) -> None:
    """Change the nodePort of the witnesses' Service."""
    resource = service(testbed)
    (port,) = resource.at("spec.ports")
    patch = {"spec": {"ports": [{**port, "nodePort": port["nodePort"] + (1 if port["nodePort"] < 32767 else -1)}]}}
    testbed.api.patch("Service", resource.at("metadata.namespace"), WEB, patch)


def suspend_sampler(testbed: Testbed) -> None:
    """Suspend the sampler of the nodePorts for SUSPENDED_SECONDS."""
    processes = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdecimal() and _samples_node_ports(entry, testbed.folder)
    ]
    if not processes:
        raise HarnessError(f"testbed: no process of this machine samples nodePorts for a run in {testbed.folder}")
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    testbed.chain_factory.patient.pause(SUSPENDED_SECONDS)
    for process in processes:
        os.kill(process, signal.SIGCONT)


def _samples_node_ports(entry: Path, folder: Path) -> bool:
    try:
        words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return False
    return any("sampler" in word for word in words) and any(
        word.startswith(str(folder)) and Path(word).name.startswith("data-") for word in words
    )


def node_port(testbed: Testbed) -> dict[str, str]:
    """Return the nodePort of the witnesses' Service as the field {port} of a script."""
    return {"port": str(service(testbed).at("spec.ports")[0]["nodePort"])}


def dns_servers(testbed: Testbed) -> dict[str, str]:
    """Return the fields {take} and {give} of a script: iptables commands that drop and restore UDP to every CoreDNS Pod."""
    rules = [f"FORWARD -d {pod.at('status.podIP')} -p udp --dport 53 -j DROP" for pod in dns.servers(testbed)]
    return {
        "take": "; ".join(f"iptables -w -I {rule}" for rule in rules),
        "give": "; ".join(f"iptables -w -D {rule}" for rule in rules),
    }


FAULTS = (
    Fault(
        "upgrade-node-port-away",
        "upgrade",
        f"the nodePort of one worker is not reachable for {OUTAGE_SECONDS} s",
        Link.NODEPORT,
        TemporaryOutage(
            "worker",
            "iptables -w -t raw -I PREROUTING -p tcp --dport {port} -j DROP",
            "iptables -w -t raw -D PREROUTING -p tcp --dport {port} -j DROP",
            node_port,
        ),
        ("DURING-NODEPORT-010",),
        MEASURED,
        lasting=False,
    ),
    Fault(
        "upgrade-dns-away",
        "upgrade",
        f"no CoreDNS Pod is reachable for {OUTAGE_SECONDS} s",
        Link.DNS,
        TemporaryOutage("all", "{take}", "{give}", dns_servers),
        ("DURING-DNS-010",),
        MEASURED,
        lasting=False,
        short=True,
    ),
    Fault(
        "upgrade-proxy-flushed",
        "upgrade",
        f"one worker lacks the rules of kube-proxy for {OUTAGE_SECONDS} s",
        Link.CLUSTERIP,
        TemporaryOutage(
            "worker",
            f"iptables-save -t nat > {ASIDE}/nat; iptables -w -t nat -F KUBE-SERVICES",
            f"iptables-restore -w -T nat < {ASIDE}/nat",
        ),
        ("DURING-CLUSTERIP-010",),
        r"got [\d,]+ of [\d,]+ lost",
        lasting=False,
    ),
    Fault(
        "upgrade-kubelet-old",
        "upgrade",
        "the kubelet of one worker is of the previous minor version",
        Link.NODES,
        OldKubelet(),
        ("AFTER-NODES-010",),
        r"kubelet of \S+ v1\.",
    ),
    Fault(
        "upgrade-pod-restarted",
        "upgrade",
        "the container of a witness is restarted",
        Link.PODS,
        OneTimeChange(restart_witness),
        ("DURING-PODS-020",),
        r"got Pod \S+ restarted",
        lasting=False,
    ),
    Fault(
        "upgrade-node-port-moved",
        "upgrade",
        "the witnesses' Service gets another nodePort",
        Link.SERVICE,
        OneTimeChange(move_node_port),
        ("DURING-SERVICE-010", "AFTER-SERVICE-010"),
        r"nodePorts \d+ \(before: \d+\)",
        lasting=False,
    ),
    Fault(
        "upgrade-prober-stopped",
        "upgrade",
        f"the sampler is suspended for {SUSPENDED_SECONDS:g} s",
        "unreachable",
        OneTimeChange(suspend_sampler),
        ("DURING-NODEPORT-010",),
        lasting=False,
    ),
    Fault(
        "upgrade-api-removed",
        "upgrade",
        "the API of PodDisruptionBudgets is no longer served",
        Link.API,
        StaticPod(SERVER, {"--runtime-config": "policy/v1=false"}),
        ("AFTER-API-010",),
        "PodDisruptionBudget",
    ),
)
