"""Conditions on Deployments and ReplicaSets (https://kubernetes.io/docs/concepts/workloads/controllers/deployment/)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kubechain.conditions.condition import Condition, Result, all_of, equal, expect, fields, unmet
from kubechain.conditions.objects import one
from kubechain.conditions.text import counted, some, text
from kubechain.conditions.timeouts import CONTROLLER, DELETION, ROLLOUT
from kubechain.kube.objects import KubeObject, NamespaceState, names

HASH = "pod-template-hash"
ANNOTATION = "deployment.kubernetes.io/"
OWNER_FIELDS = ("apiVersion", "kind", "name", "uid")


def observed(name: str) -> Condition[NamespaceState]:
    """The Deployment controller has seen the present generation of the Deployment."""

    def check(found: KubeObject) -> Result:
        seen, generation = found.at("status.observedGeneration"), found.at("metadata.generation")
        return expect((seen or 0) >= generation, text(seen), f"status.observedGeneration at least {generation}")

    return deployment(name, "observed at its generation", check)


def deployment(name: str, what: str, check: Callable[[KubeObject], Result]) -> Condition[NamespaceState]:
    """The Deployment of that name exists and passes `check`."""
    return one("Deployment", name, what, check)


def at_revision(name: str, revision: int) -> Condition[NamespaceState]:
    """The Deployment carries that number as its revision."""

    def check(found: KubeObject) -> Result:
        seen = found.annotations.get(ANNOTATION + "revision")
        return expect(seen == str(revision), f"revision {text(seen)}")

    return deployment(name, f"at revision {revision}", check)


def counts(name: str, replicas: int) -> Condition[NamespaceState]:
    """All replica counts of the Deployment's status equal `replicas`, and none is unavailable."""
    names_of_counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    wanted = {**{f"status.{field}": replicas for field in names_of_counts}, "status.unavailableReplicas": 0}
    return deployment(
        name,
        f"with {counted(replicas, 'replica')} in every count of its status",
        lambda found: fields({path: found.at(path, 0) for path in wanted}, wanted),
    )


def current_replica_set(state: NamespaceState, name: str) -> KubeObject | None:
    """Return the ReplicaSet of the Deployment's highest revision, None if it owns none."""
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


def owned_and_asking(name: str, replicas: int) -> Condition[NamespaceState]:
    """The one ReplicaSet that the Deployment controls asks for, and has made, that many Pods."""

    def check(found: KubeObject) -> Result:
        asked = equal("spec.replicas", found.at("spec.replicas"), replicas)
        made = equal("status.replicas", found.at("status.replicas"), replicas)
        if not asked.met or made.met:
            return asked
        # Why the API server refuses its Pods.
        failure = found.condition("ReplicaFailure").get("message", "")
        return unmet(f"{made.got}: {failure}", made.expected) if failure else made

    return replica_set(name, f"controlled by it, with {counted(replicas, 'Pod')} made", check)


def named_by_hash(name: str) -> Condition[NamespaceState]:
    """The ReplicaSet is named after its Deployment and its pod-template-hash."""

    def check(found: KubeObject) -> Result:
        return equal("name", found.name, f"{name}-{found.labels.get(HASH, '')}")

    return replica_set(name, f"named {name}-[{HASH}]", check)


def hash_everywhere(name: str) -> Condition[NamespaceState]:
    """The ReplicaSet has one pod-template-hash in its labels, its selector and its Pod template."""

    def check(found: KubeObject) -> Result:
        places = {
            "labels": found.labels.get(HASH),
            "selector": found.at("spec.selector.matchLabels", {}).get(HASH),
            "template": found.at("spec.template.metadata.labels", {}).get(HASH),
        }
        same = len(set(places.values())) == 1 and bool(places["labels"])
        return expect(same, ", ".join(f"{place} {text(value)}" for place, value in places.items()))

    return replica_set(name, f"with one {HASH} in labels, selector and template", check)


def annotated(name: str, wanted: Mapping[str, str]) -> Condition[NamespaceState]:
    """The ReplicaSet has these deployment.kubernetes.io annotations."""
    annotations = {ANNOTATION + key: value for key, value in wanted.items()}

    def check(found: KubeObject) -> Result:
        return fields({key: found.annotations.get(key) for key in annotations}, annotations)

    return replica_set(name, "with its Deployment's annotations", check)


def replica_set_counts(name: str, replicas: int) -> Condition[NamespaceState]:
    """All counts of the ReplicaSet's status equal `replicas`."""
    names_of_counts = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas")
    wanted = {f"status.{field}": replicas for field in names_of_counts}
    return replica_set(
        name,
        f"with {counted(replicas, 'replica')} in every count of its status",
        lambda found: fields({path: found.at(path, 0) for path in wanted}, wanted),
    )


def pods_controlled(name: str, labels: Mapping[str, str]) -> Condition[NamespaceState]:
    """Every Pod with these labels is controlled by the Deployment's ReplicaSet, named by kind, name and UID."""

    def check(state: NamespaceState) -> Result:
        found = current_replica_set(state, name)
        if found is None:
            return unmet(f"no ReplicaSet of {name}")
        pods = state.all("Pod", labels)
        wanted = dict(zip(OWNER_FIELDS, ("apps/v1", "ReplicaSet", found.name, found.uid), strict=True))
        for pod in pods:
            owner = pod.controller or {}
            seen = {f"controller's {field}": owner.get(field) for field in wanted}
            result = fields(seen, {f"controller's {field}": value for field, value in wanted.items()})
            if not result.met:
                return result.of(f"Pod {pod.name} with")
        return expect(bool(pods), "no Pods")

    return Condition(f"every Pod ({text(labels)}) controlled by the ReplicaSet of {name}", check, CONTROLLER)


def pods_labelled(name: str) -> Condition[NamespaceState]:
    """Every Pod of the ReplicaSet has the labels of its template, hash included, with the same values."""

    def check(state: NamespaceState) -> Result:
        found = current_replica_set(state, name)
        if found is None:
            return unmet(f"no ReplicaSet of {name}")
        wanted: dict[str, str] = found.at("spec.template.metadata.labels", {})
        if HASH not in wanted:
            return unmet(text(wanted), f"{HASH} among the labels of the template of {found.name}")
        pods = state.owned_by(found, "Pod")
        results = [fields({key: pod.labels.get(key) for key in wanted}, wanted).of(f"Pod {pod.name} with") for pod in pods]
        return next((result for result in results if not result.met), expect(bool(pods), "no Pods"))

    return Condition(f"Pods of {name} with the labels of its template", check, CONTROLLER)


def revision(resource: KubeObject) -> int:
    """Return the revision of a Deployment or ReplicaSet, 0 if it has none."""
    return int(resource.annotations.get(ANNOTATION + "revision", "0"))


def rolled_out(name: str, replicas: int, number: int) -> Condition[NamespaceState]:
    """The Deployment is at that revision, observed and complete: as many Pods, all of them new and available."""
    what = f"Deployment {name} rolled out at revision {number}"
    return all_of(what, at_revision(name, number), observed(name), counts(name, replicas), timeout=ROLLOUT)


def replica_sets(name: str, wanted: Mapping[int, int]) -> Condition[NamespaceState]:
    """The Deployment owns exactly the ReplicaSets of `wanted`: revision -> replicas asked for and made."""
    expected = sorted((number, count, count) for number, count in wanted.items())

    def check(state: NamespaceState) -> Result:
        owner = state.one("Deployment", name)
        owned = state.owned_by(owner, "ReplicaSet") if owner else ()
        seen = sorted((revision(rs), rs.at("spec.replicas", 0), rs.at("status.replicas", 0)) for rs in owned)
        return expect(seen == expected, some(_replicas(*each) for each in seen))

    return Condition(f"ReplicaSets of {name} to be {some(_replicas(*each) for each in expected)}", check, DELETION)


def _replicas(number: int, asked: int, made: int) -> str:
    return f"revision {number} with {counted(made, 'Pod')}" + (f" (spec.replicas {asked})" if asked != made else "")


def within_bounds(name: str, labels: Mapping[str, str], most: int, least: int) -> Condition[NamespaceState]:
    """At most `most` Pods with these labels exist that are not ending, and at least `least` of them are ready."""

    def check(state: NamespaceState) -> Result:
        pods = [pod for pod in state.all("Pod", labels) if not pod.deleting]
        ready = [pod for pod in pods if pod.is_true("Ready")]
        return expect(len(pods) <= most and len(ready) >= least, f"{counted(len(pods), 'Pod')}, {len(ready)} ready")

    return Condition(f"Deployment {name} to have at most {counted(most, 'Pod')}, at least {least} ready", check)


def never_both(labels: Mapping[str, str]) -> Condition[NamespaceState]:
    """Pods of one pod-template-hash alone exist, those that have ended already left out."""

    def check(state: NamespaceState) -> Result:
        alive = [pod for pod in state.all("Pod", labels) if not pod.over]
        hashes = {pod.labels.get(HASH) for pod in alive}
        return expect(len(hashes) <= 1, text(hashes))

    return Condition(f"Pods with {text(labels)} to have one {HASH} at a time", check)


def says(name: str, kind: str, status: str, reason: str) -> Condition[NamespaceState]:
    """The Deployment's condition of type `kind` has that status for that reason."""

    def check(found: KubeObject) -> Result:
        condition = found.condition(kind)
        seen = condition.get("status"), condition.get("reason")
        return expect(seen == (status, reason), f"{kind}={seen[0]} ({seen[1]})" if condition else f"no condition {kind}")

    return deployment(name, f"with condition {kind}={status} ({reason})", check)


def serves_from(name: str, number: int, check: Callable[[KubeObject], Result]) -> Condition[NamespaceState]:
    """The Deployment's current ReplicaSet is at that revision, and passes `check`."""
    what = f"current ReplicaSet of {name} at revision {number}"

    def find(state: NamespaceState) -> Result:
        found = current_replica_set(state, name)
        if found is None or revision(found) != number:
            return unmet(f"{found.name} at revision {revision(found)}" if found else "none")
        return check(found).of(f"{what} with")

    return Condition(what, find, CONTROLLER)


def other_hash(name: str, number: int, old: KubeObject) -> Condition[NamespaceState]:
    """The Deployment's ReplicaSet at that revision has another pod-template-hash than an old one."""
    before = old.labels[HASH]

    def check(found: KubeObject) -> Result:
        seen = found.labels.get(HASH)
        return expect(seen not in (None, before), text(seen), f"another {HASH} than {before}")

    return serves_from(name, number, check)


def same_again(name: str, number: int, old: KubeObject) -> Condition[NamespaceState]:
    """The Deployment's ReplicaSet at that revision is an old one, by UID and pod-template-hash."""
    wanted = {"UID": old.uid, HASH: old.labels[HASH]}
    return serves_from(name, number, lambda found: fields({"UID": found.uid, HASH: found.labels.get(HASH)}, wanted))


def kept_at_zero(name: str, old: KubeObject) -> Condition[NamespaceState]:
    """An old ReplicaSet of the Deployment is kept, under its UID, with no replicas asked for or made."""

    def check(state: NamespaceState) -> Result:
        owner = state.one("Deployment", name)
        found = next((rs for rs in state.owned_by(owner, "ReplicaSet") if rs.uid == old.uid), None) if owner else None
        if found is None:
            return unmet(f"no ReplicaSet with its UID under Deployment {name}")
        seen = {"spec.replicas": found.at("spec.replicas"), "status.replicas": found.at("status.replicas", 0)}
        return fields(seen, dict.fromkeys(seen, 0)).of(f"ReplicaSet {old.name} kept with")

    return Condition(f"ReplicaSet {old.name} kept with 0 replicas", check, ROLLOUT)


def waits_for_dependents(name: str) -> Condition[NamespaceState]:
    """The Deployment is being deleted, and stays for the finalizer foregroundDeletion."""

    def check(found: KubeObject) -> Result:
        finalizers = found.at("metadata.finalizers")
        right = found.deleting and finalizers == ["foregroundDeletion"]
        return expect(right, f"{'being' if found.deleting else 'not'} deleted, finalizers {text(finalizers)}")

    return deployment(name, "being deleted, with the finalizer foregroundDeletion alone", check)
