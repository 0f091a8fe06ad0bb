"""The generated roles grant exactly what claims declare; the table says who needs what."""

from dataclasses import replace

import pytest
import yaml

from kubechain.claims.rights import CLEAN, CORE, LIVING
from kubechain.core.bundle import ROOT
from kubechain.kube import rights
from kubechain.kube.objects import Json
from kubechain.kube.rights import Right
from reports import catalogue
from reports.rights import manifest, markdown, place, roles, rules

CLAIMS = [(entry.nodeid, entry.claim) for entry in catalogue.collect()]


def granted(text: str) -> set[Right]:
    """Return the rights that a manifest grants."""
    found: set[Right] = set()
    objects: list[Json] = [each for each in yaml.safe_load_all(text) if each]
    for each in objects:
        rules: list[dict[str, list[str]]] = each.get("rules", [])
        namespace: str = each["metadata"].get("namespace", "")
        for rule in rules:
            groups, resources = rule.get("apiGroups", [""]), rule.get("resources") or rule["nonResourceURLs"]
            found |= {Right(g, r, verb, namespace) for g in groups for r in resources for verb in rule["verbs"]}
    return found


@pytest.mark.parametrize("name", ["run", "disruptive", "upgrade", "clean"])
def test_manifest_grants_exactly_the_rights_of_its_role(name: str) -> None:
    role = roles(CLAIMS)[name]
    text = manifest(role)
    assert granted(text) == role.rights
    assert "*" not in text
    assert "&id" not in text
    kinds = [each["kind"] for each in yaml.safe_load_all(text) if each]
    assert kinds[:4] == ["Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding"]
    assert (ROOT / "docs" / "rbac" / f"{name}.yaml").read_text(encoding="utf-8") == text


def test_role_of_one_namespace_grants_nothing_outside_of_it() -> None:
    role = roles(CLAIMS, "team-a")["namespace"]
    text = manifest(role)
    assert granted(text) == role.rights
    assert {each.namespace for each in role.rights} == {"team-a"}
    objects = [each for each in yaml.safe_load_all(text) if each]
    assert [each["kind"] for each in objects] == ["ServiceAccount", "Role", "RoleBinding"]
    assert {each["metadata"]["namespace"] for each in objects} == {"team-a"}
    assert objects[2]["subjects"] == [{"kind": "ServiceAccount", "name": "kubechain", "namespace": "team-a"}]
    resources = {each.resource for each in role.rights}
    assert not resources & {"nodes", "secrets", "leases", "mutatingwebhookconfigurations"}
    assert set(CORE.inside or ()) <= {replace(each, namespace="") for each in role.rights}
    assert rights.right("get", "pods/proxy", "team-a") in role.rights
    assert (ROOT / "docs" / "rbac" / "namespace.yaml").read_text() == manifest(roles(CLAIMS)["namespace"])


def test_roles_hold_no_more_than_their_runs_use() -> None:
    by_name = roles(CLAIMS)
    assert rights.right("patch", "nodes") not in by_name["run"].rights
    assert by_name["disruptive"].rights - by_name["run"].rights == {rights.right("patch", "nodes")}
    assert by_name["clean"].rights == CLEAN.rights | LIVING.requirement.rights
    leases = {each for each in by_name["upgrade"].rights if each.resource == "leases"}
    assert {each.namespace for each in leases} == {"kube-system"}
    assert not any(each.resource == "secrets" for role in by_name.values() for each in role.rights)


def test_rules_join_resources_with_the_same_verbs() -> None:
    given = [rights.right(verb, resource) for resource in ("pods", "services") for verb in ("get", "list")]
    assert rules(given) == [{"apiGroups": [""], "resources": ["pods", "services"], "verbs": ["get", "list"]}]
    assert rules([rights.right("get", "/metrics")]) == [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]


def test_no_two_rights_have_the_same_place_in_the_table() -> None:
    every = {right for role in roles(CLAIMS).values() for right in role.rights}
    assert len({place(right) for right in every}) == len(every)


def test_table_says_who_needs_a_right() -> None:
    rows = dict(line.strip("| ").split(" | ", 1) for line in markdown(CLAIMS).splitlines() if line.startswith("| "))
    assert rows["get pods/proxy"] == "core | all namespaces | CHAIN-API-020"
    assert rows["watch pods"].startswith("core | all namespaces | every claim")
    assert rows["create secrets"].endswith("`--pull-secret`")
    assert rows["list leases"].startswith("coordination.k8s.io | namespace kube-system | DURING-")
