"""Further faults during an upgrade: what happens to the witnesses, to add-ons and to Nodes while nobody expects it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kubechain.claims.claim import Link
from kubechain.conditions.condition import Result, expect
from kubechain.core.errors import HarnessError
from kubechain.faults.catalogue.upgrade import MEASURED, OUTAGE_SECONDS, OneTimeChange, TemporaryOutage, witnesses
from kubechain.faults.fault import Fault
from kubechain.faults.testbed import Testbed
from kubechain.kube.objects import KubeObject
from kubechain.workload.manifests import WEB

# A line of the Corefile of kubeadm without which CoreDNS serves all the same, and the line before it.
LINE, BEFORE = "    loadbalance\n", "    reload\n"


def dns_address(testbed: Testbed) -> dict[str, str]:
    """Return the clusterIP of the cluster's DNS as the field {address} of a script."""
    service = testbed.api.get("Service", "kube-system", "kube-dns")
    if service is None:
        raise HarnessError("testbed: no Service kube-dns in kube-system")
    return {"address": str(service.at("spec.clusterIP"))}


def pods_of_witnesses(testbed: Testbed) -> list[KubeObject]:
    """Return the Pods of the witnesses that are not being deleted."""
    return [pod for pod in testbed.api.list("Pod", witnesses(testbed), f"app={WEB}").items if not pod.deleting]


def delete_pods(testbed: Testbed, count: int, **options: Any) -> None:
    """Delete Pods of the witnesses, one immediately after another."""
    for pod in pods_of_witnesses(testbed)[:count]:
        testbed.api.delete("Pod", witnesses(testbed), pod.name, {**options, "preconditions": {"uid": pod.uid}})


def pause_deployment(testbed: Testbed) -> None:
    """Pause the rollout of the witnesses' Deployment."""
    testbed.api.patch("Deployment", witnesses(testbed), WEB, {"spec": {"paused": True}})


def delete_slices(testbed: Testbed) -> None:
    """Delete the EndpointSlices of the witnesses' Service; their controller makes others."""
    namespace = witnesses(testbed)
    for each in testbed.api.list("EndpointSlice", namespace, f"kubernetes.io/service-name={WEB}").items:
        testbed.api.delete("EndpointSlice", namespace, each.name, missing_ok=True)


@dataclass(frozen=True)
class CorefileLine:
    """The Corefile lacks a line that it had before the upgrade."""

    def _corefile(self, testbed: Testbed) -> str:
        found = testbed.api.get("ConfigMap", "kube-system", "coredns")
        return str(found.at("data.Corefile", "")) if found else ""

    def _write(self, testbed: Testbed, corefile: str) -> None:
        testbed.api.patch("ConfigMap", "kube-system", "coredns", {"data": {"Corefile": corefile}})

    def inject(self, testbed: Testbed) -> None:
        """Remove the line."""
        self._write(testbed, self._corefile(testbed).replace(LINE, ""))

    def in_effect(self, testbed: Testbed) -> Result:
        """Check that the line is not there."""
        corefile = self._corefile(testbed)
        return expect(BEFORE in corefile and LINE not in corefile, "the line, or no Corefile")

    def heal(self, testbed: Testbed) -> None:
        """Add the line if it is not there."""
        corefile = self._corefile(testbed)
        if LINE not in corefile:
            self._write(testbed, corefile.replace(BEFORE, BEFORE + LINE))


@dataclass(frozen=True)
class StoppedKubelet:
    """A Node whose kubelet is stopped, as that of a machine that does not come back; its Pods run on."""

    where: str = "control-plane"

    def inject(self, testbed: Testbed) -> None:
        """Stop the kubelet."""
        for node in testbed.nodes(self.where):
            testbed.run_on(node, "systemctl stop kubelet")

    def in_effect(self, testbed: Testbed) -> Result:
        """Check that the Node is not Ready."""
        nodes = [testbed.api.get("Node", "", node) for node in testbed.nodes(self.where)]
        ready = [node.name for node in nodes if node and node.is_true("Ready")]
        return expect(not ready, f"{', '.join(ready)} Ready")

    def heal(self, testbed: Testbed) -> None:
        """Start the kubelet."""
        for node in testbed.nodes(self.where):
            testbed.run_on(node, "systemctl start kubelet")


FAULTS = (
    Fault(
        "upgrade-dns-of-a-node-away",
        "upgrade",
        f"the DNS queries of the Pods on one worker are lost for {OUTAGE_SECONDS} s",
        Link.DNS,
        TemporaryOutage(
            "worker",
            "iptables -w -t raw -I PREROUTING -d {address} -p udp --dport 53 -j DROP",
            "iptables -w -t raw -D PREROUTING -d {address} -p udp --dport 53 -j DROP",
            dns_address,
        ),
        ("DURING-DNS-010",),
        MEASURED,
        lasting=False,
    ),
    Fault(
        "upgrade-witness-deleted",
        "upgrade",
        "a Pod of the witnesses is deleted",
        Link.PODS,
        OneTimeChange(lambda testbed: delete_pods(testbed, 1)),
        ("DURING-PODS-010", "AFTER-PODS-010"),
        r"Pod \S+ (with a deletionTimestamp|deleted)|no Pod ",
        lasting=False,
    ),
    Fault(
        "upgrade-budget-broken",
        "upgrade",
        "two Pods of the witnesses are deleted at once, which their PodDisruptionBudget forbids to a drain",
        Link.PODS,
        OneTimeChange(lambda testbed: delete_pods(testbed, 2, gracePeriodSeconds=0)),
        ("DURING-PODS-030",),
        r"got 2 when ",
        lasting=False,
    ),
    Fault(
        "upgrade-deployment-paused",
        "upgrade",
        "the rollout of the witnesses' Deployment is paused",
        Link.DEPLOYMENT,
        OneTimeChange(pause_deployment),
        ("DURING-DEPLOYMENT-010", "AFTER-DEPLOYMENT-010"),
        r"Deployment web with paused true",
        lasting=False,
    ),
    Fault(
        "upgrade-slices-replaced",
        "upgrade",
        "the EndpointSlices of the witnesses' Service are deleted, and made anew by their controller",
        Link.ENDPOINTS,
        OneTimeChange(delete_slices),
        ("AFTER-ENDPOINTS-010",),
        r"no EndpointSlice web-",
        lasting=False,
    ),
    Fault(
        "upgrade-corefile-line-lost",
        "upgrade",
        "the Corefile of CoreDNS lacks a line that it had",
        Link.DNS,
        CorefileLine(),
        ("AFTER-DNS-010",),
        "no line loadbalance",
    ),
    Fault(
        "upgrade-node-not-back",
        "upgrade",
        "the kubelet of the control plane's Node is stopped, and does not come back",
        Link.NODES,
        StoppedKubelet(),
        ("AFTER-NODES-030",),
        r"got \S+-control-plane not Ready",
    ),
)
