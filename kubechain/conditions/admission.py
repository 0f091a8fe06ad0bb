"""What is stored of what was sent: the fields that admission changed. Pure functions.

Webhooks and policies may change every object before it is stored
(https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/). What they add is no change of what was sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from kubechain.conditions.qos import amount
from kubechain.conditions.text import field, text
from kubechain.kube.objects import Json, KubeObject
from kubechain.kube.rights import MANAGER

# What tells the entries of a list apart, in the order in which it is looked for.
KEYS = ("name", "key", "topologyKey", "containerPort", "port")
# Fields of an object that its sender does not state, or that the API server fills in.
UNSENT = ("apiVersion", "kind", "status")
# The plugin LimitRanger says in this annotation of a Pod which resources it has set.
LIMIT_RANGER = "kubernetes.io/limit-ranger"
# What made an object is not what changed it at admission: this project, or kubectl where the claim types its command.
MAKERS = (MANAGER, "kubectl-create", "kubectl-expose", "kubectl-run")
Path = tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """A field of an object that has another value than was sent, or than its default.

    `what` names the object, `wanted` is the value that was sent, or else the default; `there` is None if the field is missing.
    """

    what: str
    path: Path
    wanted: object
    there: object

    @property
    def name(self) -> str:
        """The field, such as "spec.containers[nginx].image"."""
        return "".join(part if part.startswith("[") else f".{part}" for part in self.path).lstrip(".")

    def __str__(self) -> str:
        """Return the change for a message: "Service web spec.sessionAffinity ClientIP instead of None"."""
        instead = f" instead of {text(self.wanted)}" if self.wanted is not None else ""
        return f"{self.what} {field(self.name, self.there)}{instead}"


def changes(sent: Json, stored: KubeObject) -> list[Change]:
    """Return the fields that were sent and that are stored with another value, or not at all."""
    what = f"{sent.get('kind', stored.kind)} {stored.name}"
    body = {key: value for key, value in sent.items() if key not in UNSENT}
    found = [Change(what, path, wanted, there) for path, wanted, there in _differences((), body, stored.body)]
    # The API server leaves out many fields that are empty, zero or false.
    return [change for change in found if change.wanted or change.there is not None]


def _differences(path: Path, sent: object, there: object) -> Iterator[tuple[Path, object, object]]:
    if sent is None or sent == there or _same_quantity(path, sent, there):
        return
    if isinstance(sent, Mapping):
        fields = cast("Json", sent)
        others = cast("Json", there) if isinstance(there, Mapping) else {}
        for key, value in fields.items():
            yield from _differences((*path, key), value, others.get(key))
    elif isinstance(sent, list) and _has_maps(cast("list[Any]", sent)):
        others = cast("list[Any]", there) if isinstance(there, list) else []
        for place, entry in enumerate(cast("list[Json]", sent)):
            name, other = _counterpart(entry, place, others)
            yield from _differences((*path, f"[{name}]"), entry, other)
    else:
        yield path, sent, there


def _same_quantity(path: Path, sent: object, there: object) -> bool:
    """Whether both are the same amount of a resource: the API server stores "0.5" as "500m"."""
    if path[-2:-1] not in [("requests",), ("limits",)] or there is None:
        return False
    return amount(sent) == amount(there)


def _has_maps(entries: list[Any]) -> bool:
    return bool(entries) and all(isinstance(entry, Mapping) for entry in entries)


def _counterpart(entry: Json, place: int, others: list[Any]) -> tuple[str, object]:
    """Return the name of an entry of a list, and the entry that is stored for it: the one of its key, else at its place."""
    if entry in others:
        return str(place), entry
    for key in KEYS:
        if key in entry:
            same = [other for other in cast("list[Json]", others) if key in other and other[key] == entry[key]]
            # An only entry is the one that was sent, under another key.
            return str(entry[key]), same[0] if same else others[0] if len(others) == 1 else None
    return str(place), others[place] if place < len(others) else None


def stated(sent: Json) -> dict[Path, object]:
    """Return each field of a manifest that has a value: its path -> the value; entries of lists are named as in `changes`."""
    return {path: wanted for path, wanted, _ in _differences((), {k: v for k, v in sent.items() if k not in UNSENT}, None)}


def beyond(sent: Json, usual: Json) -> set[Path]:
    """Return the fields that a manifest states and that the `usual` manifest does not state, or with another value."""
    known = stated(usual)
    return {path for path, value in stated(sent).items() if known.get(path) != value}


def told_by(resource: KubeObject, path: Path) -> str:
    """Return who changed a field, as far as the object says so: the field manager that has set it, or a LimitRange; else ""."""
    if "resources" in path and LIMIT_RANGER in resource.annotations:
        return "a LimitRange"
    entries: list[Json] = resource.at("metadata.managedFields", [])
    owners = [str(entry.get("manager", "")) for entry in entries if _sets(entry.get("fieldsV1"), path)]
    others = [owner for owner in owners if owner and owner.partition("/")[0] not in MAKERS]
    return f"the field manager {others[-1]}" if others else ""


def _sets(fields: object, path: Path) -> bool:
    """Whether a set of fields (fieldsV1 of managedFields) has a field; entries of lists are matched by their value."""
    for part in path:
        if not isinstance(fields, Mapping):
            return False
        known = cast("Json", fields)
        if part.startswith("["):
            value = part[1:-1]
            found = [each for key, each in known.items() if key.startswith("k:") and f'"{value}"' in key]
            fields = found[0] if found else None
        else:
            fields = known.get(f"f:{part}")
    return fields is not None


def described(found: Iterable[Change], by: str) -> str:
    """Return changes as the reason why a claim does not apply."""
    said = "; ".join(map(str, found))
    return f"changed at admission: {said}{f' by {by}' if by else ''}"
