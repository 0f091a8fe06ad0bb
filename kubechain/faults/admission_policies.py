"""Faults at admission: policies of the API server that change or refuse objects in the namespaces of the suite.

https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/ (stable since Kubernetes 1.36).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from kubechain.conditions.condition import Result, expect
from kubechain.core import redact
from kubechain.core.run import RUN_LABEL
from kubechain.faults.testbed import TRIAL
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from kubechain.kube.objects import Json, KubeObject
from kubechain.kube.paths import path_of

GROUPS = {
    "Deployment": ["apps"],
    "ReplicaSet": ["apps"],
    "EndpointSlice": ["discovery.k8s.io"],
    "Event": ["", "events.k8s.io"],
    "IPAddress": ["networking.k8s.io"],
}


class Policed(Protocol):
    """A cluster on which policies are made: a testbed, or any other with a namespace for samples."""

    @property
    def api(self) -> Api:
        """The client of the cluster's API server."""
        ...

    def recreate(self, manifest: Json, namespace: str = "") -> None:
        """Create an object; an existing one of the same name is deleted first."""
        ...

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        """Delete an object if it exists."""
        ...

    def ensure_trial_namespace(self) -> None:
        """Create the namespace TRIAL, with the labels of the suite's namespaces, unless it exists."""
        ...


def selected() -> Json:
    """Return a namespaceSelector for the namespaces of the suite."""
    return {"matchExpressions": [{"key": RUN_LABEL, "operator": "Exists"}]}


def rules(kind: str, operations: Sequence[str], sub: str = "") -> list[Json]:
    """Return resourceRules for a kind, or for its subresource `sub`."""
    resource = "/".join(filter(None, [path_of(kind, "x").rpartition("/")[2], sub]))
    groups = GROUPS.get(kind, [""])
    return [{"apiGroups": groups, "apiVersions": ["v1"], "operations": list(operations), "resources": [resource]}]


@dataclass(frozen=True)
class Mutation:
    """A policy that patches objects of a kind: `expression` is a JSONPatch in CEL, applied where the CEL `condition` holds.

    `sample` is an object of the kind, created with dryRun to see the policy work; `shows` gets the result and returns
    whether it was patched. The policy applies to the namespaces of the suite, with `everywhere` to all. With `of_status` it
    applies to updates of the status alone: the sample then exists while the fault lasts, and its own status is written.
    """

    name: str
    kind: str
    expression: str
    sample: Json
    shows: Callable[[KubeObject], bool]
    condition: str = "true"
    operations: tuple[str, ...] = ("CREATE",)
    everywhere: bool = False
    of_status: bool = False

    def inject(self, testbed: Policed) -> None:
        """Create the policy and its binding."""
        where = {} if self.everywhere else selected()
        matched = rules(self.kind, ["UPDATE"], "status") if self.of_status else rules(self.kind, self.operations)
        if self.of_status:
            _place(testbed, self.sample)
        spec = {
            "matchConstraints": {"namespaceSelector": where, "resourceRules": matched},
            "matchConditions": [{"name": "meant", "expression": self.condition}],
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": self.expression}}],
        }
        bind(testbed, "MutatingAdmissionPolicy", self.name, spec, {})

    def in_effect(self, testbed: Policed) -> Result:
        """Create the sample, or write its status, with dryRun: the policy must patch it."""
        stored = _try_status(testbed, self.sample) if self.of_status else try_create(testbed, self.sample)
        seen = "the sample unchanged" if isinstance(stored, KubeObject) else f"a refusal: {stored}"
        return expect(isinstance(stored, KubeObject) and self.shows(stored), redact.beginning(seen, 200))

    def heal(self, testbed: Policed) -> None:
        """Delete the policy, its binding, and the sample if it exists."""
        unbind(testbed, "MutatingAdmissionPolicy", self.name)
        if self.of_status:
            _remove(testbed, self.sample)


class StuckDeletion(Mutation):
    """A policy that keeps deleted objects in place, such as by a finalizer; healing removes the objects that are left."""

    def heal(self, testbed: Policed) -> None:
        """Delete the policy; clear the finalizers of the objects being deleted, and delete them without a grace period."""
        super().heal(testbed)
        namespaces = {namespace.name for namespace in testbed.api.list("Namespace", selector=RUN_LABEL).items}
        for resource in testbed.api.list(self.kind).items:
            namespace = str(resource.at("metadata.namespace"))
            if namespace in namespaces and resource.deleting:
                testbed.api.patch(self.kind, namespace, resource.name, {"metadata": {"finalizers": None}})
                testbed.api.delete(self.kind, namespace, resource.name, {"gracePeriodSeconds": 0})


@dataclass(frozen=True)
class Denial:
    """A policy that denies the creation of every object of a kind; with `of_status`, updates of the status: see Mutation."""

    name: str
    kind: str
    sample: Json
    of_status: bool = False

    def inject(self, testbed: Policed) -> None:
        """Create the policy and its binding."""
        matched = rules(self.kind, ["UPDATE"], "status") if self.of_status else rules(self.kind, ["CREATE"])
        if self.of_status:
            _place(testbed, self.sample)
        spec = {
            "matchConstraints": {"namespaceSelector": selected(), "resourceRules": matched},
            "validations": [{"expression": "false", "message": f"no {self.kind} today"}],
        }
        bind(testbed, "ValidatingAdmissionPolicy", self.name, spec, {"validationActions": ["Deny"]})

    def in_effect(self, testbed: Policed) -> Result:
        """Create the sample, or write its status, with dryRun: that must be denied."""
        tried = _try_status(testbed, self.sample) if self.of_status else try_create(testbed, self.sample)
        return expect(
            isinstance(tried, str) and "denied" in tried,
            f"another answer: {tried}" if isinstance(tried, str) else "the sample accepted",
        )

    def heal(self, testbed: Policed) -> None:
        """Delete the policy, its binding, and the sample if it exists."""
        unbind(testbed, "ValidatingAdmissionPolicy", self.name)
        if self.of_status:
            _remove(testbed, self.sample)


@dataclass(frozen=True)
class DeadWebhook:
    """A validating webhook for Pods at an address where nothing listens, with failurePolicy Fail."""

    name: str
    sample: Json

    def inject(self, testbed: Policed) -> None:
        """Create the webhook configuration."""
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
        testbed.recreate({"apiVersion": api, "kind": kind, "metadata": {"name": self.name}, "webhooks": [webhook]})

    def in_effect(self, testbed: Policed) -> Result:
        """Create the sample with dryRun: the failing webhook must deny it."""
        return expect(isinstance(try_create(testbed, self.sample), str), "the sample accepted")

    def heal(self, testbed: Policed) -> None:
        """Delete the webhook configuration."""
        testbed.delete("ValidatingWebhookConfiguration", self.name)


def try_create(testbed: Policed, manifest: Json) -> KubeObject | str:
    """Create a manifest with dryRun in the namespace TRIAL; return the resulting object, or the error of the API server."""
    testbed.ensure_trial_namespace()
    try:
        return testbed.api.create(manifest, TRIAL, dry_run=True)
    except (ApiRefused, ApiUnavailable) as error:
        return str(error)


def _try_status(testbed: Policed, sample: Json) -> KubeObject | str:
    """Write the status of a sample, which exists, with dryRun; return the resulting object, or the error of the API server."""
    path = path_of(sample["kind"], TRIAL, sample["metadata"]["name"], "status")
    body, content = {"status": sample["status"]}, "application/merge-patch+json"
    try:
        return KubeObject(json.loads(testbed.api.call("PATCH", path, {"dryRun": "All"}, body, content=content)))
    except (ApiRefused, ApiUnavailable) as error:
        return str(error)


def _place(testbed: Policed, sample: Json) -> None:
    testbed.ensure_trial_namespace()
    testbed.recreate(sample, TRIAL)


def _remove(testbed: Policed, sample: Json) -> None:
    testbed.delete(sample["kind"], sample["metadata"]["name"], TRIAL)


def bind(testbed: Policed, kind: str, name: str, spec: Json, more: Json) -> None:
    """Create a policy of a kind, and its binding with the fields `more`."""
    api = "admissionregistration.k8s.io/v1"
    testbed.recreate({"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec})
    binding = {"policyName": name, **more}
    testbed.recreate({"apiVersion": api, "kind": f"{kind}Binding", "metadata": {"name": name}, "spec": binding})


def unbind(testbed: Policed, kind: str, name: str) -> None:
    """Delete a policy of a kind, and its binding."""
    testbed.delete(f"{kind}Binding", name)
    testbed.delete(kind, name)


def set_to(path: str, value: str) -> str:
    """Return a JSONPatch in CEL that sets the value at the JSON pointer `path` to the CEL expression `value`."""
    return f'[JSONPatch{{op: "add", path: "{path}", value: {value}}}]'


def without(path: str) -> str:
    """Return a JSONPatch in CEL that removes the value at the JSON pointer `path`."""
    return f'[JSONPatch{{op: "remove", path: "{path}"}}]'
