"""Faults of nodes and of the network between them."""

from __future__ import annotations

from kubechain.claims.claim import Link
from kubechain.conditions.condition import Result, expect
from kubechain.conditions.text import some
from kubechain.faults.catalogue.control_plane import controller_off
from kubechain.faults.fault import Both, Fault
from kubechain.faults.injections import Kubelet, Rule, Script, frozen, unit_stopped
from kubechain.faults.testbed import ASIDE, NOBODY, Testbed
from kubechain.kube.objects import KubeObject
from kubechain.workload.manifests import CONTAINER_PORT, SERVICE_PORT

CNI = "/etc/cni/net.d/10-kubechain.conflist"
TAINT = {"key": "kubechain/fault", "effect": "NoSchedule"}
# Connections to nginx that come from another node; the kubelet's probes come from the node itself.
FROM_ELSEWHERE = f"FORWARD -i eth0 -p tcp --dport {CONTAINER_PORT} -j DROP"
# The network's Pod would mend what is broken here.
NETWORK = frozen("(sh|/bin/sh) /usr/local/bin/routes.sh", "workers")
# What Pods ask of Services like that of the suite, but not of the cluster's DNS or API server.
TO_SERVICES = f"-p tcp -d 10.96.0.0/16 --dport {SERVICE_PORT}"
PROXY_HEALTH = 10256
# Not every backend answered.
FEWER = "answers of .+, got"
# Nothing says of the Node that it is lost.
UNTOLD = r"Node \S+ with (Ready Unknown|taints) .+, got|no ready address of web .+, got"


class Stopped:
    """A worker whose container has been killed, and of which the cluster knows: it gets no Pods any more."""

    def inject(self, lab: Testbed) -> None:
        """Kill it."""
        lab.cluster.kill_node(lab.workers[0])

    def took(self, lab: Testbed) -> Result:
        """Ask it, and its Node."""
        (node,) = [each for each in lab.api.list("Node").items if each.name == lab.workers[0]]
        return expect(bool(lab.failing("worker", "true")) and not node.is_true("Ready"), "it running, or Ready")

    def heal(self, lab: Testbed) -> None:
        """Start it."""
        lab.cluster.start_node(lab.workers[0])


class EveryWorker:
    """A patch on every worker's Node."""

    def __init__(self, patch: dict[str, object], back: dict[str, object], shows: str) -> None:
        self._patch, self._back, self._shows = patch, back, shows

    def inject(self, lab: Testbed) -> None:
        """Patch them."""
        for name in lab.workers:
            lab.api.patch("Node", "", name, {"spec": self._patch})

    def took(self, lab: Testbed) -> Result:
        """Look at them."""
        found: list[KubeObject] = [node for node in lab.api.list("Node").items if node.name in lab.workers]
        plain = [node.name for node in found if not node.at(f"spec.{self._shows}")]
        return expect(not plain, f"no {self._shows} on {some(plain)}")

    def heal(self, lab: Testbed) -> None:
        """Patch them back."""
        for name in lab.workers:
            lab.api.patch("Node", "", name, {"spec": self._back})


def not_ready(lab: Testbed) -> bool:
    """Whether no worker is Ready: its kubelet has noticed."""
    return not any(node.is_true("Ready") for node in lab.api.list("Node").items if node.name in lab.workers)


class ImageGone:
    """The nginx image is not in the store of any worker, and cannot be had."""

    def inject(self, lab: Testbed) -> None:
        """Remove it."""
        for node in lab.workers:
            lab.on(node, f"ctr -n k8s.io images rm {self._name(lab)}")

    def took(self, lab: Testbed) -> Result:
        """Look for it."""
        left = [node for node in lab.workers if lab.cluster.holds(node, lab.chain_factory.environment.target.nginx)]
        return expect(not left, f"it still on {some(left)}")

    def heal(self, lab: Testbed) -> None:
        """Put it back."""
        lab.cluster.load([lab.chain_factory.environment.target.nginx], lab.store)

    @staticmethod
    def _name(lab: Testbed) -> str:
        return f"docker.io/{lab.chain_factory.environment.target.nginx}"


FAULTS = (
    Fault("kubelets-stopped", "node", "no worker's kubelet runs", Link.PODS, unit_stopped("kubelet", "workers"),
          ("CHAIN-PODS-010",), r"is absent|ContainersReady|Initialized|not reported|is False|of \d+ ready"),
    Fault("containerd-stopped", "node", "no worker's containerd runs", Link.PODS, unit_stopped("containerd", "workers"),
          ("CHAIN-PODS-010",), r"is absent|ContainersReady|Initialized|not reported|is False|of \d+ ready"),
    Fault("proxies-frozen", "node", "kube-proxy is frozen on every node", Link.CLUSTERIP,
          frozen("/usr/local/bin/kube-proxy", "all"), ("CHAIN-CLUSTERIP-010",), "timeout|refused|unreachable|curl exit"),
    Fault("proxy-frozen-on-one", "node", "kube-proxy is frozen on the control plane's node", Link.NODEPORT,
          frozen("/usr/local/bin/kube-proxy"), ("CHAIN-NODEPORT-010",), "refused|timeout"),
    Fault("workers-tainted", "node", "every worker has a taint", Link.PODS,
          EveryWorker({"taints": [TAINT]}, {"taints": None}, "taints"), ("CHAIN-PODS-010",), "untolerated taint|PodScheduled"),
    Fault("workers-cordoned", "node", "every worker is cordoned", Link.PODS,
          EveryWorker({"unschedulable": True}, {"unschedulable": None}, "unschedulable"),
          ("CHAIN-PODS-010",), "unschedulable|PodScheduled"),
    Fault("no-room", "node", "no worker takes another Pod", Link.PODS, Kubelet("workers", "maxPods", "2"),
          ("CHAIN-PODS-010",), "Too many pods|PodScheduled|is absent"),
    Fault("cni-gone", "node", "the workers have no CNI configuration", Link.PODS,
          Both((NETWORK, Script("workers", f"mkdir -p {ASIDE} && mv {CNI} {ASIDE}/cni", f"test ! -e {CNI}",
                                f"test ! -e {ASIDE}/cni || mv {ASIDE}/cni {CNI}", not_ready))),
          ("CHAIN-PODS-010",), r"is absent|ContainersReady|not reported|is False|of \d+ ready"),
    Fault("route-gone", "node", "the workers do not reach each other's Pods", Link.CLUSTERIP,
          Both((NETWORK, Script("workers",
                                "ip route | grep '^10[.]244[.].* via ' > /kind/routes && while read -r r _; do ip route del $r; "
                                "done < /kind/routes",
                                "! ip route | grep -q '^10[.]244[.].* via '",
                                "test ! -e /kind/routes || while read -r r; do ip route replace $r; done < /kind/routes; "
                                "rm -f /kind/routes"))),
          ("CHAIN-CLUSTERIP-010", "CHAIN-CLUSTERIP-020"), f"timeout|unreachable|{FEWER}|curl exit"),
    Fault("image-missing", "node", "the workers have lost the nginx image", Link.PODS, ImageGone(),
          ("CHAIN-PODS-010",), "ImagePull|ErrImage"),
    controller_off("node-lifecycle-controller", Link.NODES, ("LIFE-NODES-010",), UNTOLD, 0.7),
    Fault("workers-paused", "node", "the workers are paused: kubelet, containerd and kube-proxy are frozen", Link.PODS,
          frozen("(/usr/bin/kubelet|/usr/local/bin/containerd|/usr/local/bin/kube-proxy)", "workers"),
          ("CHAIN-PODS-010",), r"is absent|ContainersReady|Initialized|not reported|is False|of \d+ ready"),
    Fault("worker-stopped", "node", "one worker is stopped", Link.NODEPORT, Stopped(),
          ("CHAIN-NODEPORT-010",), "timeout|unreachable|no route"),
    Fault("node-port-dropped", "network", "one worker drops what comes to its nodePorts", Link.NODEPORT,
          Rule("raw", "PREROUTING -i eth0 -p tcp --dport 30000:32767 -j DROP", "worker"), ("CHAIN-NODEPORT-010",), "timeout"),
    Fault("udp-dropped", "network", "one worker drops UDP to its nodePorts", Link.NODEPORT,
          Rule("raw", "PREROUTING -i eth0 -p udp --dport 30000:32767 -j DROP", "worker"), ("CHAIN-NODEPORT-050",),
          "got nothing at"),
    Fault("backend-black-holed", "network", "Pods of one worker are not reached from elsewhere", Link.CLUSTERIP,
          Rule("filter", FROM_ELSEWHERE, "worker"),
          ("CHAIN-CLUSTERIP-010", "CHAIN-CLUSTERIP-020", "CHAIN-CLUSTERIP-030", "CHAIN-CLUSTERIP-090", "CHAIN-NODEPORT-020"),
          f"timeout|{FEWER}"),
    Fault("rules-stale", "network", "a third of the rules of Services lead to a Pod that is gone", Link.CLUSTERIP,
          Rule("nat", f"PREROUTING {TO_SERVICES} -m statistic --mode random --probability 0.33 -j DNAT "
                      f"--to-destination {NOBODY}:{CONTAINER_PORT}", "all"),
          ("CHAIN-CLUSTERIP-010", "CHAIN-CLUSTERIP-020", "CHAIN-CLUSTERIP-030", "CHAIN-CLUSTERIP-090"),
          "refused|timeout|unreachable|curl exit"),
    Fault("service-hijacked", "network", "somebody else answers at the addresses of Services", Link.CLUSTERIP,
          Rule("nat", f"PREROUTING {TO_SERVICES} -j REDIRECT --to-ports {PROXY_HEALTH}", "all"),
          ("CHAIN-CLUSTERIP-010",), ": 404"),
    Fault("hairpin-broken", "network", "a Pod does not reach itself through its Service", Link.CLUSTERIP,
          Rule("filter", "FORWARD -s {pods} -d {pods} -m mark --mark 0x4000/0x4000 -j DROP", "workers"),
          ("CHAIN-CLUSTERIP-030",), f"timeout|{FEWER}"),
    Fault("packets-lost", "network", "three of ten packets to Pods of another node are lost", Link.CLUSTERIP,
          Rule("filter", f"FORWARD -p tcp --dport {CONTAINER_PORT} -m statistic --mode random --probability 0.3 -j DROP",
               "workers"),
          ("CHAIN-CLUSTERIP-090",), r" in \d+\.\d\d s|timeout"),
    Fault("answers-refused", "network", "connections to the Pods of one worker are refused", Link.CLUSTERIP,
          Rule("filter", f"FORWARD -i eth0 -p tcp --dport {CONTAINER_PORT} -j REJECT --reject-with tcp-reset", "worker"),
          ("CHAIN-CLUSTERIP-010", "CHAIN-CLUSTERIP-020", "CHAIN-CLUSTERIP-030", "CHAIN-CLUSTERIP-090"), f"refused|{FEWER}|reset"),
)  # fmt: skip
