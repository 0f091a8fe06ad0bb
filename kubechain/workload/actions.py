"""Changes that claims make to a chain: each function makes one change through the API and does not wait.

Where admission undoes a change, the claim does not apply (NotApplicable).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, TypeVar

from kubechain.claims.obstacles import refuser
from kubechain.cleanup import cordons
from kubechain.core.errors import Unmet
from kubechain.core.run import RUN_LABEL
from kubechain.kube import errors
from kubechain.kube.decoding import as_object
from kubechain.kube.errors import OF_THE_ACCOUNT, ApiRefused
from kubechain.kube.objects import Json, KubeObject
from kubechain.kube.paths import path_of
from kubechain.probes.pod import PodProbe
from kubechain.workload import denied
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import WEB

T = TypeVar("T")

# When the first process began, in field 22 of its stat; the second field is its name, in parentheses.
BEGUN = "read -r stat < /proc/1/stat; set -- ${stat##*) }"
VERSION = "kubechain/version"
UNREADY = "/tmp/unready"  # noqa: S108  # in the container; the readiness probe fails while it exists


def scale(chain: Chain, replicas: int, kind: str = "Deployment", name: str = WEB) -> KubeObject:
    """Set the replicas of a Deployment or a ReplicaSet by a patch of its scale subresource; return the Scale."""
    wanted: Json = {"spec": {"replicas": replicas}}
    stored = chain.api.patch(kind, chain.namespace, name, wanted, sub="scale")
    return _kept(chain, wanted, stored, kind)


def replace_scale(chain: Chain, replicas: int, kind: str = "Deployment", name: str = WEB) -> KubeObject:
    """Set the replicas of a Deployment or a ReplicaSet by another Scale in place of the present one; return the Scale."""
    wanted: Json = {"spec": {"replicas": replicas}}
    body = {**_unversioned(read_scale(chain, kind, name)), **wanted}
    return _kept(chain, wanted, chain.api.replace(body, chain.namespace, "scale", of=kind), kind)


def read_scale(chain: Chain, kind: str = "Deployment", name: str = WEB) -> KubeObject:
    """Return the Scale of a Deployment or a ReplicaSet."""
    return as_object(chain.api.call("GET", path_of(kind, chain.namespace, name, "scale")), "Scale")


def patch_status(chain: Chain, resource: KubeObject, status: Json, **more: object) -> KubeObject:
    """Merge fields into the status of an object through its status subresource; `more` are other fields of the patch."""
    patch = {"status": status, **more}
    return chain.api.patch(resource.kind, chain.namespace, resource.name, patch, sub="status", form="strategic-merge")


def replace_status(chain: Chain, resource: KubeObject, status: Json, **more: object) -> KubeObject:
    """Replace the status of an object through its status subresource; `more` are other fields of what is sent."""
    return chain.api.replace({**_unversioned(resource), "status": status, **more}, chain.namespace, "status")


def _unversioned(resource: KubeObject) -> Json:
    """Return an object that replaces the stored one whatever its version: controllers change it all the time."""
    metadata: Json = {key: value for key, value in resource.at("metadata").items() if key != "resourceVersion"}
    return {**resource.body, "metadata": metadata}


def deployment(chain: Chain, spec: Json) -> KubeObject:
    """Merge fields into the Deployment's spec."""
    return _kept(chain, {"spec": spec}, chain.api.patch("Deployment", chain.namespace, WEB, {"spec": spec}))


def template(chain: Chain, annotation: str) -> KubeObject:
    """Set an annotation of the Deployment's Pod template, which starts a rolling update."""
    return deployment(chain, {"template": {"metadata": {"annotations": {VERSION: annotation}}}})


def image(chain: Chain, name: str, version: str | None = None) -> KubeObject:
    """Set the image of the Deployment's container, and with a `version` the annotation of `template` as well."""
    annotations = {"annotations": {VERSION: version}} if version else {}
    template: Json = {"metadata": annotations, "spec": {"containers": [{"name": "nginx", "image": name}]}}
    patch: Json = {"spec": {"template": template}}
    return _kept(chain, patch, chain.api.patch("Deployment", chain.namespace, WEB, patch, form="strategic-merge"))


def roll_back(chain: Chain, to: KubeObject) -> KubeObject:
    """Give the Deployment the Pod template of an older ReplicaSet, as `kubectl rollout undo` does."""
    spec: Json = dict(to.at("spec.template"))
    labels: Mapping[str, str] = spec["metadata"]["labels"]
    without_hash = {key: value for key, value in labels.items() if key != "pod-template-hash"}
    spec["metadata"] = {**spec["metadata"], "labels": without_hash}
    patch = [{"op": "replace", "path": "/spec/template", "value": spec}]
    return chain.api.patch("Deployment", chain.namespace, WEB, patch, form="json")


def service(chain: Chain, spec: Json, name: str = WEB) -> KubeObject:
    """Merge fields into a Service's spec; NotApplicable if a policy of the cluster refuses that."""
    with denied.not_applicable(chain, f"Service {name} with other fields"):
        stored = chain.api.patch("Service", chain.namespace, name, {"spec": spec})
    return _kept(chain, {"spec": spec}, stored)


def label(chain: Chain, pod: KubeObject, labels: Mapping[str, str | None]) -> KubeObject:
    """Set labels of a Pod; the value None removes a label."""
    wanted: Json = {"metadata": {"labels": dict(labels)}}
    return _kept(chain, wanted, chain.api.patch("Pod", chain.namespace, pod.name, wanted))


def _kept(chain: Chain, patch: Json, stored: KubeObject, kind: str = "") -> KubeObject:
    """Return what is stored after a merge patch; NotApplicable if admission has changed a value of the patch."""
    if chain.admission:
        chain.admission.require_patched({**patch, "kind": kind or stored.kind}, stored)
    return stored


def unready(chain: Chain, pod: KubeObject) -> None:
    """Make the readiness probe of an nginx Pod fail."""
    chain.inside(pod).must_run("touch", UNREADY)


def ready(chain: Chain, pod: KubeObject) -> None:
    """Make the readiness probe of an nginx Pod succeed again."""
    chain.inside(pod).must_run("rm", "-f", UNREADY)


def delete(chain: Chain, resource: KubeObject, **options: Any) -> None:
    """Delete an object with these DeleteOptions (propagationPolicy, gracePeriodSeconds, preconditions)."""
    chain.api.delete(resource.kind, chain.namespace, resource.name, options)


def delete_namespace(chain: Chain) -> None:
    """Delete the namespace of a chain; that it is gone then keeps nobody from judging the claim."""
    chain.given_up.add(chain.namespace)
    chain.api.delete("Namespace", "", chain.namespace)


def remove(chain: Chain, kind: str, name: str) -> None:
    """Delete an object, if it exists, and its dependents, without a grace period."""
    options = {"propagationPolicy": "Background", "gracePeriodSeconds": 0}
    chain.api.delete(kind, chain.namespace, name, options, missing_ok=True)


def evict(chain: Chain, pod: KubeObject) -> int:
    """Evict a Pod and return the HTTP status: 201, or 429 if a PodDisruptionBudget forbids it.

    https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
    """
    return eviction(chain, pod)[0]


def eviction(chain: Chain, pod: KubeObject) -> tuple[int, str]:
    """Evict a Pod and return the HTTP status and the body of the response.

    Raises:
        ApiRefused: the account may not evict it (401, 403).

    """
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod.name}}
    status, text = chain.api.request("POST", path_of("Pod", chain.namespace, pod.name, "eviction"), body=body)
    if status in OF_THE_ACCOUNT:
        raise errors.refusal(status, text)
    return status, text


def end_container(place: PodProbe) -> None:
    """Send SIGTERM to the first process of a Pod's container, once: a command that is run again does not end the next one."""
    started = place.must_run("sh", "-c", f"{BEGUN}; echo ${{20}}").strip()
    place.run("sh", "-c", f"{BEGUN}; [ ${{20}} != {started} ] || kill -TERM 1")


def refusal(attempt: Callable[[], object]) -> ApiRefused:
    """Return the refusal of a request by the API server.

    Raises:
        ApiRefused: it is about the account (401, 403), or by a policy or webhook: what is asked for was not judged.
        Unmet: the API server accepted the request.

    """
    try:
        attempt()
    except ApiRefused as refused:
        if refused.of_the_account or refuser(refused.detail):
            raise
        return refused
    raise Unmet("the API server accepted a request that it must refuse")


def accepted(attempt: Callable[[], T]) -> T:
    """Return what a request returns.

    Raises:
        Unmet: the API server refused it as invalid, and no policy or webhook did.

    """
    try:
        return attempt()
    except ApiRefused as refused:
        if refused.status != HTTPStatus.UNPROCESSABLE_ENTITY or refuser(refused.detail):
            raise
        raise Unmet(f"expected the API server to accept a request, got {refused.reason}: {refused.detail}") from refused


@contextmanager
def cordoned(chain: Chain, node: str) -> Generator[None]:
    """Mark a Node as unschedulable during the body (https://kubernetes.io/docs/concepts/architecture/nodes/).

    Raises:
        HarnessError: the Node is cordoned already, or the API server does not accept the change.

    """
    namespace = chain.api.get("Namespace", "", chain.namespace)
    run_id = namespace.labels.get(RUN_LABEL, "") if namespace else ""
    cordons.cordon(chain.api, node, run_id)
    try:
        yield
    finally:
        cordons.uncordon(chain.api, node, run_id)
