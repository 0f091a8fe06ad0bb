"""Faults of the control plane: components stopped or frozen, controllers disabled, arguments changed."""

from __future__ import annotations

from kubechain.claims.claim import Link
from kubechain.conditions.condition import Result, expect
from kubechain.faults.fault import Fault
from kubechain.faults.injections import StaticPod, frozen
from kubechain.faults.testbed import MANAGER, SCHEDULER, SERVER, Testbed

# The deployment controller has not written the status of the Deployment.
UNOBSERVED = r"observedGeneration at least \d+, got none"
# It would replace a container that fails its livenessProbe, after some minutes.
KUBELET = "/usr/bin/kubelet"
BINDING = "system:controller:endpointslice-controller"


def controller_off(name: str, at: Link, claims: tuple[str, ...], symptom: str) -> Fault:
    """Return the fault that a controller does not run; without leader election, so that no process waits for an old lease."""
    off = {"--controllers": f"*,bootstrapsigner,tokencleaner,-{name}", "--leader-elect": "false"}
    return Fault(
        f"{name}-off", "control plane", f"{name} does not run", at, StaticPod(MANAGER, off), claims, symptom
    )  # fmt: skip


class UnboundController:
    """The endpointslice-controller has no permissions."""

    def inject(self, testbed: Testbed) -> None:
        """Remove the subjects of its ClusterRoleBinding; the ClusterRole stays."""
        testbed.api.patch("ClusterRoleBinding", "", BINDING, {"subjects": []})

    def in_effect(self, testbed: Testbed) -> Result:
        """Check that the ClusterRoleBinding has no subjects."""
        binding = testbed.api.get("ClusterRoleBinding", "", BINDING)
        return expect(binding is not None and not binding.at("subjects"), "a binding with subjects")

    def heal(self, testbed: Testbed) -> None:
        """Restore the controller's ServiceAccount as the subject."""
        subject = {"kind": "ServiceAccount", "name": "endpointslice-controller", "namespace": "kube-system"}
        testbed.api.patch("ClusterRoleBinding", "", BINDING, {"subjects": [subject]})


FAULTS = (
    Fault("scheduler-stopped", "control plane", "kube-scheduler does not run", Link.PODS, StaticPod(SCHEDULER),
          ("CHAIN-PODS-010",), "PodScheduled is"),
    Fault("scheduler-frozen", "control plane", "kube-scheduler is frozen", Link.PODS, frozen(SCHEDULER),
          ("CHAIN-PODS-010",), "PodScheduled is"),
    Fault("controller-manager-stopped", "control plane", "kube-controller-manager does not run", Link.DEPLOYMENT,
          StaticPod(MANAGER), ("CHAIN-DEPLOYMENT-010",), UNOBSERVED),
    Fault("controller-manager-frozen", "control plane", "kube-controller-manager is frozen", Link.DEPLOYMENT,
          frozen(MANAGER), ("CHAIN-DEPLOYMENT-010",), UNOBSERVED, short=True),
    Fault("apiserver-stopped", "control plane", "kube-apiserver does not run", "unreachable", StaticPod(SERVER)),
    Fault("apiserver-frozen", "control plane", "kube-apiserver is frozen", "unreachable",
          frozen(f"({KUBELET}|{SERVER})")),
    Fault("etcd-frozen", "control plane", "etcd is frozen", "unreachable", frozen(f"({KUBELET}|etcd)")),
    controller_off("deployment-controller", Link.DEPLOYMENT, ("CHAIN-DEPLOYMENT-010",), UNOBSERVED),
    controller_off("replicaset-controller", Link.REPLICASET, ("CHAIN-REPLICASET-010",), r"status\.replicas \d+, got (\d+|none)"),
    controller_off("endpoints-controller", Link.ENDPOINTS, ("CHAIN-ENDPOINTS-020",),
                   "Endpoints of web to list .*, got no ready address"),
    controller_off("endpointslice-controller", Link.ENDPOINTS, ("CHAIN-ENDPOINTS-010",), "got no ready address"),
    controller_off("garbage-collector-controller", Link.DELETION, ("CHAIN-DELETION-010", "CHAIN-DELETION-020"), "still there"),
    controller_off("namespace-controller", Link.DELETION, ("LIFE-DELETION-060",), r"no Pods with app=web, got \d+|still there"),
    controller_off("serviceaccount-controller", Link.PODS, ("CHAIN-PODS-160",), "ServiceAccount default, got none"),
    controller_off("root-ca-certificate-publisher-controller", Link.PODS, ("CHAIN-PODS-010", "CHAIN-PODS-160"),
                   "got no ConfigMap|got keys|ContainersReady|not ready"),
    Fault("endpointslice-rights-lost", "control plane", "the endpointslice-controller has no permissions", Link.ENDPOINTS,
          UnboundController(), ("CHAIN-ENDPOINTS-010",), "got no ready address"),
    Fault("node-port-range-moved", "control plane", "nodePorts come from another range", Link.SERVICE,
          StaticPod(SERVER, {"--service-node-port-range": "20000-20100"}), ("CHAIN-SERVICE-020",), r"30000-32767, got 20\d{3}"),
    Fault("tolerations-admission-off", "control plane", "DefaultTolerationSeconds is off", Link.PODS,
          StaticPod(SERVER, {"--disable-admission-plugins": "DefaultTolerationSeconds"}), ("CHAIN-PODS-090",),
          "got no tolerationSeconds"),
    Fault("serviceaccount-admission-off", "control plane", "ServiceAccount admission is off", Link.PODS,
          StaticPod(SERVER, {"--disable-admission-plugins": "ServiceAccount"}), ("CHAIN-PODS-100",), "got 0 projected tokens"),
)  # fmt: skip
