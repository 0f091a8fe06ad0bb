"""Faults that strike in the middle of an upgrade, by which `make upgrade` is judged: the upgrade is only rehearsed."""

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
from kubechain.workload.manifests import WEB

AWAY_SECONDS = 3
# The bounds within which an outage of AWAY_SECONDS must be told.
TOLD = r"down for (2\.[89]|3\.[0-2]) s"
STOPPED_SECONDS = 5.0


def witnesses(lab: Testbed) -> str:
    """Return the namespace of the witnesses; HarnessError if there are none."""
    found = [each.name for each in lab.api.list("Namespace", selector=UPGRADE_LABEL).items if not each.deleting]
    if not found:
        raise HarnessError("there are no witnesses of an upgrade")
    return found[-1]


def service(lab: Testbed) -> KubeObject:
    """Return the witnesses' Service."""
    found = lab.api.get("Service", witnesses(lab), WEB)
    if found is None:
        raise HarnessError("the witnesses have no Service")
    return found


@dataclass(frozen=True)
class Away:
    """Something that is away for AWAY_SECONDS on some nodes at once: a script that takes it, one that gives it back.

    `words` fills the scripts in; they run as one on the node, so that the time is kept there.
    """

    where: str
    takes: str
    gives: str
    words: Callable[[Testbed], dict[str, str]] = lambda _: {}

    def inject(self, lab: Testbed) -> None:
        """Take it away, wait, give it back."""
        words = self.words(lab)
        script = f"set -e; mkdir -p {ASIDE}; {self.takes}; sleep {AWAY_SECONDS}; {self.gives}".format(**words)
        nodes = lab.nodes(self.where)
        with ThreadPoolExecutor(len(nodes)) as pool:
            list(pool.map(lab.on, nodes, [script] * len(nodes)))

    def took(self, lab: Testbed) -> Result:  # noqa: ARG002  # the script has ended well, or it would have raised
        """It is over."""
        return met()

    def heal(self, lab: Testbed) -> None:
        """It has given back what it took."""


@dataclass(frozen=True)
class Once:
    """Something that is done once to the witnesses, and not taken back: they go with the rehearsal."""

    does: Callable[[Testbed], None]

    def inject(self, lab: Testbed) -> None:
        """Do it."""
        self.does(lab)

    def took(self, lab: Testbed) -> Result:  # noqa: ARG002  # it would have raised
        """It is done."""
        return met()

    def heal(self, lab: Testbed) -> None:
        """There is nothing to take back."""


@dataclass(frozen=True)
class OldKubelet:
    """The kubelet of one worker is that of the minor version before, as if its upgrade had been forgotten."""

    where: str = "worker"

    def prepare(self, lab: Testbed) -> Path:
        """Return the folder of the older version's programs, which may have to be built first."""
        docker, settings = lab.cluster.docker, lab.settings
        known = pins.load()
        now = known.find(settings.k8s).minor
        older = next(each.version for each in known.kubernetes.values() if each.minor == now - 1)
        image = resolve.node_image(docker.client, settings, older, Progress())
        return bundle_of(image, docker, lab.store, Progress())

    def inject(self, lab: Testbed) -> None:
        """Put the older kubelet in place."""
        (node,) = lab.nodes(self.where)
        kubelet = self.prepare(lab) / "kubelet"
        lab.on(node, f"mkdir -p {ASIDE} && cp -n /usr/bin/kubelet {ASIDE}/kubelet")
        lab.cluster.docker.call("cp", kubelet, f"{node}:{ASIDE}/older")
        lab.on(
            node,
            f"cp {ASIDE}/older /usr/bin/kubelet.new && mv /usr/bin/kubelet.new /usr/bin/kubelet && systemctl restart kubelet",
        )

    def took(self, lab: Testbed) -> Result:
        """Ask the Node, which reports its kubelet, and the file."""
        (node,) = lab.nodes(self.where)
        other = not lab.try_on(node, f"test ! -e {ASIDE}/kubelet || cmp -s /usr/bin/kubelet {ASIDE}/kubelet")
        found = lab.api.get("Node", "", node)
        control = lab.api.get("Node", "", lab.control_plane)
        versions = [each.at("status.nodeInfo.kubeletVersion") for each in (found, control) if each]
        ready = bool(found and found.is_true("Ready"))
        return expect(other and ready and len(set(versions)) == 2, f"kubelets {text(versions)}, ready: {text(ready)}")

    def heal(self, lab: Testbed) -> None:
        """Put the kubelet back."""
        for node in lab.nodes(self.where):
            back = f"mv {ASIDE}/kubelet /usr/bin/kubelet && systemctl restart kubelet"
            lab.on(node, f"test ! -e {ASIDE}/kubelet || {{ {back}; }}")


def restart_witness(lab: Testbed) -> None:
    """End the container of a witness."""
    namespace = witnesses(lab)
    pod = lab.api.list("Pod", namespace, f"app={WEB}").items[0]
    PodProbe(lab.api, namespace, pod.name).run("sh", "-c", "kill -TERM 1")


def move_node_port(lab: Testbed) -> None:
    """Give the witnesses' Service another nodePort."""
    found = service(lab)
    (port,) = found.at("spec.ports")
    patch = {"spec": {"ports": [{**port, "nodePort": port["nodePort"] + (1 if port["nodePort"] < 32767 else -1)}]}}
    lab.api.patch("Service", found.at("metadata.namespace"), WEB, patch)


def stop_sampler(lab: Testbed) -> None:
    """Stop the sampler that asks the nodePorts for STOPPED_SECONDS."""
    found = [
        int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal() and _asks_node_ports(entry, lab.folder)
    ]
    if not found:
        raise HarnessError("no sampler runs")
    for process in found:
        os.kill(process, signal.SIGSTOP)
    lab.chain_factory.patient.pause(STOPPED_SECONDS)
    for process in found:
        os.kill(process, signal.SIGCONT)


def _asks_node_ports(entry: Path, folder: Path) -> bool:
    try:
        words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return False
    return any("sampler" in word for word in words) and any(word.startswith(str(folder)) and "/data/" in word for word in words)


def node_port(lab: Testbed) -> dict[str, str]:
    """Return the witnesses' nodePort, for a script."""
    return {"port": str(service(lab).at("spec.ports")[0]["nodePort"])}


def dns_servers(lab: Testbed) -> dict[str, str]:
    """Return rules for the Pods of CoreDNS, for a script: to take their port away, and to give it back."""
    rules = [f"FORWARD -d {pod.at('status.podIP')} -p udp --dport 53 -j DROP" for pod in dns.servers(lab)]
    return {
        "take": "; ".join(f"iptables -w -I {rule}" for rule in rules),
        "give": "; ".join(f"iptables -w -D {rule}" for rule in rules),
    }


FAULTS = (
    Fault(
        "upgrade-node-port-away",
        "upgrade",
        f"the nodePort of one worker is away for {AWAY_SECONDS} s",
        Link.NODEPORT,
        Away(
            "worker",
            "iptables -w -t raw -I PREROUTING -p tcp --dport {port} -j DROP",
            "iptables -w -t raw -D PREROUTING -p tcp --dport {port} -j DROP",
            node_port,
        ),
        ("DURING-NODEPORT-010",),
        TOLD,
        lasting=False,
    ),
    Fault(
        "upgrade-dns-away",
        "upgrade",
        f"no CoreDNS is reached for {AWAY_SECONDS} s",
        Link.DNS,
        Away("all", "{take}", "{give}", dns_servers),
        ("DURING-DNS-010",),
        TOLD,
        lasting=False,
    ),
    Fault(
        "upgrade-proxy-flushed",
        "upgrade",
        f"the rules of kube-proxy are gone on one worker for {AWAY_SECONDS} s",
        Link.CLUSTERIP,
        Away(
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
        "the kubelet of one worker is of the minor version before",
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
        Once(restart_witness),
        ("DURING-PODS-020",),
        r"got Pod \S+ restarted",
        lasting=False,
    ),
    Fault(
        "upgrade-node-port-moved",
        "upgrade",
        "the witnesses' Service gets another nodePort",
        Link.SERVICE,
        Once(move_node_port),
        ("DURING-SERVICE-010", "AFTER-SERVICE-010"),
        r"nodePorts \d+ \(before: \d+\)",
        lasting=False,
    ),
    Fault(
        "upgrade-prober-stopped",
        "upgrade",
        f"the prober is stopped for {STOPPED_SECONDS:g} s",
        "unreachable",
        Once(stop_sampler),
        ("DURING-NODEPORT-010",),
        lasting=False,
    ),
    Fault(
        "upgrade-api-removed",
        "upgrade",
        "the API of PodDisruptionBudgets is not served any more",
        Link.API,
        StaticPod(SERVER, {"--runtime-config": "policy/v1=false"}),
        ("AFTER-API-010",),
        "PodDisruptionBudget",
    ),
)
