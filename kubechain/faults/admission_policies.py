"""Faults at admission: policies of the API server that change or refuse what is made in the namespaces of the suite.

https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/ (stable since Kubernetes 1.36).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kubechain.conditions.condition import Result, expect
from kubechain.core.run import RUN_LABEL
from kubechain.faults.testbed import TRIAL, Testbed
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from kubechain.kube.objects import Json, KubeObject
from kubechain.kube.paths import path_of

GROUPS = {
    "Deployment": "apps",
    "ReplicaSet": "apps",
    "EndpointSlice": "discovery.k8s.io",
    "IPAddress": "networking.k8s.io",
}


def selected() -> Json:
    """Return a namespaceSelector for the namespaces of the suite."""
    return {"matchExpressions": [{"key": RUN_LABEL, "operator": "Exists"}]}


def rules(kind: str, operations: Sequence[str]) -> list[Json]:
    """Return resourceRules for a kind."""
    plural = path_of(kind, "x").rpartition("/")[2]
    rule = {"apiGroups": [GROUPS.get(kind, "")], "apiVersions": ["v1"], "operations": list(operations), "resources": [plural]}
    return [rule]


@dataclass(frozen=True)
class Mutation:
    """A policy that changes objects of a kind by a JSON patch in CEL, where a CEL `condition` holds.

    `sample` is an object of the kind; `shows` says of what becomes of it whether the policy is in force. Unless it is
    `everywhere`, it is for the namespaces of the suite alone.
    """

    name: str
    kind: str
    expression: str
    sample: Json
    shows: Callable[[KubeObject], bool]
    condition: str = "true"
    operations: tuple[str, ...] = ("CREATE",)
    everywhere: bool = False

    def inject(self, lab: Testbed) -> None:
        """Create the policy and its binding."""
        where = {} if self.everywhere else selected()
        spec = {
            "matchConstraints": {"namespaceSelector": where, "resourceRules": rules(self.kind, self.operations)},
            "matchConditions": [{"name": "meant", "expression": self.condition}],
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": self.expression}}],
        }
        _bind(lab, "MutatingAdmissionPolicy", self.name, spec, {})

    def took(self, lab: Testbed) -> Result:
        """Try it on the sample."""
        made = tried(lab, self.sample)
        seen = "the sample unchanged" if isinstance(made, KubeObject) else f"a refusal: {made}"
        return expect(isinstance(made, KubeObject) and self.shows(made), seen[:200])

    def heal(self, lab: Testbed) -> None:
        """Delete both."""
        _unbind(lab, "MutatingAdmissionPolicy", self.name)


class Stuck(Mutation):
    """A policy by which objects do not go when they are deleted; healed, those that are left are let go."""

    def heal(self, lab: Testbed) -> None:
        """Delete the policy; take away what keeps the objects, and end them at once."""
        super().heal(lab)
        touched = {each.name for each in lab.api.list("Namespace", selector=RUN_LABEL).items}
        for each in lab.api.list(self.kind).items:
            namespace = str(each.at("metadata.namespace"))
            if namespace in touched and each.deleting:
                lab.api.patch(self.kind, namespace, each.name, {"metadata": {"finalizers": None}})
                lab.api.delete(self.kind, namespace, each.name, {"gracePeriodSeconds": 0})


@dataclass(frozen=True)
class Denial:
    """A policy that refuses every object of a kind."""

    name: str
    kind: str
    sample: Json

    def inject(self, lab: Testbed) -> None:
        """Create the policy and its binding."""
        spec = {
            "matchConstraints": {"namespaceSelector": selected(), "resourceRules": rules(self.kind, ["CREATE"])},
            "validations": [{"expression": "false", "message": f"no {self.kind} today"}],
        }
        _bind(lab, "ValidatingAdmissionPolicy", self.name, spec, {"validationActions": ["Deny"]})

    def took(self, lab: Testbed) -> Result:
        """Try it on the sample."""
        made = tried(lab, self.sample)
        return expect(isinstance(made, str), "the sample accepted")

    def heal(self, lab: Testbed) -> None:
        """Delete both."""
        _unbind(lab, "ValidatingAdmissionPolicy", self.name)


@dataclass(frozen=True)
class DeadWebhook:
    """A webhook for Pods at an address where nothing listens, whose failure refuses the Pod."""

    name: str
    sample: Json

    def inject(self, lab: Testbed) -> None:
        """Create it."""
        webhook = {
            "name": "dead.kubechain.test",
            "clientConfig": {"url": "https://127.0.0.1:9/"},
            "namespaceSelector": selected(),
            "rules": rules("Pod", ["CREATE"]),
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "timeoutSeconds": 1,
            "admissionReviewVersions": ["v1"],
        }
        api = "admissionregistration.k8s.io/v1"
        kind = "ValidatingWebhookConfiguration"
        lab.created({"apiVersion": api, "kind": kind, "metadata": {"name": self.name}, "webhooks": [webhook]})

    def took(self, lab: Testbed) -> Result:
        """Try it on the sample."""
        return expect(isinstance(tried(lab, self.sample), str), "the sample accepted")

    def heal(self, lab: Testbed) -> None:
        """Delete it."""
        lab.removed("ValidatingWebhookConfiguration", self.name)


def tried(lab: Testbed, manifest: Json) -> KubeObject | str:
    """Return what the API server would make of a manifest in a namespace of the suite, or why it would refuse it."""
    lab.make_trial()
    try:
        return lab.api.create(manifest, TRIAL, dry_run=True)
    except (ApiRefused, ApiUnavailable) as error:
        return str(error)


def _bind(lab: Testbed, kind: str, name: str, spec: Json, more: Json) -> None:
    api = "admissionregistration.k8s.io/v1"
    lab.created({"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec})
    binding = {"policyName": name, **more}
    lab.created({"apiVersion": api, "kind": f"{kind}Binding", "metadata": {"name": name}, "spec": binding})


def _unbind(lab: Testbed, kind: str, name: str) -> None:
    lab.removed(f"{kind}Binding", name)
    lab.removed(kind, name)


def set_to(path: str, value: str) -> str:
    """Return a CEL expression that sets the value at a JSON pointer; `value` is CEL too."""
    return f'[JSONPatch{{op: "add", path: "{path}", value: {value}}}]'


def without(path: str) -> str:
    """Return a CEL expression that removes what is at a JSON pointer."""
    return f'[JSONPatch{{op: "remove", path: "{path}"}}]'
