"""Rights to requests of the Kubernetes API, as RBAC grants them (https://kubernetes.io/docs/reference/access-authn-authz/rbac/)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache

from kubechain.core.errors import HarnessError
from kubechain.kube.paths import CLUSTER_SCOPED, PLURALS

CLUSTER = frozenset(PLURALS[kind][1] for kind in CLUSTER_SCOPED)
# The API server takes the name of a field manager from the User-Agent, up to the first slash.
MANAGER = "kubechain"
# In place of a namespace: all of them, also for a run that works in one.
EVERYWHERE = "*"
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, order=True)
class Right:
    """The right to one verb on one resource, such as "pods/exec", or on a path, such as "/metrics".

    `namespace` is the only one that the right is for, "" for all of a run: for all, or for the one of --namespace. EVERYWHERE
    stands for all in any case.
    """

    group: str
    resource: str
    verb: str
    namespace: str = ""

    def __str__(self) -> str:
        """Return the right as in "needs the right to get pods/exec"."""
        where = f" in {self.namespace.replace(EVERYWHERE, 'all namespaces')}" if self.namespace else ""
        return f"{self.verb} {self.resource}{where}"

    @property
    def is_path(self) -> bool:
        """Whether the right is to a path of the API server that is no resource, such as /metrics."""
        return self.resource.startswith("/")

    @property
    def namespaced(self) -> bool:
        """Whether the objects of the resource belong to namespaces."""
        return not self.is_path and self.resource.partition("/")[0] not in CLUSTER

    @property
    def review(self) -> dict[str, dict[str, str]]:
        """The spec of an access review for the right."""
        if self.is_path:
            return {"nonResourceAttributes": {"path": self.resource, "verb": self.verb}}
        name, _, sub = self.resource.partition("/")
        where = {"namespace": self.namespace} if self.namespace not in ("", EVERYWHERE) else {}
        return {"resourceAttributes": {**where, "group": self.group, "resource": name, "subresource": sub, "verb": self.verb}}

    def inside(self, namespace: str) -> Right:
        """Return the right as a run in one namespace needs it: there, where its objects belong to namespaces."""
        # The API server takes a request for the namespace itself as one in it.
        if self.namespace or self.is_path or not (self.namespaced or (self.verb, self.resource) == ("get", "namespaces")):
            return self
        return replace(self, namespace=namespace)

    def within(self, rights: Collection[Right]) -> bool:
        """Whether the right is one of `rights`, or is so in all namespaces."""
        return self in rights or Right(self.group, self.resource, self.verb) in rights


def right_of_kind(verb: str, kind: str) -> Right:
    """Return the right to a verb on the objects of a kind, where other groups have a resource of the same name."""
    prefix, plural = PLURALS[kind]
    return Right(prefix.split("/")[2], plural, verb)


@cache
def right(verb: str, resource: str, namespace: str = "") -> Right:
    """Return the right to a verb on a resource, whose API group comes from `paths.PLURALS`, or on a path.

    Raises:
        KeyError: the project does not use the resource.

    """
    if resource.startswith("/"):
        return Right("", resource, verb)
    prefixes = {plural: prefix for prefix, plural in PLURALS.values()}
    # "/api/v1", or "/apis/GROUP/VERSION".
    *_, group, _ = prefixes[resource.partition("/")[0]].split("/")
    return Right("" if group == "api" else group, resource, verb, namespace)


def named(rights: Iterable[Right]) -> str:
    """Return rights for a message: "the right to get pods", or "the rights to get pods, list nodes"."""
    listed = sorted(map(str, rights))
    return f"the right{'s' if len(listed) > 1 else ''} to {', '.join(listed)}"


def with_groups(rights: Iterable[Right]) -> str:
    """Return rights for a person who grants them, by API group: "create pods, get pods (core); create deployments (apps)"."""
    groups: dict[str, list[str]] = {}
    for each in sorted(rights):
        groups.setdefault(each.group or "core", []).append(str(each))
    return "; ".join(f"{', '.join(listed)} ({group})" for group, listed in groups.items())


def of_request(method: str, path: str, query: Mapping[str, str] | None = None) -> Right | None:
    """Return the right that a request needs, None if its path is not that of a resource, such as /version.

    https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb
    """
    parts = path.partition("?")[0].strip("/").split("/")
    if parts[:2] == ["api", "v1"]:
        group, rest = "", parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, rest = parts[1], parts[3:]
    else:
        return None
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    if not rest:
        return None
    resource, name, sub = [*rest, "", ""][:3]
    read = "get" if name else "watch" if (query or {}).get("watch") else "list"
    verb = "deletecollection" if method == "DELETE" and not name else VERBS.get(method, read)
    return Right(group, f"{resource}/{sub}" if sub else resource, verb, namespace)


@dataclass
class Permit:
    """The rights that `holder`, such as a claim, has declared; `rights` is None where nobody has to declare any."""

    holder: str = ""
    rights: frozenset[Right] | None = None

    @property
    def agent(self) -> str:
        """The User-Agent of requests, by which an audit log tells what they are for."""
        return f"{MANAGER}/{self.holder}" if self.holder else MANAGER

    def check(self, method: str, path: str, query: Mapping[str, str] | None = None) -> None:
        """Raise a HarnessError if a request needs a right that was not declared."""
        needed = of_request(method, path, query)
        if self.rights is not None and needed is not None and not needed.within(self.rights):
            undeclared = Right(needed.group, needed.resource, needed.verb)
            what = f'add requires=[right("{needed.verb}", "{needed.resource}")], or @needs(...) to its fixture'
            raise HarnessError(f"{self.holder} uses {named([undeclared])} without declaring it; {what}")
