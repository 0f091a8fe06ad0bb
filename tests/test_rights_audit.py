"""The check of roles against an audit log: what is used, what is refused, and what is left over."""

import json
from typing import Any

import yaml

from kubechain.claims.claim import Link
from kubechain.claims.requirements import right as requires
from kubechain.kube.rights import Right, right
from reports import catalogue
from reports.rights import manifest, roles
from tests.fakes import claim_of
from tests.rights.account import renamed, without
from tests.rights.audit_log import idle, uses

USER = "system:serviceaccount:ns:ns"


def event(
    verb: str, resource: str, code: int = 200, *, user: str = USER, agent: str = "kubechain/CHAIN-X-010", **more: Any
) -> str:
    name, _, sub = resource.partition("/")
    reference = {"resource": name, "namespace": "a", **({"subresource": sub} if sub else {})}
    status = {"code": code, "message": "no"}
    return json.dumps(
        {"stage": "ResponseComplete", "verb": verb, "user": {"username": user}, "userAgent": agent, "requestURI": f"/{resource}",
         "objectRef": reference, "responseStatus": status, **more}
    )  # fmt: skip


def test_used_and_refused_requests_of_one_user_are_told_apart() -> None:
    lines = [
        event("list", "pods"),
        event("create", "pods", 403),
        event("get", "pods", user="system:serviceaccount:ns:ns2"),
        event("create", "selfsubjectaccessreviews", 201),
        event("watch", "services", stage="RequestReceived"),
        event("get", "", objectRef=None, requestURI="/version"),
        event("get", "", objectRef={}, requestURI="/metrics?x=1"),
    ]
    lines[5] = lines[5].replace('"objectRef": null, ', "")
    found = uses(lines, USER)
    assert found.refused == ["create /pods: no"]
    assert set(found.rights) == {right("list", "pods"), right("list", "pods", "a"), right("get", "/metrics")}
    assert found.requests == 4


def test_upgrade_to_a_websocket_uses_both_verbs() -> None:
    assert set(uses([event("get", "pods/exec", 101)], USER).rights) == {
        Right("", "pods/exec", verb, namespace) for verb in ("get", "create") for namespace in ("", "a")
    }
    assert right("create", "pods/exec") not in uses([event("get", "pods/exec", 400)], USER).rights


def test_right_that_a_claim_declares_in_vain_is_named() -> None:
    stated = claim_of(Link.PODS, id="CHAIN-X-010", requirements=(requires("get", "pods/proxy"), requires("patch", "pods")))
    assert idle(stated, uses([event("patch", "pods")], USER)) == [right("get", "pods/proxy")]
    assert idle(stated, uses([event("patch", "pods", agent="kubectl/v1")], USER)) == []


def test_role_of_a_proof_has_its_own_names_and_the_same_rules() -> None:
    text = manifest(roles([(entry.nodeid, entry.claim) for entry in catalogue.collect()])["upgrade"])
    before = [each for each in yaml.safe_load_all(text) if each]
    after = renamed(text, "proof")
    assert {each["metadata"]["name"] for each in after} == {"proof"}
    assert {each["metadata"].get("namespace", "proof") for each in after} == {"proof", "kube-system"}
    assert [each.get("rules") for each in after] == [each.get("rules") for each in before]
    without(after, [("", "pods/exec", "create")])
    verbs = [rule["verbs"] for each in after for rule in each.get("rules", ()) if "pods/exec" in rule.get("resources", ())]
    assert verbs == [["get"]]
