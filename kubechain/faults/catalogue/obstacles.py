"""What blocks an upgrade: there before it, and found by the claims that look at the cluster beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kubechain.claims.claim import Link
from kubechain.conditions.condition import Result, expect
from kubechain.faults.catalogue.witnesses import NODE_LOST, SYSTEM
from kubechain.faults.fault import Fault, Injection
from kubechain.faults.injections import Objects, frozen
from kubechain.faults.testbed import SCHEDULER, TRIAL, Testbed
from kubechain.kube.objects import Json, KubeObject
from kubechain.workload import manifests

NAME, GROUP = "kubechain-fault", "fault.kubechain.test"
# Nobody has such objects.
RULES = [{"apiGroups": [GROUP], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["nothings"]}]
ANYTHING = {"openAPIV3Schema": {"type": "object"}}
# Of what a Node has, so that a Pod that asks for it finds no room on another one with such a Pod.
MOST = 60


def object_of(kind: str, version: str, name: str = NAME, **parts: Any) -> Json:
    """Return a manifest."""
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **parts}


def there(kind: str, namespace: str = "", name: str = NAME) -> Callable[[Testbed], KubeObject | None]:
    """Return a function that reads an object."""
    return lambda testbed: testbed.api.get(kind, namespace, name)


def once(read: Callable[[Testbed], KubeObject | None], shows: Callable[[KubeObject], bool]) -> Callable[[Testbed], Result]:
    """Return the check that an object exists and shows what it must."""

    def check(testbed: Testbed) -> Result:
        found = read(testbed)
        return expect(found is not None and shows(found), "no effect yet")

    return check


def is_there(_resource: KubeObject) -> bool:
    """Return whether an object that was read exists."""
    return True


class FullWorkers:
    """Each worker has a Pod that asks for MOST percent of its memory."""

    def inject(self, testbed: Testbed) -> None:
        """Create the Pods."""
        testbed.ensure_trial_namespace()
        for name in testbed.workers:
            node = testbed.api.get("Node", "", name)
            kib = int(str(node.at("status.allocatable.memory", "0Ki")).removesuffix("Ki")) if node else 0
            pod = manifests.web_pod(f"{NAME}-{name}", testbed.chain_factory.environment.target.nginx)
            pod["spec"]["nodeName"] = name
            pod["spec"]["containers"][0]["resources"] = {"requests": {"memory": f"{kib * MOST // 100}Ki"}}
            testbed.recreate(pod, TRIAL)

    def in_effect(self, testbed: Testbed) -> Result:
        """Check that the Pods run."""
        found = [testbed.api.get("Pod", TRIAL, f"{NAME}-{name}") for name in testbed.workers]
        return expect(all(pod is not None and pod.is_true("Ready") for pod in found), "a Pod that does not run")

    def heal(self, testbed: Testbed) -> None:
        """Delete the Pods."""
        for name in testbed.workers:
            testbed.api.delete("Pod", TRIAL, f"{NAME}-{name}", {"gracePeriodSeconds": 0}, missing_ok=True)


@dataclass(frozen=True)
class OldVersion:
    """The control plane's Node reports an old kubelet, which is stopped so that it does not say what it is."""

    version: str

    def inject(self, testbed: Testbed) -> None:
        """Stop the kubelet and write the version."""
        testbed.run_on(testbed.control_plane, "systemctl stop kubelet")
        status = {"status": {"nodeInfo": {"kubeletVersion": self.version}}}
        testbed.api.patch("Node", "", testbed.control_plane, status, sub="status")

    def in_effect(self, testbed: Testbed) -> Result:
        """Check the version."""
        node = testbed.api.get("Node", "", testbed.control_plane)
        reported = str(node.at("status.nodeInfo.kubeletVersion")) if node else "none"
        return expect(reported == self.version, reported)

    def heal(self, testbed: Testbed) -> None:
        """Start the kubelet, which writes its version."""
        testbed.run_on(testbed.control_plane, "systemctl start kubelet")


BUDGET = object_of("PodDisruptionBudget", "policy/v1",
                   spec={"maxUnavailable": 0, "selector": {"matchLabels": {"k8s-app": "kube-dns"}}})  # fmt: skip
WEBHOOK = object_of("ValidatingWebhookConfiguration", "admissionregistration.k8s.io/v1",
                    webhooks=[{"name": f"fault.{GROUP}", "rules": RULES, "failurePolicy": "Fail", "sideEffects": "None",
                               "admissionReviewVersions": ["v1"],
                               "clientConfig": {"service": {"namespace": SYSTEM, "name": "absent"}}}])  # fmt: skip
POLICY = object_of("ValidatingAdmissionPolicy", "admissionregistration.k8s.io/v1",
                   spec={"failurePolicy": "Fail", "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
                         "matchConstraints": {"resourceRules": RULES}, "validations": [{"expression": "true"}]})  # fmt: skip
BINDING = object_of("ValidatingAdmissionPolicyBinding", "admissionregistration.k8s.io/v1",
                    spec={"policyName": NAME, "validationActions": ["Deny"],
                          "paramRef": {"namespace": SYSTEM, "name": "absent", "parameterNotFoundAction": "Deny"}})  # fmt: skip
API_SERVICE = object_of("APIService", "apiregistration.k8s.io/v1", f"v1.{GROUP}",
                        spec={"group": GROUP, "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100,
                              "insecureSkipTLSVerify": True,
                              "service": {"namespace": SYSTEM, "name": "absent"}})  # fmt: skip
DEFINITION = object_of("CustomResourceDefinition", "apiextensions.k8s.io/v1", f"nothings.{GROUP}",
                       spec={"group": GROUP, "scope": "Namespaced", "names": {"plural": "nothings", "kind": "Nothing"},
                             "versions": [{"name": "v1", "served": False, "storage": True, "schema": ANYTHING},
                                          {"name": "v2", "served": True, "storage": False, "schema": ANYTHING}]})  # fmt: skip


def obstacle(identity: str, title: str, at: Link, injection: Injection, claim: str, symptom: str) -> Fault:
    """Return the fault that something blocks an upgrade from before it."""
    return Fault(f"before-{identity}", "upgrade", title, at, injection, (claim,), symptom, ahead=True)


FAULTS = (
    obstacle("budget-of-none", "a PodDisruptionBudget allows no disruption", Link.PODS,
             Objects((BUDGET,), once(there("PodDisruptionBudget", SYSTEM), lambda each: bool(each.at("status.expectedPods"))),
                     SYSTEM), "BEFORE-PODS-010", f"PodDisruptionBudget {SYSTEM}/{NAME}: allows no disruption"),
    obstacle("webhook-unserved", "a webhook that fails closed has no Service", Link.API,
             Objects((WEBHOOK,), once(there("ValidatingWebhookConfiguration"), is_there)), "BEFORE-API-020",
             f"fails closed, and its Service {SYSTEM}/absent does not exist"),
    obstacle("parameter-missing", "an admission policy denies, for it lacks its parameter", Link.API,
             Objects((POLICY, BINDING), once(there("ValidatingAdmissionPolicyBinding"), is_there)), "BEFORE-API-030",
             f"its parameter ConfigMap {SYSTEM}/absent does not exist"),
    obstacle("api-service-away", "an APIService is not available", Link.API,
             Objects((API_SERVICE,), once(there("APIService", name=f"v1.{GROUP}"),
                                          lambda each: each.condition("Available").get("status") == "False")),
             "BEFORE-API-040", f"APIService v1.{GROUP}: not available"),
    obstacle("stored-version-unserved", "a version in which objects are stored is not served", Link.API,
             Objects((DEFINITION,), once(there("CustomResourceDefinition", name=f"nothings.{GROUP}"),
                                         lambda each: bool(each.at("status.storedVersions")))),
             "BEFORE-API-050", "may have objects stored as v1, which it does not serve"),
    obstacle("kubelet-too-old", "the kubelet of a Node is too old for the next minor version", Link.NODES, OldVersion("v1.30.0"),
             "BEFORE-NODES-010", r"v1\.30\.0"),
    obstacle("node-lost", "a Node is not Ready", Link.NODES, NODE_LOST, "BEFORE-NODES-020",
             r"Node \S+: not Ready"),
    obstacle("no-room-to-drain", "the Pods of a worker have no room on the other", Link.NODES, FullWorkers(), "BEFORE-NODES-030",
             "have no room elsewhere by what they request"),
    obstacle("scheduler-frozen", "kube-scheduler is frozen", Link.UPGRADE, frozen(SCHEDULER), "BEFORE-UPGRADE-010",
             "chain broken at PODS"),
)  # fmt: skip
