"""Records of objects: fields that are left out, unknown, huge or changed; held or taken."""

from __future__ import annotations

from collections.abc import Callable

from kubechain.claims.claim import Link
from kubechain.kube.objects import Json
from tests.hostile.acts import any_request, of_namespace, on, reshaped, rule, without_fields
from tests.hostile.cluster import Cluster
from tests.hostile.exchange import Exchange
from tests.hostile.records import CLEANUP, HOLDS, IMPATIENT, UNDECIDED, Record, broken
from tests.hostile.store import Key

EITHER = (HOLDS, UNDECIDED)
LONG = 1024 * 1024


def null_lists(body: Json) -> Json:
    """Give null in place of empty lists and maps, and of conditions."""

    def nulled(value: object) -> object:
        if isinstance(value, dict):
            fields: Json = value  # pyright: ignore[reportUnknownVariableType]  # JSON
            return {key: nulled(each) for key, each in fields.items()} or None
        if isinstance(value, list):
            items: list[object] = value  # pyright: ignore[reportUnknownVariableType]  # JSON
            return [nulled(each) for each in items] or None
        return value

    changed = {key: nulled(value) for key, value in body.items()}
    return {
        **changed,
        "metadata": {"ownerReferences": None, "labels": None, "annotations": None, "finalizers": None, **body["metadata"]},
    }


def _unknown_phase(body: Json) -> Json:
    """Give Pods that are not ready an unknown phase and condition."""
    if body.get("kind") in (None, "Pod") and "phase" in body.get("status", {}) and body["status"]["phase"] == "Pending":
        status = {**body["status"], "phase": "Paused", "conditions": [{"type": "example.org/Paused", "status": "Maybe"}]}
        return {**body, "status": status}
    return body


def _extra(body: Json) -> Json:
    """Add fields that no version knows, also to status and conditions."""
    status = {**body.get("status", {}), "future": {"mode": "On"}} if body.get("status") else body.get("status")
    made = {**body, "future": [1, 2], "metadata": {**body["metadata"], "future": None}}
    return {**made, "status": status} if status else made


def _stuck(cluster: Cluster) -> None:
    """Hold every namespace with a finalizer that nobody removes."""

    def hold(body: Json) -> Json:
        if body["kind"] == "Namespace":
            body["metadata"]["finalizers"] = ["example.org/hold"]
        return body

    cluster.core.mutate = hold


def _mutating(cluster: Cluster) -> None:
    """Add a label, an annotation and a toleration to everything that is created."""

    def change(body: Json) -> Json:
        metadata = body["metadata"]
        metadata["labels"] = {**metadata.get("labels", {}), "example.org/team": "a"}
        metadata["annotations"] = {**metadata.get("annotations", {}), "example.org/cost": "b"}
        if body["kind"] == "Pod":
            body["spec"].setdefault("tolerations", []).append({"key": "example.org/spot", "operator": "Exists"})
        return body

    cluster.core.mutate = change


def _huge(cluster: Cluster) -> None:
    """Add an annotation of 200 KiB to every Pod."""

    def change(body: Json) -> Json:
        if body["kind"] == "Pod":
            body["metadata"]["annotations"] = {"example.org/blob": "x" * (LONG // 5)}
        return body

    cluster.core.mutate = change


def _huge_deployment(cluster: Cluster) -> None:
    """Add an annotation of 1 MiB to the Deployment."""

    def change(body: Json) -> Json:
        if body["kind"] == "Deployment":
            body["metadata"]["annotations"] = {"example.org/blob": "x" * LONG}
        return body

    cluster.core.mutate = change


def _miscounting(cluster: Cluster) -> None:
    """Count one ready Pod in the status of a ReplicaSet where there are more."""
    modify = cluster.store.modify

    def miscount(key: Key, change: Callable[[Json], object]) -> Json:
        def both(body: Json) -> None:
            change(body)
            if body["kind"] == "ReplicaSet" and body["status"].get("readyReplicas", 0) > 1:
                body["status"] |= {"readyReplicas": 1, "availableReplicas": 1}

        return modify(key, both)

    cluster.store.modify = miscount


def _taken(cluster: Cluster) -> None:
    """Have a ConfigMap nginx of another owner in every new namespace."""

    def furnish(exchange: Exchange) -> None:
        exchange.serve()
        name = exchange.request.body["metadata"]["name"]
        metadata = {"name": "nginx", "namespace": name}
        with cluster.store.changed:
            if cluster.store.get("Namespace", "", name):
                cluster.store.create({"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": {"a": "b"}})

    rule(on("create", "Namespace"), furnish)(cluster)


def _namespace_deleted(exchange: Exchange) -> None:
    """Delete the namespace of an object that is made, as somebody who does not know the run would."""
    exchange.serve()
    with exchange.api.store.changed:
        exchange.api.store.delete(("Namespace", "", exchange.request.place.namespace))


def _taken_namespace(exchange: Exchange) -> None:
    """Create a namespace of that name for another run first."""
    metadata = {"name": exchange.request.body["metadata"]["name"], "labels": {"owner": "others"}}
    space: Json = {"kind": "Namespace", "apiVersion": "v1", "metadata": metadata}
    exchange.api.store.create({**space, "spec": {}, "status": {"phase": "Active"}})
    exchange.serve()


RECORDS = (
    Record(
        "NO-LABELS",
        "leaves out the labels of Nodes and Services",
        rule(lambda request: request.place.kind in ("Node", "Service"), reshaped(without_fields("labels"))),
    ),
    Record(
        "NO-MANAGED-FIELDS",
        "leaves out managedFields and creationTimestamp",
        rule(any_request, reshaped(without_fields("managedFields", "creationTimestamp"))),
        EITHER,
    ),
    Record(
        "NO-STATUS",
        "leaves out the status of Nodes and Namespaces",
        rule(lambda request: request.place.kind in ("Node", "Namespace"), reshaped(without_fields(".status"))),
        EITHER,
    ),
    Record("NULLS", "sends null in place of empty lists and maps", rule(any_request, reshaped(null_lists))),
    Record(
        "UNKNOWN-PHASE",
        "gives starting Pods a phase and a condition that no version knows",
        rule(any_request, reshaped(_unknown_phase)),
    ),
    Record("EXTRA-FIELDS", "sends fields that no version knows", rule(any_request, reshaped(_extra))),
    Record("MUTATED", "adds a label, an annotation and a toleration to everything that is created", _mutating),
    Record(
        "MISCOUNTED",
        "counts one ready Pod of two in the status of every ReplicaSet, and so of every Deployment",
        _miscounting,
        (broken(Link.REPLICASET),),
        says="readyReplicas 2",
        command=IMPATIENT,
        seconds=200,
    ),
    Record("HUGE-PODS", "adds an annotation of 200 KiB to every Pod", _huge),
    Record("HUGE-DEPLOYMENT", "adds an annotation of 1 MiB to every Deployment", _huge_deployment),
    Record(
        "STUCK-NAMESPACE",
        "never removes a namespace that is deleted",
        _stuck,
        (CLEANUP, UNDECIDED),
        seconds=400,
        undeletable=True,
    ),
    Record(
        "TAKEN-CONFIGMAP", "has a ConfigMap nginx of others in every new namespace", _taken, (UNDECIDED,), says="already exists"
    ),
    Record(
        "NAMESPACE-DELETED",
        "has somebody who deletes the first namespace of the run that has a Service",
        rule(of_namespace(on("create", "Service")), _namespace_deleted, times=1),
        (UNDECIDED,),
        says="somebody else deleted a namespace of this run: kubechain-",
        command=IMPATIENT,
    ),
    Record(
        "TAKEN-NAMESPACE",
        "has a namespace of others under the run's name",
        rule(on("create", "Namespace"), _taken_namespace, times=1),
        (UNDECIDED,),
        says="already exists",
    ),
)
