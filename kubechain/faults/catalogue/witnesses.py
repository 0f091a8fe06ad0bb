"""Faults during an upgrade that change the witnesses, or what manages them: injected in the middle of a rehearsal."""

from __future__ import annotations

from dataclasses import dataclass

from kubechain.claims.claim import Link
from kubechain.conditions.condition import Result, expect
from kubechain.conditions.endpoints import SERVICE_NAME
from kubechain.core.errors import HarnessError
from kubechain.faults.catalogue.upgrade import OneTimeChange, witnesses
from kubechain.faults.fault import Fault
from kubechain.faults.injections import Script, frozen
from kubechain.faults.testbed import MANAGER, SCHEDULER, Testbed
from kubechain.kube.objects import KubeObject
from kubechain.probes.pod import PodProbe
from kubechain.workload.actions import UNREADY
from kubechain.workload.manifests import WEB

SYSTEM = "kube-system"
APART = {"metadata": {"labels": {"part": "another"}}}
# No Kubernetes version that a Node has.
FUTURE = "v1.99.0"
# An endpoint may stay ready for 20 s after its Pod is not.
STALE_SECONDS = 30.0
# The readiness probe asks every second.
READY_SECONDS = 5.0
GRACELESS = {"gracePeriodSeconds": 0}


@dataclass(frozen=True)
class WithoutRights:
    """A controller of kube-controller-manager that has no permissions."""

    controller: str

    @property
    def _binding(self) -> str:
        return f"system:controller:{self.controller}"

    def inject(self, testbed: Testbed) -> None:
        """Remove the subjects of its ClusterRoleBinding; the ClusterRole stays."""
        testbed.api.patch("ClusterRoleBinding", "", self._binding, {"subjects": []})

    def in_effect(self, testbed: Testbed) -> Result:
        """Check that the ClusterRoleBinding has no subjects."""
        binding = testbed.api.get("ClusterRoleBinding", "", self._binding)
        return expect(binding is not None and not binding.at("subjects"), "a binding with subjects")

    def heal(self, testbed: Testbed) -> None:
        """Restore the controller's ServiceAccount as the subject."""
        subject = {"kind": "ServiceAccount", "name": self.controller, "namespace": SYSTEM}
        testbed.api.patch("ClusterRoleBinding", "", self._binding, {"subjects": [subject]})


@dataclass(frozen=True)
class ConfigurationChanged:
    """A ConfigMap in kube-system with another text in place of one in a value; nothing is restarted for it."""

    config_map: str
    key: str
    old: str
    new: str

    def inject(self, testbed: Testbed) -> None:
        """Replace the text; HarnessError if the value does not have it."""
        self._replace(testbed, self.old, self.new)

    def in_effect(self, testbed: Testbed) -> Result:
        """Check the value."""
        return expect(self.new in self._value(testbed), f"ConfigMap {self.config_map} without {self.new!r}")

    def heal(self, testbed: Testbed) -> None:
        """Put the text back."""
        if self.new in self._value(testbed):
            self._replace(testbed, self.new, self.old)

    def _value(self, testbed: Testbed) -> str:
        found = testbed.api.get("ConfigMap", SYSTEM, self.config_map)
        return str(found.at("data")[self.key]) if found else ""

    def _replace(self, testbed: Testbed, old: str, new: str) -> None:
        value = self._value(testbed)
        if old not in value:
            raise HarnessError(f"testbed: no {old!r} in {self.key} of ConfigMap {self.config_map}")
        testbed.api.patch("ConfigMap", SYSTEM, self.config_map, {"data": {self.key: value.replace(old, new)}})


def unready(testbed: Testbed) -> bool:
    """Return whether the control plane's Node is not Ready."""
    node = testbed.api.get("Node", "", testbed.control_plane)
    return node is not None and not node.is_true("Ready")


# No Pod of the witnesses runs on that Node.
NODE_LOST = Script("control-plane", "systemctl stop kubelet", "! systemctl is-active kubelet", "systemctl start kubelet", unready)


def of_witnesses(testbed: Testbed, kind: str, selector: str = f"app={WEB}") -> list[KubeObject]:
    """Return the objects of a kind of the witnesses; HarnessError if there are none."""
    found = testbed.api.list(kind, witnesses(testbed), selector).items
    if not found:
        raise HarnessError(f"testbed: no {kind} with {selector} among the witnesses")
    return found


def label_deployment(testbed: Testbed) -> None:
    """Give the Deployment of the witnesses another label."""
    testbed.api.patch("Deployment", witnesses(testbed), WEB, APART)


def label_replica_sets(testbed: Testbed) -> None:
    """Give the ReplicaSets of the witnesses another label."""
    for each in of_witnesses(testbed, "ReplicaSet"):
        testbed.api.patch("ReplicaSet", witnesses(testbed), each.name, APART)


def delete_pod(testbed: Testbed) -> None:
    """Delete a Pod of the witnesses."""
    testbed.api.delete("Pod", witnesses(testbed), of_witnesses(testbed, "Pod")[0].name)


def delete_pods_at_once(testbed: Testbed) -> None:
    """Delete two Pods of the witnesses without a grace period: more than their PodDisruptionBudget allows."""
    for pod in of_witnesses(testbed, "Pod")[:2]:
        testbed.api.delete("Pod", witnesses(testbed), pod.name, GRACELESS)


def remake_slices(testbed: Testbed) -> None:
    """Delete the EndpointSlices of the witnesses' Service: others come in their place."""
    for each in of_witnesses(testbed, "EndpointSlice", f"{SERVICE_NAME}={WEB}"):
        testbed.api.delete("EndpointSlice", witnesses(testbed), each.name)


def leave_unready_pod_listed(testbed: Testbed) -> None:
    """Make a Pod of the witnesses unready while no controller runs, for longer than an endpoint may stay ready after that."""
    pod, stopped = of_witnesses(testbed, "Pod")[0], frozen(MANAGER)
    probe = PodProbe(testbed.api, witnesses(testbed), pod.name, pod.container)
    stopped.inject(testbed)
    try:
        probe.must_run("touch", UNREADY)
        testbed.chain_factory.patient.pause(STALE_SECONDS)
        probe.must_run("rm", "-f", UNREADY)
    finally:
        stopped.heal(testbed)
    testbed.chain_factory.patient.pause(READY_SECONDS)


def report_future_version(testbed: Testbed) -> None:
    """Let a Node report a kubelet that is newer than the API server; the kubelet says what it is when it goes on."""
    (node,) = testbed.nodes("worker")
    kubelet = frozen("/usr/bin/kubelet", "worker")
    kubelet.inject(testbed)
    try:
        testbed.api.patch("Node", "", node, {"status": {"nodeInfo": {"kubeletVersion": FUTURE}}}, sub="status")
    finally:
        kubelet.heal(testbed)


def changed(identity: str, title: str, at: Link, change: OneTimeChange, claims: tuple[str, ...], symptom: str) -> Fault:
    """Return the fault that something is changed once."""
    return Fault(f"upgrade-{identity}", "upgrade", title, at, change, claims, symptom, lasting=False)


def rights_lost(identity: str, controller: str, at: Link, claims: tuple[str, ...], symptom: str) -> Fault:
    """Return the fault that a controller has no permissions after the change."""
    title = f"the {controller} has lost its permissions"
    return Fault(f"upgrade-{identity}", "upgrade", title, at, WithoutRights(controller), claims, symptom)


FAULTS = (
    changed("deployment-changed", "the witnesses' Deployment gets another label", Link.DEPLOYMENT,
            OneTimeChange(label_deployment), ("DURING-DEPLOYMENT-010", "AFTER-DEPLOYMENT-010"),
            r"Deployment web with labels .*part=another"),
    changed("replica-set-changed", "the witnesses' ReplicaSets get another label", Link.REPLICASET,
            OneTimeChange(label_replica_sets), ("DURING-REPLICASET-010", "AFTER-REPLICASET-010"),
            r"ReplicaSet web-\S+ with labels .*part=another"),
    changed("pod-deleted", "a Pod of the witnesses is deleted", Link.PODS, OneTimeChange(delete_pod),
            ("DURING-PODS-010", "AFTER-PODS-010"), r"Pod web-\S+ (with a deletionTimestamp|deleted)|of 5 ready|no Pod web-"),
    changed("budget-exceeded", "two Pods of the witnesses are deleted at once", Link.PODS, OneTimeChange(delete_pods_at_once),
            ("DURING-PODS-030",), "got [0-2] when "),
    changed("slices-remade", "the EndpointSlices of the witnesses are deleted, and made anew", Link.ENDPOINTS,
            OneTimeChange(remake_slices), ("AFTER-ENDPOINTS-010",), "no EndpointSlice web-"),
    changed("endpoint-stale", "an endpoint stays ready while its Pod is not, and no controller runs", Link.ENDPOINTS,
            OneTimeChange(leave_unready_pod_listed), ("DURING-ENDPOINTS-010",), r"listed as ready \d+\.\d s after it was not"),
    changed("kubelet-newer", "a Node reports a kubelet that is newer than the API server", Link.NODES,
            OneTimeChange(report_future_version), ("DURING-NODES-010",), rf"kubelet of \S+ {FUTURE}, API server"),
    Fault("upgrade-proxy-configuration-lost", "upgrade", "the configuration of kube-proxy has another mode", Link.CLUSTERIP,
          ConfigurationChanged("kube-proxy", "config.conf", "mode: iptables", "mode: nftables"), ("AFTER-CLUSTERIP-010",),
          r"mode nftables \(before: iptables\)"),
    Fault("upgrade-corefile-lost", "upgrade", "the configuration of CoreDNS has lost a line", Link.DNS,
          ConfigurationChanged("coredns", "Corefile", "    loadbalance\n", "    # loadbalance\n"), ("AFTER-DNS-010",),
          "no line loadbalance"),
    Fault("upgrade-node-lost", "upgrade", "the kubelet of the control plane's node does not run", Link.NODES, NODE_LOST,
          ("AFTER-NODES-030",), r"got \S+-control-plane not Ready"),
    rights_lost("scaling-lost", "deployment-controller", Link.SCALE, ("AFTER-SCALE-010",), "got 4 of 4 ready"),
    rights_lost("rolling-lost", "deployment-controller", Link.ROLLOUT, ("AFTER-ROLLOUT-010", "AFTER-ROLLOUT-020"),
                "got revision 2|at revision 2"),
    rights_lost("replacing-lost", "replicaset-controller", Link.HEALING, ("AFTER-HEALING-010",), "no controller UID, got [^n]"),
    rights_lost("listing-lost", "endpointslice-controller", Link.ENDPOINTS, ("AFTER-ENDPOINTS-020",),
                r"got .+:\d+.* in EndpointSlices, none in Endpoints"),
    rights_lost("slices-uncollected", "generic-garbage-collector", Link.DELETION, ("AFTER-DELETION-010",),
                "EndpointSlice inner-.* still there"),
    rights_lost("pods-uncollected", "generic-garbage-collector", Link.DELETION, ("AFTER-DELETION-020",), "web-.* still there"),
    Fault("upgrade-scheduler-frozen", "upgrade", "kube-scheduler is frozen after the change", Link.UPGRADE, frozen(SCHEDULER),
          ("AFTER-UPGRADE-010",), "chain broken at PODS"),
)  # fmt: skip
