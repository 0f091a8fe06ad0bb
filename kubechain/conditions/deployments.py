"""Conditions on Deployments and ReplicaSets (https://kubernetes.io/docs/concepts/workloads/controllers/deployment/)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kubechain.conditions.condition import Condition, Result, all_of, equal, expect, unmet
from kubechain.conditions.objects import one
from kubechain.kube.objects import Json, KubeObject, NamespaceState, names

HASH = "pod-template-hash"
ANNOTATION = "deployment.kubernetes.io/"


def observed(name: str) -> Condition[NamespaceState]:
    """The Deployment controller has seen the present generation of the Deployment."""
    return deployment(
        name,
        "observed by its controller",
        lambda d: expect(
            d.at("status.observedGeneration", 0) >= d.at("metadata.generation"),
            f"status.observedGeneration is {d.at('status.observedGeneration')}, "
            f"metadata.generation {d.at('metadata.generation')}",
        ),
    )


def deployment(name: str, what: str, check: Callable[[KubeObject], Result]) -> Condition[NamespaceState]:
    """The Deployment of that name exists and is as `judge` wants it."""
    return one("Deployment", name, what, check)


def at_revision(name: str, revision: int) -> Condition[NamespaceState]:
    """The Deployment carries that number as its revision."""
    key = ANNOTATION + "revision"
    return deployment(name, f"at revision {revision}", lambda d: equal(key, d.annotations.get(key), str(revision)))


def counts(name: str, replicas: int) -> Condition[NamespaceState]:
    """All replica counts of the Deployment's status equal `replicas`, and none is unavailable."""
    fields = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")

    def check(found: KubeObject) -> Result:
        seen = {field: found.at(f"status.{field}", 0) for field in (*fields, "unavailableReplicas")}
        return equal("status", seen, {**dict.fromkeys(fields, replicas), "unavailableReplicas": 0})

    return deployment(name, f"with {replicas} replicas in every count", check)


def current_replica_set(state: NamespaceState, name: str) -> KubeObject | None:
    """Return the ReplicaSet of the Deployment's highest revision, None if it owns none."""
    owner = state.one("Deployment", name)
    owned = state.owned_by(owner, "ReplicaSet") if owner else ()
    return max(owned, key=revision, default=None)


def replica_set(name: str, what: str, check: Callable[[KubeObject], Result]) -> Condition[NamespaceState]:
    """The Deployment owns exactly one ReplicaSet, and it is as `judge` wants it."""

    def find(state: NamespaceState) -> Result:
        owner = state.one("Deployment", name)
        if owner is None:
            return unmet(f"no Deployment {name}")
        owned = state.owned_by(owner, "ReplicaSet")
        if len(owned) != 1:
            present = names(state.all("ReplicaSet"))
            return unmet(f"Deployment {name} owns {len(owned)} ReplicaSets (in the namespace: {present})")
        return check(owned[0])

    return Condition(f"ReplicaSet of {name} {what}", find)


def owned_and_asking(name: str, replicas: int) -> Condition[NamespaceState]:
    """The one ReplicaSet that the Deployment controls asks for, and has made, that many Pods."""

    def check(found: KubeObject) -> Result:
        asked = equal("spec.replicas", found.at("spec.replicas"), replicas)
        made = equal("status.replicas", found.at("status.replicas"), replicas)
        if not asked.met or made.met:
            return asked
        # Why the API server refuses its Pods.
        failure = found.condition("ReplicaFailure").get("message", "")
        return unmet(f"{made.why}: {failure}") if failure else made

    return replica_set(name, f"controlled by it, with {replicas} Pods made", check)


def named_by_hash(name: str) -> Condition[NamespaceState]:
    """The ReplicaSet is named after its Deployment and its pod-template-hash."""
    return replica_set(name, "named by its hash", lambda rs: equal("name", rs.name, f"{name}-{rs.labels.get(HASH, '')}"))


def hash_everywhere(name: str) -> Condition[NamespaceState]:
    """The ReplicaSet has one pod-template-hash in its labels, its selector and its Pod template."""

    def check(found: KubeObject) -> Result:
        labels: list[Json] = [
            found.labels,
            found.at("spec.selector.matchLabels", {}),
            found.at("spec.template.metadata.labels", {}),
        ]
        hashes = [each.get(HASH) for each in labels]
        return expect(len(set(hashes)) == 1 and bool(hashes[0]), f"{HASH} in labels, selector and template is {hashes}")

    return replica_set(name, f"with one {HASH}", check)


def annotated(name: str, wanted: Mapping[str, str]) -> Condition[NamespaceState]:
    """The ReplicaSet has these deployment.kubernetes.io annotations."""

    def check(found: KubeObject) -> Result:
        return equal("annotations", {key: found.annotations.get(ANNOTATION + key) for key in wanted}, dict(wanted))

    return replica_set(name, "with its Deployment's annotations", check)


def replica_set_counts(name: str, replicas: int) -> Condition[NamespaceState]:
    """All counts of the ReplicaSet's status equal `replicas`."""
    fields = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas")

    def check(found: KubeObject) -> Result:
        return equal("status", {f: found.at(f"status.{f}", 0) for f in fields}, dict.fromkeys(fields, replicas))

    return replica_set(name, f"with {replicas} in every count", check)


def pods_controlled(name: str, labels: Mapping[str, str]) -> Condition[NamespaceState]:
    """Every Pod with these labels is controlled by the Deployment's ReplicaSet, named by kind, name and UID."""

    def check(state: NamespaceState) -> Result:
        found = current_replica_set(state, name)
        if found is None:
            return unmet(f"Deployment {name} owns no ReplicaSet")
        pods = state.all("Pod", labels)
        wanted = ("apps/v1", "ReplicaSet", found.name, found.uid)
        for pod in pods:
            owner = pod.controller or {}
            result = equal(f"controller of {pod.name}", tuple(map(owner.get, OWNER_FIELDS)), wanted)
            if not result.met:
                return result
        return expect(bool(pods), "there are no Pods")

    return Condition(f"every Pod controlled by the ReplicaSet of {name}", check)


OWNER_FIELDS = ("apiVersion", "kind", "name", "uid")


def pods_labelled(name: str) -> Condition[NamespaceState]:
    """Every Pod of the ReplicaSet has the labels of its template, hash included, with the same values."""

    def check(state: NamespaceState) -> Result:
        found = current_replica_set(state, name)
        if found is None:
            return unmet(f"Deployment {name} owns no ReplicaSet")
        wanted: dict[str, str] = found.at("spec.template.metadata.labels", {})
        pods = state.owned_by(found, "Pod")
        wrong = [f"{pod.name}: {pod.labels}" for pod in pods if not pod.matches(wanted)]
        return expect(bool(pods) and HASH in wanted and not wrong, f"template has {wanted}; Pods: {wrong or 'none'}")

    return Condition(f"Pods labelled as the template of {name}", check)


def revision(resource: KubeObject) -> int:
    """Return the revision of a Deployment or ReplicaSet, 0 if it has none."""
    return int(resource.annotations.get(ANNOTATION + "revision", "0"))


def rolled_out(name: str, replicas: int, number: int) -> Condition[NamespaceState]:
    """The Deployment is at that revision, observed and complete: as many Pods, all of them new and available."""
    complete = all_of(f"Deployment {name} rolled out", at_revision(name, number), observed(name), counts(name, replicas))
    return Condition(f"Deployment {name} rolled out at revision {number}", complete)


def replica_sets(name: str, wanted: Mapping[int, int]) -> Condition[NamespaceState]:
    """The Deployment owns exactly the ReplicaSets of `wanted`: revision -> replicas asked for and made."""

    def check(state: NamespaceState) -> Result:
        owner = state.one("Deployment", name)
        owned = state.owned_by(owner, "ReplicaSet") if owner else ()
        seen = sorted((revision(rs), rs.at("spec.replicas", 0), rs.at("status.replicas", 0)) for rs in owned)
        return equal("revision, replicas asked for and made", seen, sorted((n, count, count) for n, count in wanted.items()))

    return Condition(f"ReplicaSets of {name} at revisions {sorted(wanted)}", check)


def within_bounds(name: str, labels: Mapping[str, str], most: int, least: int) -> Condition[NamespaceState]:
    """At most `most` Pods with these labels exist that are not ending, and at least `least` of them are ready."""

    def check(state: NamespaceState) -> Result:
        pods = [pod for pod in state.all("Pod", labels) if not pod.deleting]
        ready = [pod for pod in pods if pod.is_true("Ready")]
        seen = f"{len(pods)} Pods, {len(ready)} ready"
        return expect(len(pods) <= most and len(ready) >= least, f"{seen}: at most {most} and at least {least} allowed")

    return Condition(f"{name} within {least} ready and {most} in all", check)


def never_both(labels: Mapping[str, str]) -> Condition[NamespaceState]:
    """Pods of one pod-template-hash alone exist, those that have ended already left out."""

    def check(state: NamespaceState) -> Result:
        alive = [pod for pod in state.all("Pod", labels) if not pod.over]
        hashes = {pod.labels.get(HASH) for pod in alive}
        return expect(len(hashes) <= 1, f"Pods of {sorted(map(str, hashes))} at once")

    return Condition("no two revisions at once", check)


def says(name: str, kind: str, status: str, reason: str) -> Condition[NamespaceState]:
    """The Deployment's condition of type `kind` has that status for that reason."""

    def check(found: KubeObject) -> Result:
        condition = found.condition(kind)
        return equal(kind, (condition.get("status"), condition.get("reason")), (status, reason))

    return deployment(name, f"{kind}={status} because of {reason}", check)


def serves_from(name: str, number: int, check: Callable[[KubeObject], Result]) -> Condition[NamespaceState]:
    """The Deployment's current ReplicaSet is at that revision, and is as `judge` wants it."""

    def find(state: NamespaceState) -> Result:
        found = current_replica_set(state, name)
        if found is None or revision(found) != number:
            return unmet(f"current ReplicaSet is {found.name if found else 'none'}, wanted one at revision {number}")
        return check(found)

    return Condition(f"current ReplicaSet of {name} at revision {number}", find)


def other_hash(name: str, number: int, old: KubeObject) -> Condition[NamespaceState]:
    """The Deployment's ReplicaSet at that revision has another pod-template-hash than an old one."""
    return serves_from(
        name,
        number,
        lambda rs: expect(rs.labels.get(HASH) not in (None, old.labels[HASH]), f"hash is {rs.labels.get(HASH)} again"),
    )


def same_again(name: str, number: int, old: KubeObject) -> Condition[NamespaceState]:
    """The Deployment's ReplicaSet at that revision is an old one, by UID and pod-template-hash."""
    wanted = (old.uid, old.labels[HASH])
    return serves_from(name, number, lambda rs: equal("UID and hash", (rs.uid, rs.labels.get(HASH)), wanted))


def kept_at_zero(name: str, old: KubeObject) -> Condition[NamespaceState]:
    """An old ReplicaSet of the Deployment is kept, under its UID, with no replicas asked for or made."""

    def check(state: NamespaceState) -> Result:
        owner = state.one("Deployment", name)
        found = next((rs for rs in state.owned_by(owner, "ReplicaSet") if rs.uid == old.uid), None) if owner else None
        if found is None:
            return unmet(f"ReplicaSet {old.name} is not there")
        return equal("replicas asked for and made", (found.at("spec.replicas"), found.at("status.replicas", 0)), (0, 0))

    return Condition(f"ReplicaSet {old.name} kept at zero", check)


def waits_for_dependents(name: str) -> Condition[NamespaceState]:
    """The Deployment is being deleted, and stays for the finalizer foregroundDeletion."""

    def check(found: KubeObject) -> Result:
        seen = (found.deleting, found.at("metadata.finalizers"))
        return equal("being deleted, finalizers", seen, (True, ["foregroundDeletion"]))

    return deployment(name, "waiting for its dependents", check)
