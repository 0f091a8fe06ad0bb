"""Conditions on Deployments and ReplicaSets (https://kubernetes.io/docs/concepts/workloads/controllers/deployment/)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from kubechain.conditions.condition import Condition, Result, all_of, equal, expect, fields, unmet
from kubechain.conditions.objects import one
from kubechain.conditions.pods import lasting
from kubechain.conditions.text import counted, some, text
from kubechain.conditions.timeouts import CONTROLLER, DELETION, ROLLOUT
from kubechain.kube.objects import KubeObject, NamespaceState, names

HASH = "pod-template-hash"
ANNOTATION = "deployment.kubernetes.io/"
OWNER_FIELDS = ("apiVersion", "kind", "name", "uid")


def observed(name: str) -> Condition[NamespaceState]:
    """The Deployment's status.observedGeneration has reached its metadata.generation."""

    def check(resource: KubeObject) -> Result:
        observed_generation, generation = resource.at("status.observedGeneration"), resource.at("metadata.generation")
        is_observed = (observed_generation or 0) >= generation
        return expect(is_observed, text(observed_generation), f"status.observedGeneration at least {generation}")

    return deployment(name, "observed at its generation", check)


def deployment(name: str, what: str, check: Callable[[KubeObject], Result]) -> Condition[NamespaceState]:
    """The Deployment of that name exists and passes `check`."""
    return one("Deployment", name, what, check)


def at_revision(name: str, revision: int) -> Condition[NamespaceState]:
    """The Deployment's annotation deployment.kubernetes.io/revision has this number."""

    def check(resource: KubeObject) -> Result:
        value = resource.annotations.get(ANNOTATION + "revision")
        return expect(value == str(revision), f"revision {text(value)}")

    return deployment(name, f"at revision {revision}", check)


def counts(name: str, replicas: int) -> Condition[NamespaceState]:
    """All replica counts of the Deployment's status equal `replicas`, and unavailableReplicas is 0."""
    names_of_counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    wanted = {**{f"status.{field}": replicas for field in names_of_counts}, "status.unavailableReplicas": 0}
    return deployment(
        name,
        f"with {counted(replicas, 'replica')} in every count of its status",
        lambda resource: fields({path: resource.at(path, 0) for path in wanted}, wanted),
    )


def current_replica_set(state: NamespaceState, name: str) -> KubeObject | None:
    """Return the Deployment's ReplicaSet with the highest revision, None if it owns none."""
    owner = state.one("Deployment", name)
    owned = state.owned_by(owner, "ReplicaSet") if owner else ()
    return max(owned, key=revision, default=None)


def replica_set(name: str, what: str, check: Callable[[KubeObject], Result]) -> Condition[NamespaceState]:
    """The Deployment owns exactly one ReplicaSet, and it passes `check`."""

    def find(state: NamespaceState) -> Result:
        owner = state.one("Deployment", name)
        if owner is None:
            return unmet(f"no Deployment {name}")
        owned = state.owned_by(owner, "ReplicaSet")
        if len(owned) != 1:
            present = names(state.all("ReplicaSet"))
            return unmet(f"{len(owned)} (in the namespace: {present})", f"exactly one ReplicaSet controlled by Deployment {name}")
        return check(owned[0]).of(f"ReplicaSet of {name} with")

    return Condition(f"ReplicaSet of {name} {what}", find, CONTROLLER)


def controls_one_replica_set(name: str, replicas: int) -> Condition[NamespaceState]:
    """The Deployment controls exactly one ReplicaSet, whose spec.replicas and status.replicas equal `replicas`."""

    def check(replica_set: KubeObject) -> Result:
        spec = equal("spec.replicas", replica_set.at("spec.replicas"), replicas)
        status = equal("status.replicas", replica_set.at("status.replicas"), replicas)
        if not spec.met or status.met:
            return spec
        # The message of ReplicaFailure says why the API server refuses the Pods.
        failure = replica_set.condition("ReplicaFailure").get("message", "")
        return unmet(f"{status.got}: {failure}", status.expected) if failure else status

    return replica_set(name, f"controlled by it, with {counted(replicas, 'Pod')} made", check)


def named_by_hash(name: str) -> Condition[NamespaceState]:
    """The ReplicaSet's name is [DEPLOYMENT-NAME]-[pod-template-hash]."""

    def check(replica_set: KubeObject) -> Result:
        return equal("name", replica_set.name, f"{name}-{replica_set.labels.get(HASH, '')}")

    return replica_set(name, f"named {name}-[{HASH}]", check)


def hash_everywhere(name: str) -> Condition[NamespaceState]:
    """The ReplicaSet has the same pod-template-hash in its labels, its selector and its Pod template."""

    def check(replica_set: KubeObject) -> Result:
        places = {
            "labels": replica_set.labels.get(HASH),
            "selector": replica_set.at("spec.selector.matchLabels", {}).get(HASH),
            "template": replica_set.at("spec.template.metadata.labels", {}).get(HASH),
        }
        same = len(set(places.values())) == 1 and bool(places["labels"])
        return expect(same, ", ".join(f"{place} {text(value)}" for place, value in places.items()))

    return replica_set(name, f"with one {HASH} in labels, selector and template", check)


def annotated(name: str, wanted: Mapping[str, str]) -> Condition[NamespaceState]:
    """The ReplicaSet has the `wanted` annotations; the keys omit the prefix deployment.kubernetes.io/."""
    annotations = {ANNOTATION + key: value for key, value in wanted.items()}

    def check(replica_set: KubeObject) -> Result:
        return fields({key: replica_set.annotations.get(key) for key in annotations}, annotations)

    return replica_set(name, "with its Deployment's annotations", check)


def replica_set_counts(name: str, replicas: int) -> Condition[NamespaceState]:
    """All counts of the ReplicaSet's status equal `replicas`."""
    names_of_counts = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas")
    wanted = {f"status.{field}": replicas for field in names_of_counts}
    return replica_set(
        name,
        f"with {counted(replicas, 'replica')} in every count of its status",
        lambda resource: fields({path: resource.at(path, 0) for path in wanted}, wanted),
    )


def pods_controlled(name: str, labels: Mapping[str, str]) -> Condition[NamespaceState]:
    """Every Pod with these labels has the Deployment's ReplicaSet as its controller, by apiVersion, kind, name and UID."""

    def check(state: NamespaceState) -> Result:
        replica_set = current_replica_set(state, name)
        if replica_set is None:
            return unmet(f"no ReplicaSet of {name}")
        pods = state.all("Pod", labels)
        wanted = dict(zip(OWNER_FIELDS, ("apps/v1", "ReplicaSet", replica_set.name, replica_set.uid), strict=True))
        for pod in pods:
            owner = pod.controller or {}
            actual = {f"controller's {field}": owner.get(field) for field in wanted}
            result = fields(actual, {f"controller's {field}": value for field, value in wanted.items()})
            if not result.met:
                return result.of(f"Pod {pod.name} with")
        return expect(bool(pods), "no Pods")

    return Condition(f"every Pod ({text(labels)}) controlled by the ReplicaSet of {name}", check, CONTROLLER)


def pods_labelled(name: str) -> Condition[NamespaceState]:
    """Every Pod of the Deployment's ReplicaSet has all labels of the Pod template, pod-template-hash included."""

    def check(state: NamespaceState) -> Result:
        replica_set = current_replica_set(state, name)
        if replica_set is None:
            return unmet(f"no ReplicaSet of {name}")
        wanted: dict[str, str] = replica_set.at("spec.template.metadata.labels", {})
        if HASH not in wanted:
            return unmet(text(wanted), f"{HASH} among the labels of the template of {replica_set.name}")
        pods = state.owned_by(replica_set, "Pod")
        results = [fields({key: pod.labels.get(key) for key in wanted}, wanted).of(f"Pod {pod.name} with") for pod in pods]
        return next((result for result in results if not result.met), expect(bool(pods), "no Pods"))

    return Condition(f"Pods of {name} with the labels of its template", check, CONTROLLER)


def surge(resource: KubeObject) -> int:
    """Return how many Pods a Deployment may have above its replicas while it rolls; 0 with the strategy Recreate."""
    most = resource.at("spec.strategy.rollingUpdate.maxSurge", 0)
    if isinstance(most, str):
        # https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#max-surge: rounded up.
        return math.ceil(int(resource.at("spec.replicas", 1)) * int(most.removesuffix("%")) / 100)
    return int(most)


def revision(resource: KubeObject) -> int:
    """Return the revision of a Deployment or ReplicaSet, 0 if it has none."""
    return int(resource.annotations.get(ANNOTATION + "revision", "0"))


def rolled_out(name: str, replicas: int, number: int) -> Condition[NamespaceState]:
    """The Deployment is at revision `number`, observed, and all its `replicas` are updated and available."""
    what = f"Deployment {name} rolled out at revision {number}"
    return all_of(what, at_revision(name, number), observed(name), counts(name, replicas), timeout=ROLLOUT)


def replica_sets(name: str, wanted: Mapping[int, int]) -> Condition[NamespaceState]:
    """The Deployment owns exactly these ReplicaSets: revision -> spec.replicas, which status.replicas equals."""
    expected = sorted((number, count, count) for number, count in wanted.items())

    def check(state: NamespaceState) -> Result:
        owner = state.one("Deployment", name)
        owned = state.owned_by(owner, "ReplicaSet") if owner else ()
        actual = sorted((revision(rs), rs.at("spec.replicas", 0), rs.at("status.replicas", 0)) for rs in owned)
        return expect(actual == expected, some(_replicas(*entry) for entry in actual))

    return Condition(f"ReplicaSets of {name} to be {some(_replicas(*entry) for entry in expected)}", check, DELETION)


def _replicas(number: int, spec: int, status: int) -> str:
    return f"revision {number} with {counted(status, 'Pod')}" + (f" (spec.replicas {spec})" if spec != status else "")


def within_bounds(name: str, labels: Mapping[str, str], most: int, least: int) -> Condition[NamespaceState]:
    """At most `most` Pods with these labels have no deletionTimestamp, and at least `least` of them are ready."""

    def check(state: NamespaceState) -> Result:
        pods = [pod for pod in lasting(state, labels) if not pod.deleting]
        ready = [pod for pod in pods if pod.is_true("Ready")]
        return expect(len(pods) <= most and len(ready) >= least, f"{counted(len(pods), 'Pod')}, {len(ready)} ready")

    return Condition(f"Deployment {name} to have at most {counted(most, 'Pod')}, at least {least} ready", check)


def one_hash_at_a_time(labels: Mapping[str, str]) -> Condition[NamespaceState]:
    """All Pods with these labels that have not ended have the same pod-template-hash."""

    def check(state: NamespaceState) -> Result:
        hashes = {pod.labels.get(HASH) for pod in state.all("Pod", labels) if not pod.over}
        return expect(len(hashes) <= 1, text(hashes))

    return Condition(f"Pods with {text(labels)} to have one {HASH} at a time", check)


def has_condition(name: str, kind: str, status: str, reason: str) -> Condition[NamespaceState]:
    """The Deployment's condition of type `kind` has this status and reason."""

    def check(resource: KubeObject) -> Result:
        condition = resource.condition(kind)
        actual = condition.get("status"), condition.get("reason")
        return expect(actual == (status, reason), f"{kind}={actual[0]} ({actual[1]})" if condition else f"no condition {kind}")

    return deployment(name, f"with condition {kind}={status} ({reason})", check)


def current_replica_set_is(name: str, number: int, check: Callable[[KubeObject], Result]) -> Condition[NamespaceState]:
    """The Deployment's current ReplicaSet is at revision `number` and passes `check`."""
    what = f"current ReplicaSet of {name} at revision {number}"

    def find(state: NamespaceState) -> Result:
        current = current_replica_set(state, name)
        if current is None or revision(current) != number:
            return unmet(f"{current.name} at revision {revision(current)}" if current else "none")
        return check(current).of(f"{what} with")

    return Condition(what, find, CONTROLLER)


def other_hash(name: str, number: int, old: KubeObject) -> Condition[NamespaceState]:
    """The Deployment's current ReplicaSet, at revision `number`, has another pod-template-hash than `old`."""
    old_hash = old.labels[HASH]

    def check(replica_set: KubeObject) -> Result:
        new_hash = replica_set.labels.get(HASH)
        return expect(new_hash not in (None, old_hash), text(new_hash), f"another {HASH} than {old_hash}")

    return current_replica_set_is(name, number, check)


def reuses_replica_set(name: str, number: int, old: KubeObject) -> Condition[NamespaceState]:
    """The Deployment's current ReplicaSet, at revision `number`, is `old`, by UID and pod-template-hash."""
    wanted = {"UID": old.uid, HASH: old.labels[HASH]}
    return current_replica_set_is(name, number, lambda rs: fields({"UID": rs.uid, HASH: rs.labels.get(HASH)}, wanted))


def kept_at_zero(name: str, old: KubeObject) -> Condition[NamespaceState]:
    """The Deployment still owns the ReplicaSet `old`, by UID, with spec.replicas and status.replicas 0."""

    def check(state: NamespaceState) -> Result:
        owner = state.one("Deployment", name)
        kept = next((rs for rs in state.owned_by(owner, "ReplicaSet") if rs.uid == old.uid), None) if owner else None
        if kept is None:
            return unmet(f"no ReplicaSet with its UID under Deployment {name}")
        counts = {"spec.replicas": kept.at("spec.replicas"), "status.replicas": kept.at("status.replicas", 0)}
        return fields(counts, dict.fromkeys(counts, 0)).of(f"ReplicaSet {old.name} kept with")

    return Condition(f"ReplicaSet {old.name} kept with 0 replicas", check, ROLLOUT)


def waits_for_dependents(name: str) -> Condition[NamespaceState]:
    """The Deployment has a deletionTimestamp and the finalizer foregroundDeletion, not orphan; others may have added theirs."""

    def check(resource: KubeObject) -> Result:
        finalizers = resource.at("metadata.finalizers", [])
        waits = resource.deleting and "foregroundDeletion" in finalizers and "orphan" not in finalizers
        return expect(waits, f"{'being' if resource.deleting else 'not'} deleted, finalizers {text(finalizers)}")

    return deployment(name, "being deleted, with the finalizer foregroundDeletion", check)
