"""The records: of each kind a blocker that its claim must find, and twins that look like it and block nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from kubechain.conditions.nodes import takes_pods
from kubechain.conditions.qos import amount
from kubechain.kube.objects import Json, KubeObject
from kubechain.workload import manifests

SPACE, GROUP = "kubechain-blockers", "blockers.example.org"
GADGETS = f"gadgets.{GROUP}"
ADMISSION = "admissionregistration.k8s.io/v1"
FINALIZER = f"{GROUP}/never"
# Of the CPU of a Node: two such Pods do not fit on one, a hundred twins do.
MUCH, LITTLE = Decimal("0.6"), Decimal("0.01")
ANCIENT = "v1.20.0"


@dataclass(frozen=True)
class Scene:
    """What records are made of: the image of nginx, and the Nodes of the cluster."""

    image: str
    nodes: Sequence[KubeObject]


@dataclass(frozen=True)
class Made:
    """An object to make, with its status as controllers write it; with `deleted`, its deletion has begun."""

    body: Json
    status: Json = field(default_factory=Json)
    deleted: Literal["", "long ago", "just now"] = ""


@dataclass(frozen=True)
class Kind:
    """A kind of blockers: its claim must fail with `says` in its message: the object, why it blocks, and what to do."""

    id: str
    claim: str
    says: tuple[str, str, str]
    blocks: Callable[[Scene], list[Made]]
    twins: Callable[[Scene], list[Made]]


def body(api: str, kind: str, name: str, *, namespace: str = "", **rest: Json) -> Json:
    """Return an object."""
    metadata: Json = {"name": name, **({"namespace": namespace} if namespace else {}), **rest.pop("metadata", {})}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **rest}


def budgets(*, least: int) -> Callable[[Scene], list[Made]]:
    """Return a Deployment of one Pod, and a PodDisruptionBudget that asks for so many."""

    def make(scene: Scene) -> list[Made]:
        deployment = manifests.deployment(scene.image, replicas=1)
        deployment["metadata"] |= {"name": "alone", "namespace": SPACE}
        labels = deployment["spec"]["selector"]["matchLabels"]
        spec: Json = {"minAvailable": least, "selector": {"matchLabels": labels}}
        allowed = 1 - least
        status = {"expectedPods": 1, "currentHealthy": 1, "desiredHealthy": least, "disruptionsAllowed": allowed}
        return [
            Made(deployment),
            Made(body("policy/v1", "PodDisruptionBudget", "alone", namespace=SPACE, spec=spec), status),
            # Without Pods, it holds up nothing.
            Made(
                body(
                    "policy/v1",
                    "PodDisruptionBudget",
                    "of-nobody",
                    namespace=SPACE,
                    spec={"minAvailable": 1, "selector": {"matchLabels": {"app": "nobody"}}},
                ),
                {"expectedPods": 0, "currentHealthy": 0, "desiredHealthy": 1, "disruptionsAllowed": 0},
            ),
        ]

    return make


RULES = [{"apiGroups": [GROUP], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["gadgets"]}]


def webhook(policy: str) -> Callable[[Scene], list[Made]]:
    """Return a webhook whose Service does not exist; it is asked for gadgets alone."""
    hook = {
        "name": f"check.{GROUP}",
        "clientConfig": {"service": {"namespace": SPACE, "name": "nobody"}},
        "rules": RULES,
        "failurePolicy": policy,
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    made = body(ADMISSION, "ValidatingWebhookConfiguration", SPACE)
    return lambda _: [Made({**made, "webhooks": [hook]})]


def parameter(*, exists: bool) -> Callable[[Scene], list[Made]]:
    """Return a policy on gadgets that denies without its parameter, and the parameter if it exists."""
    policy: Json = {
        "failurePolicy": "Fail",
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "matchConstraints": {"resourceRules": RULES},
        "validations": [{"expression": "params.data.max != ''"}],
    }
    reference = {"name": "max", "namespace": SPACE, "parameterNotFoundAction": "Deny"}
    binding: Json = {"policyName": SPACE, "paramRef": reference, "validationActions": ["Deny"]}
    found = {**body("v1", "ConfigMap", "max", namespace=SPACE), "data": {"max": "1"}}
    return lambda _: [
        *([Made(found)] if exists else []),
        Made(body(ADMISSION, "ValidatingAdmissionPolicy", SPACE, spec=policy)),
        Made(body(ADMISSION, "ValidatingAdmissionPolicyBinding", SPACE, spec=binding)),
    ]


def api_service(*, served_elsewhere: bool) -> Callable[[Scene], list[Made]]:
    """Return an APIService whose Service does not exist, or none: those of the API server itself are there in any case."""
    spec: Json = {"group": f"elsewhere.{GROUP}", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100}
    spec |= {"service": {"namespace": SPACE, "name": "nobody"}, "insecureSkipTLSVerify": True}
    made = body("apiregistration.k8s.io/v1", "APIService", f"v1.elsewhere.{GROUP}", spec=spec)
    status = {"conditions": [{"type": "Available", "status": "False", "reason": "ServiceNotFound", "message": ""}]}
    return lambda _: [Made(made, status)] if served_elsewhere else []


def node(name: str, *, version: str = "", virtual: bool = False) -> Callable[[Scene], list[Made]]:
    """Return a Node of which no kubelet reports."""
    labels = {"type": "virtual-kubelet"} if virtual else {}
    spec: Json = {"unschedulable": True}
    status: Json = {"conditions": [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "message": ""}]}

    def make(scene: Scene) -> list[Made]:
        known = str(scene.nodes[0].at("status.nodeInfo.kubeletVersion"))
        return [
            Made(
                body("v1", "Node", name, metadata={"labels": labels}, spec=spec),
                {**status, "nodeInfo": {"kubeletVersion": version or known}},
            )
        ]

    return make


def stuck(since: Literal["long ago", "just now"]) -> Callable[[Scene], list[Made]]:
    """Return a Pod with a finalizer that nobody removes."""

    def make(scene: Scene) -> list[Made]:
        pod = manifests.web_pod("ending", scene.image)
        pod["metadata"] |= {"namespace": SPACE, "finalizers": [FINALIZER]}
        return [Made(pod, {"phase": "Running"}, since)]

    return make


def stored(*, served: bool) -> Callable[[Scene], list[Made]]:
    """Return a CustomResourceDefinition with objects stored in an old version, which is served or not."""
    schema: Json = {"openAPIV3Schema": {"type": "object"}}
    versions = [
        {"name": "v1beta1", "served": served, "storage": False, "schema": schema},
        {"name": "v1", "served": True, "storage": True, "schema": schema},
    ]
    names = {"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "listKind": "GadgetList"}
    spec: Json = {"group": GROUP, "names": names, "scope": "Namespaced", "versions": versions}
    made = body("apiextensions.k8s.io/v1", "CustomResourceDefinition", GADGETS, spec=spec)
    return lambda _: [Made(made, {"storedVersions": ["v1beta1", "v1"]})]


def room(share: Decimal) -> Callable[[Scene], list[Made]]:
    """Return a Pod on each Node that takes Pods, which requests a share of its CPU."""

    def make(scene: Scene) -> list[Made]:
        pods: list[Made] = []
        for number, each in enumerate(filter(takes_pods, scene.nodes)):
            pod = manifests.web_pod(f"large-{number}", scene.image)
            (container,) = pod["spec"]["containers"]
            milli = int(amount(each.at("status.allocatable.cpu")) * share * 1000)
            container["resources"] = {"requests": {"cpu": f"{milli}m"}}
            pod["metadata"]["namespace"] = SPACE
            pod["spec"]["nodeName"] = each.name
            pods.append(Made(pod, {"phase": "Running"}))
        return pods

    return make


KINDS = (
    Kind(
        "budget",
        "BEFORE-PODS-010",
        (f"PodDisruptionBudget {SPACE}/alone", "allows no disruption", "add replicas"),
        budgets(least=1),
        budgets(least=0),
    ),
    Kind(
        "webhook",
        "BEFORE-API-020",
        (f"ValidatingWebhookConfiguration {SPACE}", f"its Service {SPACE}/nobody does not exist", "failurePolicy Ignore"),
        webhook("Fail"),
        webhook("Ignore"),
    ),
    Kind(
        "parameter",
        "BEFORE-API-030",
        (f"ValidatingAdmissionPolicyBinding {SPACE}", f"ConfigMap {SPACE}/max does not exist", "create the parameter"),
        parameter(exists=False),
        parameter(exists=True),
    ),
    Kind(
        "APIService",
        "BEFORE-API-040",
        (f"APIService v1.elsewhere.{GROUP}", "not available", "or delete it"),
        api_service(served_elsewhere=True),
        api_service(served_elsewhere=False),
    ),
    Kind(
        "stored version",
        "BEFORE-API-050",
        (f"CustomResourceDefinition {GADGETS}", "stored as v1beta1", "status.storedVersions"),
        stored(served=False),
        stored(served=True),
    ),
    Kind(
        "Node",
        "BEFORE-NODES-020",
        ("Node kubechain-away", "not Ready", "repair the machine"),
        node("kubechain-away"),
        node("kubechain-virtual", virtual=True),
    ),
    Kind(
        "kubelet",
        "BEFORE-NODES-010",
        ("Node kubechain-ancient", f"kubelet {ANCIENT}", "upgrade its kubelet"),
        node("kubechain-ancient", version=ANCIENT),
        node("kubechain-virtual-ancient", version=ANCIENT, virtual=True),
    ),
    Kind(
        "room",
        "BEFORE-NODES-030",
        ("Node ", "have no room elsewhere", "add a Node"),
        room(MUCH),
        room(LITTLE),
    ),
    Kind(
        "deletion",
        "BEFORE-DELETION-010",
        (f"Pod {SPACE}/ending", f"waits for {FINALIZER}", "repair the controller"),
        stuck("long ago"),
        stuck("just now"),
    ),
)
