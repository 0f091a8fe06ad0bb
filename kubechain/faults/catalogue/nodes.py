"""Faults of nodes and of the network between them."""

from __future__ import annotations

from dataclasses import dataclass

from kubechain.claims.claim import Link
from kubechain.cleanup import cordons
from kubechain.conditions.condition import Result, expect
from kubechain.conditions.text import some
from kubechain.core.run import RUN_LABEL
from kubechain.faults.catalogue.control_plane import controller_off
from kubechain.faults.fault import Combined, Fault
from kubechain.faults.injections import IptablesRule, KubeletSetting, Script, frozen, unit_stopped
from kubechain.faults.testbed import ASIDE, NOBODY, Testbed
from kubechain.kube.objects import KubeObject
from kubechain.workload.manifests import CONTAINER_PORT, SERVICE_PORT

CNI = "/etc/cni/net.d/10-kubechain.conflist"
TAINT = {"key": "kubechain/fault", "effect": "NoSchedule"}
# Drops connections to nginx from other nodes; the kubelet's probes come from the node itself.
FROM_OTHER_NODES = f"FORWARD -i eth0 -p tcp --dport {CONTAINER_PORT} -j DROP"
NODE_PORTS_DROPPED = "PREROUTING -i eth0 -p tcp --dport 30000:32767 -j DROP"
# Traffic to Services with the port of the suite's Service, but not to those of DNS or the API server.
TO_SERVICES = f"-p tcp -d 10.96.0.0/16 --dport {SERVICE_PORT}"
PROXY_HEALTH = 10256
# The message of a claim for which not every backend answered.
MISSING_BACKEND = "answers of .+, got"
# The messages of claims for which the Node never becomes NotReady.
NODE_NOT_LOST = r"Node \S+ with (Ready Unknown|taints) .+, got|no ready address of web .+, got"


def network_frozen(where: str) -> Script:
    """Return the injection that freezes the Pods of the network plugin: they would restore the routes and files of a fault."""
    return frozen("(sh|/bin/sh) /usr/local/bin/routes.sh", where)


class StoppedWorker:
    """A worker whose container is killed, and whose Node is not Ready, so that no Pod is scheduled there."""

    def inject(self, testbed: Testbed) -> None:
        """Kill the container of the first worker."""
        testbed.cluster.kill_node(testbed.workers[0])

    def in_effect(self, testbed: Testbed) -> Result:
        """Check that the container does not run, and that the Node is not Ready."""
        (node,) = [node for node in testbed.api.list("Node").items if node.name == testbed.workers[0]]
        stopped = bool(testbed.failing_nodes("worker", "true")) and not node.is_true("Ready")
        return expect(stopped, f"{node.name} running, or its Node Ready")

    def heal(self, testbed: Testbed) -> None:
        """Start the container."""
        testbed.cluster.start_node(testbed.workers[0])


class TaintedWorkers:
    """Every worker has the taint TAINT."""

    def inject(self, testbed: Testbed) -> None:
        """Taint every worker's Node."""
        self._set(testbed, [TAINT])

    def in_effect(self, testbed: Testbed) -> Result:
        """Check that every worker's Node has taints."""
        without = [node.name for node in _workers(testbed) if not node.at("spec.taints")]
        return expect(not without, f"no taints on {some(without)}")

    def heal(self, testbed: Testbed) -> None:
        """Remove the taints."""
        self._set(testbed, None)

    def _set(self, testbed: Testbed, taints: list[dict[str, str]] | None) -> None:
        for name in testbed.workers:
            testbed.api.patch("Node", "", name, {"spec": {"taints": taints}})


class CordonedWorkers:
    """Every worker is cordoned, with the mark of the run: if the run is killed, the next run on the cluster uncordons them."""

    def inject(self, testbed: Testbed) -> None:
        """Cordon every worker's Node."""
        for name in testbed.workers:
            cordons.cordon(testbed.api, name, self._run_id(testbed))

    def in_effect(self, testbed: Testbed) -> Result:
        """Check that every worker's Node is unschedulable."""
        schedulable = [node.name for node in _workers(testbed) if not node.at("spec.unschedulable", default=False)]
        return expect(not schedulable, f"{some(schedulable)} schedulable")

    def heal(self, testbed: Testbed) -> None:
        """Uncordon them."""
        for name in testbed.workers:
            cordons.uncordon(testbed.api, name, self._run_id(testbed))

    @staticmethod
    def _run_id(testbed: Testbed) -> str:
        return testbed.chain_factory.labels[RUN_LABEL]


def _workers(testbed: Testbed) -> list[KubeObject]:
    return [node for node in testbed.api.list("Node").items if node.name in testbed.workers]


def not_ready(testbed: Testbed) -> bool:
    """Return whether no worker is Ready, which shows that every kubelet has noticed the fault."""
    return not any(node.is_true("Ready") for node in _workers(testbed))


@dataclass(frozen=True)
class MissingImage:
    """The nginx image is not on some nodes, and no registry has it."""

    where: str

    def inject(self, testbed: Testbed) -> None:
        """Remove the image from every such node."""
        for node in testbed.nodes(self.where):
            testbed.run_on(node, f"ctr -n k8s.io images rm {self._name(testbed)}")

    def in_effect(self, testbed: Testbed) -> Result:
        """Check that no such node has the image."""
        image = testbed.chain_factory.environment.target.nginx
        left = [node for node in testbed.nodes(self.where) if testbed.cluster.holds(node, image)]
        return expect(not left, f"the image still on {some(left)}")

    def heal(self, testbed: Testbed) -> None:
        """Load the image on the nodes."""
        testbed.cluster.load([testbed.chain_factory.environment.target.nginx], testbed.store)

    @staticmethod
    def _name(testbed: Testbed) -> str:
        return f"docker.io/{testbed.chain_factory.environment.target.nginx}"


def no_routes(where: str) -> Combined:
    """Return the injection that removes the routes to the Pods of other nodes from some nodes."""
    saved = "/kind/routes"
    remove = f"ip route | grep '^10[.]244[.].* via ' > {saved} && while read -r r _; do ip route del $r; done < {saved}"
    restore = f"test ! -e {saved} || while read -r r; do ip route replace $r; done < {saved}; rm -f {saved}"
    return Combined((network_frozen(where), Script(where, remove, "! ip route | grep -q '^10[.]244[.].* via '", restore)))


FAULTS = (
    Fault("kubelets-stopped", "node", "no worker's kubelet runs", Link.PODS, unit_stopped("kubelet", "workers"),
          ("CHAIN-PODS-010",), r"is absent|ContainersReady|Initialized|not reported|is False|of \d+ ready"),
    Fault("containerd-stopped", "node", "no worker's containerd runs", Link.PODS, unit_stopped("containerd", "workers"),
          ("CHAIN-PODS-010",), r"is absent|ContainersReady|Initialized|not reported|is False|of \d+ ready"),
    Fault("proxies-frozen", "node", "kube-proxy is frozen on every node", Link.CLUSTERIP,
          frozen("/usr/local/bin/kube-proxy", "all"), ("CHAIN-CLUSTERIP-010",), "timeout|refused|unreachable|curl exit",
          breaks=(Link.NODEPORT,)),
    Fault("proxy-frozen-on-one", "node", "kube-proxy is frozen on the control plane's node", Link.NODEPORT,
          frozen("/usr/local/bin/kube-proxy"), ("CHAIN-NODEPORT-010",), "refused|timeout", short=True),
    Fault("workers-tainted", "node", "every worker has a taint", "refused", TaintedWorkers(),
          symptom="every Node has a taint: kubechain/fault:NoSchedule on 2 of 3 Nodes"),
    Fault("workers-cordoned", "node", "every worker is cordoned", Link.PODS,
          CordonedWorkers(),
          ("CHAIN-PODS-010",), "unschedulable|PodScheduled"),
    Fault("no-room", "node", "no worker takes another Pod", "refused", KubeletSetting("workers", "maxPods", "2"),
          symptom="no Node takes the Pods of this run: the scheduler says: .*Too many pods"),
    Fault("cni-gone", "node", "the workers have no CNI configuration", Link.PODS,
          Combined((network_frozen("workers"), Script("workers", f"mkdir -p {ASIDE} && mv {CNI} {ASIDE}/cni", f"test ! -e {CNI}",
                                f"test ! -e {ASIDE}/cni || mv {ASIDE}/cni {CNI}", not_ready))),
          ("CHAIN-PODS-010",), r"is absent|ContainersReady|not reported|is False|of \d+ ready"),
    Fault("route-gone", "node", "the workers do not reach each other's Pods", Link.CLUSTERIP,
          no_routes("workers"),
          ("CHAIN-CLUSTERIP-010", "CHAIN-CLUSTERIP-020"), f"timeout|unreachable|{MISSING_BACKEND}|curl exit",
          breaks=(Link.NODEPORT, Link.API, Link.DNS)),
    Fault("image-missing", "node", "the workers do not have the nginx image", Link.PODS, MissingImage("workers"),
          ("CHAIN-PODS-010",), "ImagePull|ErrImage"),
    controller_off("node-lifecycle-controller", Link.NODES, ("LIFE-NODES-010",), NODE_NOT_LOST),
    Fault("workers-paused", "node", "the workers are paused: kubelet, containerd and kube-proxy are frozen", Link.PODS,
          frozen("(/usr/bin/kubelet|/usr/local/bin/containerd|/usr/local/bin/kube-proxy)", "workers"),
          ("CHAIN-PODS-010",), r"is absent|ContainersReady|Initialized|not reported|is False|of \d+ ready"),
    Fault("worker-stopped", "node", "one worker is stopped", Link.NODEPORT, StoppedWorker(),
          ("CHAIN-NODEPORT-010",), "timeout|unreachable|no route"),
    Fault("node-port-dropped", "network", "one worker drops TCP to its nodePorts", Link.NODEPORT,
          IptablesRule("raw", NODE_PORTS_DROPPED, "worker"), ("CHAIN-NODEPORT-010",),
          "timeout"),
    Fault("udp-dropped", "network", "one worker drops UDP to its nodePorts", Link.NODEPORT,
          IptablesRule("raw", "PREROUTING -i eth0 -p udp --dport 30000:32767 -j DROP", "worker"), ("CHAIN-NODEPORT-050",),
          "got nothing at"),
    Fault("backend-black-holed", "network", "Pods of one worker cannot be reached from other nodes", Link.CLUSTERIP,
          IptablesRule("filter", FROM_OTHER_NODES, "worker"),
          ("CHAIN-CLUSTERIP-010", "CHAIN-CLUSTERIP-020", "CHAIN-CLUSTERIP-030", "CHAIN-CLUSTERIP-090", "CHAIN-NODEPORT-020"),
          f"timeout|{MISSING_BACKEND}", breaks=(Link.NODEPORT, Link.API, Link.DNS)),
    Fault("rules-stale", "network", "a third of the connections to Services go to an address of no Pod", Link.CLUSTERIP,
          IptablesRule("nat", f"PREROUTING {TO_SERVICES} -m statistic --mode random --probability 0.33 -j DNAT "
                      f"--to-destination {NOBODY}:{CONTAINER_PORT}", "all"),
          ("CHAIN-CLUSTERIP-010", "CHAIN-CLUSTERIP-020", "CHAIN-CLUSTERIP-030", "CHAIN-CLUSTERIP-090"),
          "refused|timeout|unreachable|curl exit"),
    Fault("service-hijacked", "network", "another process answers at the addresses of Services", Link.CLUSTERIP,
          IptablesRule("nat", f"PREROUTING {TO_SERVICES} -j REDIRECT --to-ports {PROXY_HEALTH}", "all"),
          ("CHAIN-CLUSTERIP-010",), ": 404"),
    Fault("hairpin-broken", "network", "a Pod does not reach itself through its Service", Link.CLUSTERIP,
          IptablesRule("filter", "FORWARD -s {pods} -d {pods} -m mark --mark 0x4000/0x4000 -j DROP", "workers"),
          ("CHAIN-CLUSTERIP-030",), f"timeout|{MISSING_BACKEND}", short=True),
    Fault("packets-lost", "network", "three of ten packets to Pods of another node are lost", Link.CLUSTERIP,
          IptablesRule("filter", f"FORWARD -p tcp --dport {CONTAINER_PORT} -m statistic --mode random --probability 0.3 -j DROP",
               "workers"),
          ("CHAIN-CLUSTERIP-020", "CHAIN-CLUSTERIP-030", "CHAIN-CLUSTERIP-080", "CHAIN-CLUSTERIP-090"),
          r" in \d+\.\d\d s|timeout", breaks=(Link.NODEPORT, Link.API)),
    Fault("large-packets-lost", "network", "large packets to Pods of another node are lost", Link.CLUSTERIP,
          IptablesRule("filter", f"FORWARD -i eth0 -p tcp --dport {CONTAINER_PORT} -m length --length 1400:65535 -j DROP",
               "workers"),
          ("CHAIN-CLUSTERIP-140",), r"got \d+ of \d+ bytes"),
    Fault("answers-refused", "network", "connections to the Pods of one worker are refused", Link.CLUSTERIP,
          IptablesRule("filter", f"FORWARD -i eth0 -p tcp --dport {CONTAINER_PORT} -j REJECT --reject-with tcp-reset", "worker"),
          ("CHAIN-CLUSTERIP-010", "CHAIN-CLUSTERIP-020", "CHAIN-CLUSTERIP-030", "CHAIN-CLUSTERIP-090"),
          f"refused|{MISSING_BACKEND}|reset", breaks=(Link.NODEPORT, Link.API)),
)  # fmt: skip
