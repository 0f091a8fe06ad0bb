"""What every object of a run gets before it is sent: standard labels, and the overlay of the user."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kubechain import __version__
from kubechain.core.default_folders import PROJECT
from kubechain.kube import overlay
from kubechain.kube.objects import Json, KubeObject
from kubechain.kube.overlay import Overlay

# Kinds with a Pod template.
TEMPLATES = ("Deployment", "DaemonSet", "ReplicaSet")
# Prefix of the standard labels.
STANDARD = "app.kubernetes.io/"
# A label that the kubelet gives each Node.
ARCHITECTURE = "kubernetes.io/arch"
NOT_IN_LABELS = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True)
class Shape:
    """The shape of the objects of a run.

    `run` is its name, for the standard labels ("" for an API that is not of a run); `selector` are the labels of the Nodes that
    may be used; `fixed_uid` says that Pods name the uid that they run as, unless the overlay names one; `marks` are labels of
    every object, for a run in a namespace that others use as well; `architectures` are those of the Nodes that Pods run on, ()
    for every Node.
    """

    run: str = ""
    overlay: Overlay = field(default_factory=Overlay)
    selector: Mapping[str, str] = field(default_factory=dict[str, str])
    fixed_uid: bool = True
    marks: Mapping[str, str] = field(default_factory=dict[str, str])
    architectures: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether the user has added nothing, and Pods may run on every Node."""
        return self.overlay == Overlay() and not (self.selector or self.architectures)

    def apply(self, body: Json) -> Json:
        """Return an object as it is to be sent; the body itself is not changed."""
        if not self.run:
            return body
        kind, made = body["kind"], dict(body)
        made["metadata"] = self._metadata(kind, body.get("metadata", {}))
        if kind == "Pod":
            made["spec"] = self._pod_spec(body["spec"])
        elif kind in TEMPLATES:
            template = body["spec"]["template"]
            metadata = self._metadata("Pod", template.get("metadata", {}))
            made["spec"] = {**body["spec"], "template": {"metadata": metadata, "spec": self._pod_spec(template["spec"])}}
        return made

    def selects(self, node: KubeObject) -> bool:
        """Whether a Node may be used and judged."""
        return node.matches(self.selector)

    @property
    def node_selector(self) -> Json:
        """The labels of the Nodes that Pods run on, by the overlay and by `selector`."""
        return {**self.overlay.pods.nodeSelector, **self.selector}

    def may_run_on(self, node: KubeObject) -> bool:
        """Whether Pods of the run ask for no other labels and no other architecture than a Node has."""
        return node.matches(self.node_selector) and self.runs_on(node)

    def runs_on(self, node: KubeObject) -> bool:
        """Whether the images of the run are for the architecture of a Node, as far as both are known."""
        return not (self.architectures and architecture_of(node)) or architecture_of(node) in self.architectures

    def _metadata(self, kind: str, metadata: Json) -> Json:
        own: dict[str, str] = metadata.get("labels") or {}
        labels = {**standard_labels(self.run, own.get("app") or metadata.get("name") or PROJECT), **own}
        annotations: dict[str, str] = dict(metadata.get("annotations") or {})
        for patch in self.overlay.of(kind):
            labels |= patch.labels
            annotations |= patch.annotations
        labels |= self.marks
        return {**metadata, "labels": labels, **({"annotations": annotations} if annotations else {})}

    def _pod_spec(self, spec: Json) -> Json:
        pods, made = self.overlay.pods, dict(spec)
        selector = {**spec.get("nodeSelector", {}), **self.node_selector}
        extended = {
            "tolerations": [*spec.get("tolerations", []), *_dumped(pods.tolerations)],
            "imagePullSecrets": [*spec.get("imagePullSecrets", []), *_dumped(pods.imagePullSecrets)],
            "nodeSelector": selector,
            "priorityClassName": pods.priorityClassName,
        }
        made |= {name: value for name, value in extended.items() if value}
        if self.architectures:
            made["affinity"] = _on_architectures(made.get("affinity", {}), self.architectures)
        security = dict(spec.get("securityContext", {}))
        if pods.runAsUser is not None:
            security["runAsUser"] = pods.runAsUser
        elif not self.fixed_uid:
            security.pop("runAsUser", None)
        made["securityContext"] = security
        made["containers"] = [self._container(container) for container in spec["containers"]]
        return made

    def _container(self, container: Json) -> Json:
        """Return a container with the requests and limits of the overlay; one that asks for none stays so."""
        if "resources" not in container:
            return container
        own, more = container["resources"], self.overlay.pods.resources
        merged = {"requests": {**own.get("requests", {}), **more.requests}, "limits": {**own.get("limits", {}), **more.limits}}
        return {**container, "resources": merged}


def architecture_of(node: KubeObject) -> str:
    """Return the architecture of a Node as Go names it, such as "arm64"; "" if nothing says so."""
    return str(node.labels.get(ARCHITECTURE) or node.at("status.nodeInfo.architecture", ""))


def _on_architectures(affinity: Json, architectures: Sequence[str]) -> Json:
    """Return an affinity that also requires one of these architectures: in each of its terms, because one of them suffices."""
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    wanted = {"key": ARCHITECTURE, "operator": "In", "values": [*architectures]}
    of_nodes: Json = affinity.get("nodeAffinity", {})
    terms: list[Json] = of_nodes.get(required, {}).get("nodeSelectorTerms") or [{}]
    terms = [{**term, "matchExpressions": [*term.get("matchExpressions", []), wanted]} for term in terms]
    return {**affinity, "nodeAffinity": {**of_nodes, required: {"nodeSelectorTerms": terms}}}


def standard_labels(run: str, name: str) -> dict[str, str]:
    """Return the labels that tools and policies ask for.

    https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
    """
    values = {
        "name": name,
        "instance": run,
        "version": NOT_IN_LABELS.sub("-", __version__),
        "component": "test",
        "part-of": PROJECT,
        "managed-by": PROJECT,
    }
    return {f"{STANDARD}{key}": value[:63] for key, value in values.items()}


def selector_of_run(run: str) -> str:
    """Return the label selector of what a run sends, and of ReplicaSets and Pods, which have the labels of their template."""
    return f"{STANDARD}instance={run[:63]}"


def of(run: str, file: Path | None, tolerate: str, nodes: str, *, fixed_uid: bool = True) -> Shape:
    """Return the shape by the settings --overlay, --tolerate and --nodes; SetupError (exit code USAGE) if one is bad."""
    patches = overlay.read(file.expanduser()) if file else Overlay()
    more = overlay.tolerations(tolerate)
    pods = patches.pods.model_copy(update={"tolerations": (*patches.pods.tolerations, *more)})
    return Shape(run, patches.model_copy(update={"pods": pods}), overlay.node_labels(nodes), fixed_uid)


def _dumped(models: Iterable[overlay.Toleration | overlay.PullSecret]) -> list[Json]:
    return [model.model_dump(exclude_none=True) for model in models]
