"""The rights of claims: declared, checked, named when they are missing, and no others used."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kubechain.claims.claim import Claim
from kubechain.claims.requirements import EVENTS, EXEC, NODE_REQUESTS, Environment, missing, right
from kubechain.claims.rights import CORE, LOST_ANSWERS, PARTS, TOLERATED
from kubechain.cluster import existing
from kubechain.cluster.access import REVIEWS, Access
from kubechain.cluster.target import Target
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, HarnessError, SetupError
from kubechain.kube import rights
from kubechain.kube.errors import ApiRefused
from kubechain.kube.rights import Permit, Right, named, of_request
from kubechain.pytest.rights import FIXTURES
from reports import catalogue
from tests import loopback
from tests.fakes import FakeApi
from tests.loopback import response, serving
from tests.test_tls import kubeconfig

ENTRIES = catalogue.collect()
CLAIMS = [(entry.nodeid, entry.claim) for entry in ENTRIES]
TARGET = Target("c", "k", "ctx", "https://x", "u", owned=True, temporary=False, nginx="n", client="cl")
# Taken from the right -> the claims that then are skipped, on a machine that reaches the Nodes.
SKIPPED = {
    "watch events": {"CHAIN-PODS-120", "CHAIN-IMAGE-040", "CHAIN-IMAGE-050", "WALK-PODS-030"},
    "get pods/proxy": {"CHAIN-API-020"},
    "get services/proxy": {"CHAIN-API-010", "CHAIN-API-030"},
    "create pods/portforward": {"CHAIN-API-040"},
    "get serviceaccounts": {"CHAIN-PODS-160"},
    "get configmaps": {"CHAIN-PODS-160", "CHAIN-REPLICASET-080", "WALK-NODEPORT-020"},
    "create pods/eviction": {"LIFE-HEALING-030", "LIFE-NODES-080"},
    "create poddisruptionbudgets": {"LIFE-HEALING-030", "LIFE-NODES-080"},
    "get poddisruptionbudgets": {"LIFE-HEALING-030"},
    "patch nodes": {"LIFE-NODES-080"},
    "patch namespaces": set[str](),
    "get pods/log": set[str](),
    "get deployments/scale": {"LIFE-SCALE-040", "LIFE-SCALE-060"},
    "create endpointslices": {"CHAIN-SERVICE-130", "CHAIN-SERVICE-180"},
    "create replicasets": {"LIFE-SCALE-070", "LIFE-SCALE-080"},
    "patch deployments/status": {"CHAIN-DEPLOYMENT-110", "CHAIN-DEPLOYMENT-120"},
    "update services/status": {"CHAIN-SERVICE-210"},
}


def reviewing(allowed: Callable[[dict[str, str]], object]) -> tuple[FakeApi, list[dict[str, str]]]:
    """Return an API that answers reviews, and the list of the attributes that it received."""
    reviewed: list[dict[str, str]] = []

    def answer(method: str, path: str, body: Any) -> str:
        assert (method, path) == ("POST", REVIEWS)
        reviewed.append(next(iter(body["spec"].values())))
        return json.dumps({"status": allowed(reviewed[-1])})

    return FakeApi(answer), reviewed


def refusing(*denied: str) -> Access:
    """Return the access of a user who has every right except `denied`, such as "get pods/proxy"."""

    def allowed(asked: dict[str, str]) -> object:
        resource = "/".join(filter(None, [asked.get("resource", ""), asked.get("subresource", "")]))
        return {"allowed": f"{asked['verb']} {resource or asked.get('path')}" not in denied}

    return Access(reviewing(allowed)[0])


def skipped_without(denied: str, claims: Iterable[Claim], probe_from: Any = "host") -> dict[str, list[str]]:
    """Return id -> what is missing, of the claims that a user without a right cannot run."""
    environment = Environment(TARGET, (), probe_from, disruptive=True, access=refusing(denied))
    everything = Environment(TARGET, (), probe_from, disruptive=True)
    reasons = {each.id: missing(each.needs, environment) for each in claims}
    before = {each.id: missing(each.needs, everything) for each in claims}
    return {name: reason for name, reason in reasons.items() if reason != before[name]}


def of_run() -> list[Claim]:
    return [claim for nodeid, claim in CLAIMS if not nodeid.startswith("suites/upgrade")]


@pytest.mark.parametrize("denied", SKIPPED)
def test_without_a_right_exactly_the_claims_that_need_it_are_skipped(denied: str) -> None:
    found = skipped_without(denied, of_run())
    assert set(found) == SKIPPED[denied]
    # One of kube-system alone says so.
    assert {reasons[0].removesuffix(" in kube-system") for reasons in found.values()} <= {f"the right to {denied}"}


def test_right_is_not_named_where_no_right_makes_the_claim_run() -> None:
    lost = next(claim for claim in of_run() if claim.id == "LIFE-NODES-010")
    theirs = Environment(replace(TARGET, owned=False), (), "host", disruptive=False, access=refusing("watch nodes"))
    assert missing(lost.needs, theirs)[:2] == ["permission to disturb Nodes (DISRUPTIVE=1)", "a kind cluster of this project"]
    ours = Environment(TARGET, (), "host", disruptive=False, access=refusing("watch nodes"))
    assert missing(lost.needs, ours)[0] == "the right to watch nodes"


def test_commands_in_pods_are_needed_for_nodes_only_if_this_machine_does_not_reach_them() -> None:
    near, far = (skipped_without("create pods/exec", of_run(), place) for place in ("host", "cluster"))
    assert {name for name in far if name not in near} >= {"CHAIN-NODEPORT-010", "CHAIN-DELETION-050"}
    assert {"CHAIN-DNS-010", "CHAIN-ENV-010", "CHAIN-CLUSTERIP-010"} <= set(near)
    assert "CHAIN-NODEPORT-010" not in near


def test_claims_without_the_list_of_nodes_name_the_right() -> None:
    found = skipped_without("list nodes", of_run())
    assert {"CHAIN-NODEPORT-010", "CHAIN-PODS-040", "CHAIN-PODS-050", "LIFE-SCALE-050", "CHAIN-DELETION-050"} <= set(found)
    assert {reasons[0] for reasons in found.values()} == {"the right to list nodes"}
    assert "CHAIN-PODS-010" not in found


def test_every_claim_of_a_run_needs_the_core_and_the_core_alone_runs_the_first() -> None:
    assert [claim.id for claim in of_run() if not claim.rights >= CORE.rights] == []
    first = next(claim for claim in of_run() if claim.id == "CHAIN-PODS-010")
    assert first.rights == CORE.rights


def test_rights_of_fixtures_are_those_that_pytest_finds() -> None:
    script = (
        "import json, pytest\n"
        "from kubechain.claims import claim\n"
        "class Plugin:\n"
        "    @pytest.hookimpl(trylast=True)\n"
        "    def pytest_collection_modifyitems(self, items):\n"
        "        found = {c.id: sorted(map(str, c.rights)) for c in map(claim.of, items) if c}\n"
        "        print('FOUND ' + json.dumps(found))\n"
        "suites = [f'suites/{name}' for name in ('chain', 'lifecycle', 'walkthrough', 'upgrade')]\n"
        "pytest.main(['--collect-only', '-qq', '-p', 'no:cacheprovider', *suites],"
        " [Plugin()])\n"
    )
    env = {"PATH": "/usr/bin:/bin", "HOME": str(ROOT), "KUBECHAIN_LEVEL": "full", "KUBECHAIN_CHAINS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    line = next(line for line in done.stdout.splitlines() if "FOUND " in line)
    by_pytest = json.loads(line.partition("FOUND ")[2])
    assert by_pytest == {claim.id: sorted(map(str, claim.rights)) for _, claim in CLAIMS}


def test_fixtures_with_rights_exist() -> None:
    from reports.fixture_names import parameters  # noqa: PLC0415  # imports every fixture

    assert set(FIXTURES) <= set(parameters())


@pytest.mark.parametrize(
    ("request_line", "needed"),
    [
        ("GET /api/v1/namespaces", "list namespaces"),
        ("GET /api/v1/namespaces/a", "get namespaces"),
        ("PATCH /api/v1/namespaces/a", "patch namespaces"),
        ("GET /api/v1/namespaces/a/pods", "list pods in a"),
        ("GET /api/v1/nodes?watch=1", "watch nodes"),
        ("POST /api/v1/namespaces/a/pods/p/eviction", "create pods/eviction in a"),
        ("GET /api/v1/namespaces/a/services/web:80/proxy/x", "get services/proxy in a"),
        ("PUT /apis/apps/v1/namespaces/a/deployments/web/scale", "update deployments/scale in a"),
        ("DELETE /apis/policy/v1/namespaces/a/poddisruptionbudgets/web", "delete poddisruptionbudgets in a"),
        ("DELETE /api/v1/namespaces/a/pods", "deletecollection pods in a"),
        ("GET /version", "None"),
        ("GET /apis/apps/v1", "None"),
    ],
)
def test_right_of_a_request(request_line: str, needed: str) -> None:
    method, path = request_line.split()
    path, _, query = path.partition("?")
    assert str(of_request(method, path, {"watch": "1"} if query else {})) == needed


def test_group_of_a_right_is_that_of_its_kind() -> None:
    assert rights.right("get", "pods/exec") == Right("", "pods/exec", "get")
    assert rights.right("patch", "deployments/scale") == Right("apps", "deployments/scale", "patch")
    assert rights.right("get", "/metrics").review == {"nonResourceAttributes": {"path": "/metrics", "verb": "get"}}
    with pytest.raises(KeyError):
        rights.right("get", "unicorns")


def test_right_in_a_namespace_is_within_that_in_all() -> None:
    everywhere, there = rights.right("get", "configmaps"), rights.right("get", "configmaps", "kube-system")
    assert there.within({everywhere})
    assert there.within({there})
    assert not everywhere.within({there})
    assert there.review["resourceAttributes"]["namespace"] == "kube-system"


def test_undeclared_right_is_an_error_that_says_what_to_add_and_sends_nothing(tmp_path: Path) -> None:
    with serving(response(404, "{}")) as server:
        api = existing.connect(loopback.kubeconfig(tmp_path, server.url), "test", tmp_path / "secrets")
        api.permit = Permit("CHAIN-X-010", CORE.rights)
        assert api.get("Namespace", "", "a") is None
        for call in (
            lambda: api.get("ConfigMap", "ns", "a"),
            lambda: api.execute("ns", "a", ["true"]),
            lambda: list(api.watch("Node", "", "0", 1)),
            lambda: api.status("POST", "/api/v1/namespaces/ns/pods/a/eviction"),
        ):
            with pytest.raises(HarnessError, match=r"CHAIN-X-010 uses the right to .* without declaring it; add requires="):
                call()
        api.permit.rights = None
        assert api.get("ConfigMap", "ns", "a") is None
        api.close()
    assert len(server.requests) == 2
    assert "User-Agent: kubechain/CHAIN-X-010" in server.requests[0]


def test_core_is_required_and_everything_missing_is_in_one_message() -> None:
    refusing().require(CORE.rights)
    with pytest.raises(SetupError) as caught:
        refusing("create deployments", "watch pods", "get pods/proxy").require(CORE.rights)
    assert str(caught.value) == (
        "the user of context fake lacks the rights to watch pods (core); create deployments (apps); `kubechain rights run` "
        "prints a role with them, for kubectl apply; with rights in one namespace alone: --namespace NAME"
    )
    assert caught.value.code == ExitCode.RIGHTS


def test_each_right_is_asked_for_once() -> None:
    api, reviewed = reviewing(lambda _: {"allowed": True})
    access = Access(api)
    access.require(CORE.rights)
    access.require([*CORE.rights, *EXEC.rights])
    assert len(reviewed) == len(CORE.rights) + len(EXEC.rights)
    assert {"group": "", "resource": "pods", "subresource": "exec", "verb": "create"} in reviewed


@pytest.mark.parametrize("status", [{}, {"allowed": False}, {"denied": True}, None])
def test_right_is_missing_unless_allowed_is_true(status: object) -> None:
    assert Access(reviewing(lambda _: status)[0]).lacking(EVENTS.rights) == sorted(EVENTS.rights)


def test_user_who_cannot_check_rights_is_reported() -> None:
    def answer(*_: object) -> str:
        raise ApiRefused(403, "Forbidden", "no")

    with pytest.raises(SetupError, match="the user of context fake lacks the right to check its rights: no") as caught:
        Access(FakeApi(answer)).lacking(CORE.rights)
    assert caught.value.code == ExitCode.RIGHTS


def test_impersonated_user_is_checked_and_named(tmp_path: Path) -> None:
    with serving(response(201, '{"status": {"allowed": false}}')) as server:
        api = existing.connect(kubeconfig(tmp_path, server.url, {"token": "t", "as": "jane"}), "test", tmp_path / "secrets")
        with pytest.raises(SetupError) as caught:
            Access(api).require(EXEC.rights)
        api.close()
    text = "the user jane, whom context test impersonates, lacks the rights to create pods/exec, get pods/exec (core)"
    assert str(caught.value).startswith(text)
    assert all("Impersonate-User: jane" in request for request in server.requests)


def test_rights_in_messages() -> None:
    assert named([rights.right("get", "pods/proxy")]) == "the right to get pods/proxy"
    assert right("get", "pods/proxy").id == "get pods/proxy"
    assert NODE_REQUESTS.remote == EXEC.rights


def test_what_a_run_does_without_is_tolerated_from_every_claim() -> None:
    assert all(part.requirement.rights <= TOLERATED for part in PARTS)
    assert {each.verb for each in LOST_ANSWERS} == {"get"}
