"""The paths of the API: what they name, how lists and tables look."""

from __future__ import annotations

from dataclasses import dataclass

from kubechain.kube.objects import Json, KubeObject
from kubechain.kube.paths import CLUSTER_SCOPED, PLURALS

KINDS = {(prefix, plural): kind for kind, (prefix, plural) in PLURALS.items()}
REVIEW = "SelfSubjectAccessReview"
TABLE = "as=Table"


@dataclass(frozen=True)
class Place:
    """What a path names; "" for what it does not. `kind` is "" for a path that is no resource's."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    sub: str = ""

    @property
    def plural(self) -> str:
        """The resource in paths, such as "pods"."""
        return PLURALS[self.kind][1]

    @property
    def version(self) -> str:
        """The apiVersion, such as "apps/v1"."""
        return PLURALS[self.kind][0].removeprefix("/apis/").removeprefix("/api/")


def place_of(path: str) -> Place:
    """Return what a path names."""
    words = path.strip("/").split("/")
    if words[-1] == "selfsubjectaccessreviews":
        return Place(REVIEW)
    size = 2 if words[0] == "api" else 3
    prefix, rest, namespace = "/" + "/".join(words[:size]), words[size:], ""
    if len(rest) > 2 and rest[0] == "namespaces" and (prefix, rest[2]) in KINDS:
        namespace, rest = rest[1], rest[2:]
    if not rest or (prefix, rest[0]) not in KINDS:
        return Place()
    return Place(KINDS[prefix, rest[0]], namespace, rest[1] if len(rest) > 1 else "", "/".join(rest[2:]))


def is_namespaced(kind: str) -> bool:
    """Whether the objects of a kind belong to a namespace."""
    return kind not in CLUSTER_SCOPED


def selector_of(text: str) -> list[tuple[str, str]]:
    """Return a label selector as (key, value), with "" for any value."""
    return [(key, value) for key, _, value in (word.partition("=") for word in text.split(",") if word)]


def matches(body: Json, selector: list[tuple[str, str]]) -> bool:
    """Whether the labels of an object meet a selector."""
    labels = Json(body["metadata"].get("labels") or {})
    return all(key in labels and value in ("", labels[key]) for key, value in selector)


def meant(body: Json, fields: str) -> bool:
    """Whether the fields of an object meet a field selector, such as "metadata.name=a,involvedObject.uid=b"."""
    resource = KubeObject(body)
    return all(resource.at(path) == value for path, _, value in (word.partition("=") for word in fields.split(",") if word))


def listed(place: Place, items: list[Json], version: int, following: str = "") -> Json:
    """Return a list; its items have no kind, as those of an API server."""
    metadata = {"resourceVersion": str(version), **({"continue": following} if following else {})}
    bare = [{key: value for key, value in item.items() if key not in ("kind", "apiVersion")} for item in items]
    return {"kind": f"{place.kind}List", "apiVersion": place.version, "metadata": metadata, "items": bare}
