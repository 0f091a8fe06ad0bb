"""What runs make in a namespace that they have not made: each object has the label of its run, by which it is found and removed.

A ConfigMap stands for the run there. It has the expiry, and keeps a second run out: it is made first and removed last.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from kubechain.cleanup import namespaces, pods_of_runs, run_locks
from kubechain.cluster.access import Access
from kubechain.conditions.condition import empty
from kubechain.conditions.text import some
from kubechain.conditions.timeouts import MARKED_GONE
from kubechain.core.errors import ExitCode, HarnessError, SetupError, unmet_as
from kubechain.core.progress import Progress
from kubechain.core.run import EXPIRES_LABEL, LIFETIME, OWNED_BY, RUN_LABEL, owner_marks
from kubechain.kube.client import Api
from kubechain.kube.decoding import as_json, as_object
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import Json, KubeObject
from kubechain.kube.paths import PLURALS, path_of
from kubechain.kube.rights import right
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled, Waiter

# The ConfigMap of the run, and the Secret with the credentials of a registry, which is read by its name: no run lists Secrets.
RUN, SECRET = "kubechain-run", "registry"
# What every run makes, and what its controllers make of it; those that make others go first. The label of a Pod template or a
# Service is on what is made of it.
KINDS = ("Deployment", "ReplicaSet", "Pod", "Service", "Endpoints", "EndpointSlice", "ConfigMap", "ServiceAccount")
# What some claims make: found and removed where the user may do that.
RARE = ("PodDisruptionBudget", "NetworkPolicy")
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Space:
    """A namespace that a run has not made, and what its user may do there; `has_secret` says that there may be one of a run."""

    api: Api
    name: str
    access: Access
    has_secret: bool = True

    def may(self, verb: str, kind: str) -> bool:
        """Whether the user has a right to objects of a kind."""
        return not self.access.lacking([right(verb, PLURALS[kind][1])])

    def marked(self, run_id: str = "") -> list[KubeObject]:
        """Return the objects of a run, or ("") of any."""
        selector = f"{RUN_LABEL}={run_id}" if run_id else RUN_LABEL
        kinds = [*KINDS, *(kind for kind in RARE if self.may("list", kind))]
        found = [each for kind in kinds for each in self.api.list(kind, self.name, selector, metadata_only=True).items]
        secret = self.secret() if self.has_secret and self.may("get", "Secret") else None
        if secret and RUN_LABEL in secret.labels and run_id in ("", secret.labels[RUN_LABEL]):
            found.append(secret)
        return found

    def secret(self) -> KubeObject | None:
        """Return the metadata of the Secret with the name of the run's, None if there is none: what it holds is not read."""
        try:
            text = self.api.call("GET", path_of("Secret", self.name, SECRET), accept=METADATA)
        except ApiRefused as refused:
            if refused.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        # Metadata alone has a kind of its own.
        return as_object({**as_json(text, "Secret"), "kind": "Secret"}, "Secret")


@dataclass(frozen=True)
class Left:
    """What there is of a run; `expires` is in Unix seconds, infinity if it is not known; `marks` say whose it is."""

    run_id: str
    objects: tuple[KubeObject, ...]
    marks: Mapping[str, str]
    expires: float

    @property
    def owner(self) -> str:
        """For whom it was made."""
        return self.marks.get(OWNED_BY, "an unknown owner")

    def line(self, space: str, now: float) -> str:
        """Name the run, its owner, its expiry and its objects."""
        listed = some(f"{each.kind} {each.name}" for each in self.objects)
        until = f", expires in {max(0.0, self.expires - now) / 60:.0f} min" if self.expires < float("inf") else ""
        return f"run {self.run_id} in namespace {space} (by {self.owner}{until}): {listed}"


def sign(labels: dict[str, str]) -> Json:
    """Return the ConfigMap that stands for a run, with its labels."""
    metadata = {"name": RUN, "labels": dict(labels), "annotations": owner_marks()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def renew(api: Api, space: str, uid: str) -> None:
    """Set the expiry of a run to LIFETIME from now, by the API server's clock; without the right it keeps the one that it has.

    `uid` is that of the ConfigMap of the run: one of another run is not changed.
    """
    expires = str(int(api.server_time() + LIFETIME.total_seconds()))
    patch = {"metadata": {"uid": uid, "labels": {EXPIRES_LABEL: expires}}}
    with contextlib.suppress(ApiRefused):
        api.patch("ConfigMap", space, RUN, patch)


def runs(space: Space) -> list[Left]:
    """Return what there is of each run."""
    objects: defaultdict[str, list[KubeObject]] = defaultdict(list)
    for each in space.marked():
        objects[each.labels[RUN_LABEL]].append(each)
    return [_left(run_id, found) for run_id, found in sorted(objects.items())]


def _left(run_id: str, found: list[KubeObject]) -> Left:
    stands = next((each for each in found if is_sign(each)), None)
    return Left(run_id, tuple(found), stands.annotations if stands else {}, namespaces.expiry_of(stands.labels if stands else {}))


def is_sign(each: KubeObject) -> bool:
    """Whether an object stands for a run."""
    return (each.kind, each.name) == ("ConfigMap", RUN)


def clear(space: Space, uid: str, cache: Path, progress: Progress) -> list[Left]:
    """Remove what runs left that have ended, wait until it is gone, and return what there is of other runs.

    `uid` is that of the namespace.

    Raises:
        SetupError: an object is not gone in time (exit code CLUSTER).

    """
    now, others = space.api.server_time(), list[Left]()
    for left in runs(space):
        ended = pods_of_runs.has_ended(space.api, left.marks)
        if namespaces.is_over(left.run_id, left.expires, cache, now, ended=ended):
            remove_run(space, left.run_id, progress)
        else:
            others.append(left)
    run_locks.forget_visitors(cache, uid)
    return others


def remove_run(space: Space, run_id: str, progress: Progress, code: ExitCode = ExitCode.CLUSTER) -> None:
    """Remove what there is of a run, and wait until it is gone; SetupError with this code if it is not gone in time."""
    with progress.step(f"removing the objects of the run {run_id} in namespace {space.name}"), unmet_as(SetupError, code=code):
        _remove(space, run_id, sign_too=True)


def remove_chain(space: Space, run_id: str) -> None:
    """Remove all objects of a run but the one that stands for it, and wait until they are gone.

    Raises:
        HarnessError: one is not gone in time.

    """
    with unmet_as(HarnessError, f"namespace {space.name}: another chain cannot be made before this one is gone"):
        _remove(space, run_id, sign_too=False)


def _remove(space: Space, run_id: str, *, sign_too: bool) -> None:
    def remaining() -> list[str]:
        found = space.marked(run_id)
        signs, others = [each for each in found if is_sign(each)], [each for each in found if not is_sign(each)]
        _delete(space, others or (signs if sign_too else []))
        return [f"{each.kind} {each.name}" for each in (*others, *(signs if sign_too else []))]

    clock = RealClock()
    source = Polled(f"objects of the run in namespace {space.name}", remaining, clock, LOOK_SECONDS)
    Waiter(clock).eventually(source, empty("object of the run"), within=MARKED_GONE)


def _delete(space: Space, objects: Iterable[KubeObject]) -> None:
    """Delete objects by their UIDs, Pods with their grace period, and do not wait for what belongs to them.

    Everything that a run made is named here: a garbage collector that does nothing leaves none of it.
    """
    for each in objects:
        if not each.deleting and space.may("delete", each.kind):
            options = {"preconditions": {"uid": each.uid}, "propagationPolicy": "Background"}
            space.api.delete(each.kind, space.name, each.name, options, missing_ok=True)
