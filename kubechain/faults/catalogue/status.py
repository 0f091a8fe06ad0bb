"""Faults of the status that parts of the chain feed back: not written, refused, wrong, or late."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubechain.claims.claim import Link
from kubechain.conditions.condition import Result, expect
from kubechain.conditions.text import some, text
from kubechain.faults.admission_policies import Denial, Mutation
from kubechain.faults.catalogue.admission import ANY, POD, SERVICE, replica_set
from kubechain.faults.catalogue.control_plane import UNOBSERVED
from kubechain.faults.fault import Fault
from kubechain.faults.injections import StaticPod
from kubechain.faults.testbed import MANAGER, TRIAL, Testbed
from kubechain.kube.objects import Json
from kubechain.kube.paths import path_of
from kubechain.workload import manifests
from kubechain.workload.manifests import WEB

ACCOUNTS = "system:serviceaccount:kube-system:"
# Requests a second of each client of the controller manager, where the default is 20. Tokens and watches of all controllers
# take half a minute to begin; then each step of a chain takes up to a second longer.
SLOW_REQUESTS = "3"
COUNTS: Json = {"replicas": 2, "readyReplicas": 2, "availableReplicas": 2}


@dataclass(frozen=True)
class LostRight:
    """A controller of the controller manager without the right to update `resource`, such as "deployments/status".

    https://kubernetes.io/docs/reference/access-authn-authz/rbac/#controller-roles
    """

    controller: str
    group: str
    resource: str

    @property
    def _role(self) -> str:
        return f"system:controller:{self.controller}"

    def _kept(self, testbed: Testbed) -> Path:
        return testbed.folder / f"role-{self.controller}.json"

    def inject(self, testbed: Testbed) -> None:
        """Save the rules of the controller's role in the testbed's folder, and remove the resource from them."""
        role = testbed.api.get("ClusterRole", "", self._role)
        rules: list[Json] = role.at("rules") if role else []
        self._kept(testbed).write_text(json.dumps(rules), encoding="utf-8")
        self._write(testbed, without_resource(rules, self.resource))

    def in_effect(self, testbed: Testbed) -> Result:
        """Ask the API server whether the controller may still update the resource."""
        plural, _, sub = self.resource.partition("/")
        attributes = {"group": self.group, "resource": plural, "subresource": sub, "verb": "update", "namespace": "default"}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": ACCOUNTS + self.controller, "resourceAttributes": attributes},
        }
        review: Any = json.loads(testbed.api.call("POST", path_of("SubjectAccessReview"), body=body))
        return expect(not review["status"]["allowed"], f"{self.controller} may update {self.resource}")

    def heal(self, testbed: Testbed) -> None:
        """Restore the rules."""
        kept = self._kept(testbed)
        if kept.exists():
            self._write(testbed, json.loads(kept.read_text(encoding="utf-8")))
            kept.unlink()

    def _write(self, testbed: Testbed, rules: list[Json]) -> None:
        testbed.api.patch("ClusterRole", "", self._role, {"rules": rules})


def without_resource(rules: list[Json], resource: str) -> list[Json]:
    """Return the rules of a role without a resource; a rule of that resource alone is left out."""
    kept = [{**rule, "resources": [each for each in rule.get("resources", []) if each != resource]} for rule in rules]
    return [rule for rule in kept if rule["resources"] or rule.get("nonResourceURLs")]


class SlowManager:
    """kube-controller-manager with few requests a second: it does all that it must, and late."""

    _manager = StaticPod(MANAGER, {"--kube-api-qps": SLOW_REQUESTS, "--kube-api-burst": SLOW_REQUESTS})
    _samples = (manifests.deployment(ANY, replicas=0), SERVICE)

    def inject(self, testbed: Testbed) -> None:
        """Change the arguments."""
        self._manager.inject(testbed)

    def in_effect(self, testbed: Testbed) -> Result:
        """Check the arguments, then give the controllers a Deployment and a Service, and check that each has acted on them."""
        running = self._manager.in_effect(testbed)
        if not running.met:
            return running
        testbed.ensure_trial_namespace()
        for sample in self._samples:
            if testbed.api.get(sample["kind"], TRIAL, WEB) is None:
                testbed.api.create(sample, TRIAL)
        observed = [
            each.at("status.observedGeneration")
            for kind in ("Deployment", "ReplicaSet")
            for each in testbed.api.list(kind, TRIAL).items
        ]
        listed = [kind for kind in ("Endpoints", "EndpointSlice") if testbed.api.list(kind, TRIAL).items]
        acted = len(observed) == 2 and all(observed) and len(listed) == 2
        return expect(acted, f"observed generations {text(observed)}, {some(listed)} made")

    def heal(self, testbed: Testbed) -> None:
        """Restore the manifest, and delete the Deployment and the Service."""
        self._manager.heal(testbed)
        for sample in self._samples:
            testbed.delete(sample["kind"], WEB, TRIAL)


def lost_status(controller: str, kind: str, at: Link, claims: tuple[str, ...], symptom: str) -> Fault:
    """Return the fault that a controller may not write the status of its kind."""
    resource = f"{kind.lower()}s/status"
    title = f"{controller} may not update {resource}"
    return Fault(f"{kind.lower()}-status-rights-lost", "control plane", title, at, LostRight(controller, "apps", resource),
                 claims, symptom)  # fmt: skip


def miscounted(name: str, kind: str, sample: Json, field: str, *more: str) -> Mutation:
    """Return a policy by which the status of a kind counts one ready Pod where there are two, in `field` and `more`."""
    patches = ", ".join(f'JSONPatch{{op: "add", path: "/status/{each}", value: 1}}' for each in (field, *more))
    return Mutation(
        name,
        kind,
        f"[{patches}]",
        {**sample, "status": COUNTS},
        lambda resource: resource.at(f"status.{field}") == 1,
        f"has(object.status.{field}) && object.status.{field} > 1",
        of_status=True,
    )


FAULTS = (
    lost_status("deployment-controller", "Deployment", Link.DEPLOYMENT, ("CHAIN-DEPLOYMENT-010",), UNOBSERVED),
    lost_status("replicaset-controller", "ReplicaSet", Link.REPLICASET, ("CHAIN-REPLICASET-010",),
                r"status\.replicas \d+, got (\d+|none)"),
    Fault("pod-status-denied", "admission", "the status of Pods cannot be written", Link.PODS,
          Denial("pod-status-denied", "Pod",
                 # No scheduler of this name runs, so that no kubelet writes the status of the sample.
                 {**POD, "spec": {**POD["spec"], "schedulerName": "none"}, "status": {"message": "any"}}, of_status=True),
          ("CHAIN-PODS-010",), r"is absent|not reported|of \d+ ready"),
    Fault("deployment-miscounted", "admission", "the status of a Deployment counts one available Pod of two", Link.DEPLOYMENT,
          miscounted("deployment-miscounted", "Deployment", manifests.deployment(ANY, replicas=0), "availableReplicas"),
          ("CHAIN-DEPLOYMENT-020", "CHAIN-DEPLOYMENT-090"), r"status\.availableReplicas 2, got 1"),
    # The Deployment's counts and conditions are made of these counts: it must not be blamed for them.
    Fault("replicaset-miscounted", "admission", "the status of a ReplicaSet counts one ready Pod of two", Link.REPLICASET,
          miscounted("replicaset-miscounted", "ReplicaSet", replica_set(), "readyReplicas", "availableReplicas"),
          ("CHAIN-REPLICASET-050",), r"status\.(readyReplicas|availableReplicas) 2.*, got .*1"),
    Fault("controllers-slow", "harmless", "kube-controller-manager sends few requests a second", None, SlowManager()),
)  # fmt: skip
