"""The rights that runs need: as RBAC manifests, and as docs/RIGHTS.md."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from kubechain.claims.claim import Claim
from kubechain.claims.requirements import DISRUPTION, OWN_CLUSTER, OWN_NAMESPACE, Requirement, remote_rights_of, rights_of
from kubechain.claims.rights import CLEAN, CONFIGURATION, CORE, INSIDE, LIVING, PARTS, PULL_SECRET, YIELDING, Part
from kubechain.kube.rights import EVERYWHERE, Right

from .rights_text import INTRODUCTION, ROLE_HEAD

NAME = "kubechain"
SUITES = ("suites/chain", "suites/lifecycle", "suites/walkthrough")
UPGRADE = "suites/upgrade"
Json = dict[str, Any]


@dataclass(frozen=True)
class Role:
    """A role for runs of one kind; `what` says which; `inside` is the only namespace in which it grants rights, "" for all."""

    name: str
    what: str
    claims: tuple[Claim, ...]
    parts: tuple[Part, ...]
    others: tuple[Requirement, ...] = ()
    inside: str = ""

    @property
    def rights(self) -> frozenset[Right]:
        """All rights of the role; one in a single namespace is left out if the role has it in all."""
        requirements = [*self.others, *(part.requirement for part in self.parts)]
        requirements += [requirement for claim in self.claims for requirement in claim.needs]
        granted = rights_of(requirements, inside=bool(self.inside)) | remote_rights_of(requirements)
        if self.inside:
            return frozenset(placed for right in granted if (placed := right.inside(self.inside)).namespace == self.inside)
        granted = {replace(right, namespace=right.namespace.replace(EVERYWHERE, "")) for right in granted}
        return frozenset(right for right in granted if not right.within(granted - {right}))


def roles(claims: Sequence[tuple[str, Claim]], namespace: str = NAME) -> dict[str, Role]:
    """Return the roles by name; `claims` are (node id, claim), `namespace` is that of the role for one."""
    everywhere = [(nodeid, claim) for nodeid, claim in claims if OWN_CLUSTER not in claim.requirements]
    of_run = [claim for nodeid, claim in everywhere if nodeid.startswith(SUITES)]
    calm = [claim for claim in of_run if DISRUPTION not in claim.requirements]
    quick = [claim for claim in calm if claim.level == "quick"]
    upgrade = [claim for nodeid, claim in everywhere if nodeid.startswith(UPGRADE)]
    parts = tuple(part for part in PARTS if part is not CONFIGURATION)
    within = [claim for claim in calm if OWN_NAMESPACE not in claim.needs and not _outside(claim, namespace)]
    found = (
        Role("run", "`kubechain run` at any level, without --disruptive", tuple(calm), parts),
        Role("namespace", "`kubechain run --namespace NAME`", tuple(within), (*parts, *INSIDE), (CORE,), namespace),
        Role("disruptive", "`kubechain run --disruptive`", tuple(of_run), parts),
        Role(
            "upgrade",
            "`kubechain upgrade before`, `during` and `after`, and `kubechain during`",
            (*upgrade, *quick),
            (*PARTS, YIELDING),
        ),
        Role("clean", "`kubechain clean --context`", (), (LIVING,), (CLEAN,)),
    )
    return {role.name: role for role in found}


def _outside(claim: Claim, namespace: str) -> bool:
    """Whether a claim needs a right that no Role in a namespace can grant."""
    return any(right.inside(namespace).namespace != namespace for right in rights_of(claim.needs, inside=True))


def rules(rights: Iterable[Right]) -> list[Json]:
    """Return rights as rules of a Role: one rule for the resources of a group with the same verbs."""
    verbs: defaultdict[tuple[bool, str, str], list[str]] = defaultdict(list)
    for right in sorted(rights):
        verbs[right.is_path, right.group, right.resource].append(right.verb)
    alike: defaultdict[tuple[bool, str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (is_path, group, resource), each in verbs.items():
        alike[is_path, group, tuple(each)].append(resource)
    return [
        {"nonResourceURLs": resources, "verbs": list(each)}
        if is_path
        else {"apiGroups": [group], "resources": resources, "verbs": list(each)}
        for (is_path, group, each), resources in alike.items()
    ]


def manifest(role: Role) -> str:
    """Return the YAML of a role: a ServiceAccount in a namespace of its own or that of the role, its rights, and the binding."""
    home = role.inside or NAME
    rbac, account = "rbac.authorization.k8s.io", {"kind": "ServiceAccount", "name": NAME, "namespace": home}
    objects: list[Json] = [] if role.inside else [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}}]
    objects.append({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, "namespace": home}})
    for namespace in sorted({right.namespace for right in role.rights}):
        kind = "Role" if namespace else "ClusterRole"
        metadata = {"name": f"{NAME}-{role.name}", **({"namespace": namespace} if namespace else {})}
        granted = rules(right for right in role.rights if right.namespace == namespace)
        reference = {"apiGroup": rbac, "kind": kind, "name": metadata["name"]}
        objects += [
            {"apiVersion": f"{rbac}/v1", "kind": kind, "metadata": metadata, "rules": granted},
            {"apiVersion": f"{rbac}/v1", "kind": f"{kind}Binding", "metadata": metadata, "roleRef": reference,
             "subjects": [account]},
        ]  # fmt: skip
    text = "---\n".join(yaml.dump(each, sort_keys=False, default_flow_style=None, width=120, Dumper=_Plain) for each in objects)
    return ROLE_HEAD.format(what=role.what.replace("`", "")) + text


class _Plain(yaml.SafeDumper):
    """Writes a repeated object again, in place of an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def markdown(claims: Sequence[tuple[str, Claim]]) -> str:
    """Return docs/RIGHTS.md."""
    users: defaultdict[Right, list[str]] = defaultdict(list)
    for requirement, name in ((CORE, "every claim"), (PULL_SECRET, "`--pull-secret`"), (CLEAN, "`kubechain clean --context`")):
        for right in requirement.rights:
            users[right].append(name)
    for part in PARTS:
        for right in part.requirement.rights:
            users[right].append(part.name)
    for _, claim in claims:
        for right in claim.rights - CORE.rights:
            users[right].append(claim.id)
        for right in claim.remote_rights - claim.rights:
            users[right].append(f"{claim.id} (1)")
    table = ["| right | group | scope | needed by |", "|---|---|---|---|"]
    table += [_row(right, names) for right, names in sorted(users.items(), key=lambda each: place(each[0]))]
    without = ["| without the rights | what happens |", "|---|---|"]
    for part in (*PARTS, *INSIDE, YIELDING):
        listed = ", ".join(map(str, sorted(part.requirement.rights)))
        without.append(f"| {listed} | {part.name}: {part.instead} |")
    inside = [f"| {', '.join(verbs)} | {resource} |" for resource, verbs in _verbs(CORE.inside or frozenset())]
    return INTRODUCTION.format(table="\n".join(table), parts="\n".join(without), inside="\n".join(inside)) + "\n"


def _verbs(rights: Iterable[Right]) -> list[tuple[str, list[str]]]:
    verbs: defaultdict[str, list[str]] = defaultdict(list)
    for right in sorted(rights):
        verbs[right.resource].append(right.verb)
    return sorted(verbs.items())


def place(right: Right) -> tuple[bool, str, str, str, str]:
    """Return by what the rows of the document are sorted: no two rights have the same place."""
    return (right not in CORE.rights, right.resource, right.verb, right.group, right.namespace)


def _row(right: Right, names: list[str]) -> str:
    if right.namespace == EVERYWHERE:
        right = replace(right, namespace="")
    scope = f"namespace {right.namespace}" if right.namespace else "all namespaces" if right.namespaced else "cluster"
    return f"| {right.verb} {right.resource} | {right.group or 'core'} | {scope} | {', '.join(names)} |"
