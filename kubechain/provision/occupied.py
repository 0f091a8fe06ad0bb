"""Whether a run may use a namespace that it has not made: nothing there has the names of its objects, or selects its Pods."""

from __future__ import annotations

from collections.abc import Iterator

from kubechain.cleanup.marked_objects import SECRET, Left, Space
from kubechain.conditions.text import some
from kubechain.core.errors import ExitCode, SetupError
from kubechain.kube.shape import Shape
from kubechain.workload import manifests
from kubechain.workload.names import NAMES
from kubechain.workload.pod_spec import ACCOUNT

NAMED = {"Deployment": NAMES, "Pod": NAMES, "Service": NAMES, "ConfigMap": {"nginx"}, "ServiceAccount": {ACCOUNT}}
SELECTING = {"Service": "spec.selector", "Deployment": "spec.selector.matchLabels", "ReplicaSet": "spec.selector.matchLabels"}
# The labels of a Pod whose values are a name of the run.
BY_NAME = ("app", "app.kubernetes.io/name")


def require_no_other(space: Space, others: list[Left], context: str) -> None:
    """Raise a SetupError (exit code CLUSTER) if there is something of a run that may be alive."""
    if others:
        now = space.api.server_time()
        remove = f"kubechain clean --context {context} --namespace {space.name} --kept"
        found = "; ".join(left.line(space.name, now) for left in others)
        raise SetupError(f"another run uses the namespace: {found}; wait for its end, or remove: {remove}", ExitCode.CLUSTER)


def require_free(space: Space, shape: Shape, *, secret: bool) -> None:
    """Raise a SetupError (exit code CLUSTER) that names what is in the way of a run; `secret` says that it makes one."""
    found = [*_named(space), *_selected(space), *_selecting(space, shape)]
    if secret and space.secret():
        found.append(f"Secret {SECRET}")
    if found:
        what = f"--namespace={space.name}: objects there have names or labels of this suite, or select its Pods"
        raise SetupError(f"{what}: {some(dict.fromkeys(found))}; use a namespace without them, or remove them", ExitCode.CLUSTER)


def _named(space: Space) -> Iterator[str]:
    for kind, names in NAMED.items():
        for each in space.api.list(kind, space.name, metadata_only=True).items:
            # The variables of a Service web-service would be mixed up with those of web.
            if each.name in names or (kind == "Service" and each.name.removesuffix("-service") in names):
                yield f"{kind} {each.name}"


def _selected(space: Space) -> Iterator[str]:
    for pod in space.api.list("Pod", space.name, metadata_only=True).items:
        if pod.labels.get("app") in NAMES:
            yield f"Pod {pod.name} (app={pod.labels['app']})"


def _selecting(space: Space, shape: Shape) -> Iterator[str]:
    labels: dict[str, str] = shape.apply(manifests.client_pod("client", "image"))["metadata"]["labels"]

    def meant(key: str, value: str) -> bool:
        return labels.get(key) == value or (key in BY_NAME and value in NAMES)

    for kind, path in SELECTING.items():
        for each in space.api.list(kind, space.name).items:
            selector: dict[str, str] = each.at(path, {})
            if selector and all(meant(key, value) for key, value in selector.items()):
                yield f"{kind} {each.name} (selects {some(f'{key}={value}' for key, value in selector.items())})"
