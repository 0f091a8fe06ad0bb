"""Kubernetes objects as JSON, with shortcuts to the fields that conditions read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
# The names of the containers that Pods of this project ask for. Admission may add others, before or after them.
OWN_CONTAINERS = ("nginx", "client")


@dataclass(frozen=True, slots=True)
class KubeObject:
    """An object at one resourceVersion; `body` is the decoded JSON and is never modified."""

    body: Json

    @property
    def kind(self) -> str:
        """The kind, such as "Pod"."""
        return self.body.get("kind", "")

    @property
    def name(self) -> str:
        """metadata.name."""
        return self.body["metadata"]["name"]

    @property
    def uid(self) -> str:
        """metadata.uid."""
        return self.body["metadata"].get("uid", "")

    @property
    def version(self) -> str:
        """metadata.resourceVersion."""
        return self.body["metadata"].get("resourceVersion", "")

    @property
    def labels(self) -> dict[str, str]:
        """metadata.labels."""
        return self.body["metadata"].get("labels") or {}

    @property
    def annotations(self) -> dict[str, str]:
        """metadata.annotations."""
        return self.body["metadata"].get("annotations") or {}

    @property
    def deleting(self) -> bool:
        """Whether metadata.deletionTimestamp is set."""
        return self.at("metadata.deletionTimestamp") is not None

    @property
    def over(self) -> bool:
        """Whether a Pod is in the phase Succeeded or Failed: its containers do not run again."""
        return self.at("status.phase") in ("Succeeded", "Failed")

    @property
    def settled(self) -> bool:
        """Whether a Node or Pod is ready, or a Pod is over: its controller replaces it, and it never becomes ready."""
        return self.is_true("Ready") or self.over

    @property
    def controller(self) -> Json | None:
        """The owner reference with controller=true, None if there is none."""
        owners: list[Json] = self.body["metadata"].get("ownerReferences") or []
        return next((owner for owner in owners if owner.get("controller")), None)

    def at(self, path: str, default: Any = None) -> Any:
        """Return the value at a dotted path such as "spec.template.metadata.labels", `default` if a field is missing or null.

        To the API both are the same: a list or a map without content may be sent as null.
        """
        value: Any = self.body
        for key in path.split("."):
            if not isinstance(value, Mapping) or value.get(key) is None:  # pyright: ignore[reportUnknownMemberType]  # JSON
                return default
            value = value[key]  # pyright: ignore[reportUnknownVariableType]
        return value  # pyright: ignore[reportUnknownVariableType]

    def own(self, path: str) -> list[Json]:
        """Return the entries at a path of a Pod, such as "status.containerStatuses", that are about the containers asked for.

        Sidecars that something else added are left out. A Pod without a container of this project has all of its entries.
        """
        entries: list[Json] = self.at(path, [])
        mine = {entry["name"] for entry in self.at("spec.containers", []) if entry.get("name") in OWN_CONTAINERS}
        return [entry for entry in entries if not mine or entry.get("name") in mine]

    @property
    def container(self) -> str:
        """The name of the container of a Pod that was asked for, the first if it has several; "" if there is none."""
        return next((str(entry["name"]) for entry in self.own("spec.containers")), "")

    def condition(self, kind: str) -> Json:
        """Return the entry of status.conditions with the type `kind`, {} if there is none."""
        conditions: list[Json] = self.at("status.conditions", [])
        return next((c for c in conditions if c["type"] == kind), Json())

    def is_true(self, kind: str) -> bool:
        """Whether the condition of the type `kind` has status "True"."""
        return self.condition(kind).get("status") == "True"

    def differs_in_version_alone(self, other: KubeObject) -> bool:
        """Whether another version of this object has the same content, but for its resourceVersion."""
        metadata: Json = self.body["metadata"]
        same: Json = {**other.body["metadata"], "resourceVersion": metadata.get("resourceVersion")}
        return metadata == same and {**self.body, "metadata": None} == {**other.body, "metadata": None}

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the object has all these labels with these values."""
        return labels.items() <= self.labels.items()


@dataclass(frozen=True, slots=True)
class NamespaceState:
    """The watched objects of a namespace at one moment."""

    objects: tuple[KubeObject, ...] = ()

    def all(self, kind: str, labels: Mapping[str, str] | None = None) -> tuple[KubeObject, ...]:
        """Return the objects of a kind that have all these labels, sorted by name."""
        matching = (o for o in self.objects if o.kind == kind and o.matches(labels or {}))
        return tuple(sorted(matching, key=lambda o: o.name))

    def one(self, kind: str, name: str) -> KubeObject | None:
        """Return the object of a kind and name, None if it does not exist."""
        return next((o for o in self.objects if o.kind == kind and o.name == name), None)

    def owned_by(self, owner: KubeObject, kind: str) -> tuple[KubeObject, ...]:
        """Return the objects of a kind whose controller has the UID of `owner`."""
        return tuple(o for o in self.all(kind) if (o.controller or {}).get("uid") == owner.uid)


def names(resources: Iterable[KubeObject]) -> str:
    """Return the names of the objects for a message: "a, b", or "none"."""
    return ", ".join(r.name for r in resources) or "none"
