"""Faults of what claims use in passing: commands in Pods, the proxy of the API server, Events, names, images, the client Pod."""

from __future__ import annotations

from dataclasses import dataclass

from kubechain.claims.claim import Link
from kubechain.conditions.condition import Result
from kubechain.faults.admission_policies import Denial, Mutation, set_to
from kubechain.faults.catalogue.admission import ANY, CONTAINER, POD, of_app, pod_mutation
from kubechain.faults.catalogue.dns import WRONG_ANSWER, ZONE, template
from kubechain.faults.catalogue.nodes import FROM_OTHER_NODES, NODE_PORTS_DROPPED, MissingImage
from kubechain.faults.fault import Combined, Fault
from kubechain.faults.injections import IptablesRule
from kubechain.faults.testbed import TRIAL, Testbed
from kubechain.kube.objects import Json
from kubechain.workload import manifests
from kubechain.workload.manifests import CONTAINER_PORT, WEB

CLIENT = manifests.client_pod("client", ANY)
OF_CLIENT = of_app("client")
SAMPLES = {"client": CLIENT, WEB: POD}
HOSTNAME = "kubernetes.io/hostname"
# The API server reaches a kubelet over the network of the nodes, for exec, port-forward and logs.
KUBELET_REFUSED = "INPUT -i eth0 -p tcp --dport 10250 -j REJECT --reject-with tcp-reset"
# Not to Pods of the same node: kubelets probe CoreDNS at this port, too.
TO_PODS_DROPPED = f"OUTPUT -o eth0 -p tcp --dport {CONTAINER_PORT} -j DROP"
# Connections of the API server to a Pod that are dropped, and the kubelet that is refused.
NO_BACKEND = r"no answer \(API server"
NO_FORWARD = "error dialing backend|refused"
EVENT: Json = {
    "apiVersion": "v1",
    "kind": "Event",
    "metadata": {"name": "any"},
    "involvedObject": {"kind": "Pod", "name": "any", "namespace": TRIAL},
    "reason": "Any",
    "type": "Normal",
}


@dataclass(frozen=True)
class Pinned:
    """The Pods of the suite with the label app=`app` run on one worker, told by its number."""

    app: str
    worker: int

    def _policy(self, testbed: Testbed) -> Mutation:
        node = testbed.workers[self.worker]
        return Mutation(
            f"{self.app}-pinned",
            "Pod",
            set_to("/spec/nodeSelector", f'{{"{HOSTNAME}": "{node}"}}'),
            SAMPLES[self.app],
            lambda pod: pod.at("spec.nodeSelector", {}).get(HOSTNAME) == node,
            of_app(self.app),
        )

    def inject(self, testbed: Testbed) -> None:
        """Create the policy."""
        self._policy(testbed).inject(testbed)

    def in_effect(self, testbed: Testbed) -> Result:
        """Create a Pod with dryRun: it must get the nodeSelector."""
        return self._policy(testbed).in_effect(testbed)

    def heal(self, testbed: Testbed) -> None:
        """Delete the policy."""
        self._policy(testbed).heal(testbed)


CLIENT_ON_FIRST, WEB_ON_SECOND = Pinned("client", 0), Pinned(WEB, 1)

FAULTS = (
    # What needs commands in Pods cannot be decided; port-forward is a link of its own, and goes the same way.
    Fault("exec-refused", "network", "no worker's kubelet accepts connections of the API server", Link.API,
          IptablesRule("filter", KUBELET_REFUSED, "workers"), ("CHAIN-API-040",), NO_FORWARD),
    Fault("exec-refused-for-client", "network", "the kubelet of the client Pod's node refuses the API server", "unreachable",
          Combined((CLIENT_ON_FIRST, WEB_ON_SECOND, IptablesRule("filter", KUBELET_REFUSED, "worker")))),
    Fault("api-proxy-dropped", "network", "the API server does not reach Pods", Link.API,
          IptablesRule("filter", TO_PODS_DROPPED, "control-plane"), ("CHAIN-API-010",), NO_BACKEND),
    Fault("node-port-dropped-on-control-plane", "network", "the control plane's node drops TCP to its nodePorts", Link.NODEPORT,
          IptablesRule("raw", NODE_PORTS_DROPPED, "control-plane"), ("CHAIN-NODEPORT-010",), "timeout"),
    Fault("control-plane-cut-off", "network", "the control plane's node does not reach Pods", Link.NODEPORT,
          Combined((IptablesRule("filter", FROM_OTHER_NODES, "control-plane"),
                    IptablesRule("filter", TO_PODS_DROPPED, "control-plane"))),
          ("CHAIN-NODEPORT-010",), "timeout", also=(Link.API,)),
    Fault("client-cut-off", "network", "Pods of the client Pod's node reach nothing on other nodes", Link.CLUSTERIP,
          Combined((CLIENT_ON_FIRST, IptablesRule("filter", "FORWARD -o eth0 -s {pods} -j DROP", "worker"))),
          ("CHAIN-CLUSTERIP-010", "CHAIN-CLUSTERIP-020"), "timeout|answers of .+, got", also=(Link.NODEPORT, Link.API)),
    Fault("dns-namespace-ignored", "dns", "CoreDNS answers for a Service without its namespace", Link.DNS,
          template("A", ZONE, "^neighbour[.]svc[.]", WRONG_ANSWER), ("CHAIN-DNS-140",), "got NOERROR"),
    Fault("image-always-pulled", "workload", "the nginx image is always pulled, and no registry has it", Link.PODS,
          pod_mutation("image-always-pulled", set_to(f"{CONTAINER}/imagePullPolicy", '"Always"'), "imagePullPolicy", "Always"),
          ("CHAIN-PODS-010",), "ImagePull|ContainersReady"),
    Fault("image-missing-on-control-plane", "node", "the control plane's node does not have the nginx image", Link.IMAGE,
          MissingImage("control-plane"), ("CHAIN-IMAGE-030",), "control-plane"),
    Fault("client-image-missing", "workload", "the client Pod cannot be started", Link.PODS,
          Mutation("client-image-missing", "Pod", set_to(f"{CONTAINER}/image", f'"{manifests.ABSENT_IMAGE}"'), CLIENT,
                   lambda pod: pod.at("spec.containers")[0]["image"] == manifests.ABSENT_IMAGE, OF_CLIENT),
          symptom="Pod client .*ImagePull"),
    # Events are best-effort: a cluster that stores none keeps all its promises.
    Fault("events-denied", "harmless", "every Event in the namespaces of the suite is refused", None,
          Denial("events-denied", "Event", EVENT), ("CHAIN-PODS-120", "CHAIN-IMAGE-040")),
)  # fmt: skip
