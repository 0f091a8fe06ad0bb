"""Runs that may not begin in a namespace, and what dead runs left there, on an API server on loopback."""

import ast
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fixtures.scenarios.bare_pod import BARE
from kubechain.claims.rights import CORE, SWEEP
from kubechain.cleanup.marked_objects import KINDS, RARE, RUN, Space
from kubechain.cluster.access import Access
from kubechain.core.bundle import ROOT
from kubechain.core.default_folders import PROJECT
from kubechain.core.errors import ExitCode, SetupError
from kubechain.kube import shape
from kubechain.kube.client import Api
from kubechain.kube.objects import Json
from kubechain.kube.paths import PLURALS
from kubechain.kube.rights import EVERYWHERE, Right, right
from kubechain.provision.cluster import require_alone
from kubechain.provision.occupied import require_free
from kubechain.scenarios.many_pods import MANY
from kubechain.workload import manifests, service_manifests
from kubechain.workload.chain import CLIENT
from kubechain.workload.manifests import WEB
from kubechain.workload.names import NAMES
from tests.hostile.access import CONTEXT, with_token
from tests.hostile.acts import failing, on, rule
from tests.hostile.cluster import Cluster, cluster
from tests.in_pods import refused
from tests.one_namespace import (
    FOREIGN,
    SHOP,
    TEAM,
    changes,
    marked,
    other_run,
    outside,
    prepare,
    run,
    store,
    there,
)  # fmt: skip

pytestmark = pytest.mark.whole_runs


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path, with_token(tmp_path), prepare) as made:
        yield made


OF_TOOL = "app.kubernetes.io/managed-by"
BUSY: dict[str, tuple[Json, str]] = {
    "a Service of its name": (service_manifests.service(app=SHOP), "Service web"),
    "a Pod of its label": (manifests.client_pod("other", "c", {"app": "web"}), "Pod other (app=web)"),
    "a Service that selects its Pods": (
        {
            **service_manifests.service(name="all"),
            "spec": {"selector": {"app.kubernetes.io/managed-by": "kubechain"}, "ports": []},
        },
        "Service all (selects app.kubernetes.io/managed-by=kubechain)",
    ),
    "a Service whose variables are mixed up with its own": (
        service_manifests.service(name="web-service", app=SHOP),
        "Service web-service",
    ),
}


IN_THE_WAY = f"--namespace={TEAM}: objects there have names or labels of this suite, or select its Pods: "


@pytest.mark.parametrize("name", BUSY)
def test_something_in_the_way_of_a_run_is_named(server: Cluster, tmp_path: Path, name: str) -> None:
    body, named = BUSY[name]
    store(server, {**body, "spec": {"type": "ClusterIP", **body["spec"]}} if body["kind"] == "Service" else body)
    with closing(Api(server.kubeconfig, CONTEXT, tmp_path)) as api, pytest.raises(SetupError) as raised:
        require_free(Space(api, TEAM, Access(api, TEAM)), shape.of(PROJECT, None, "", ""), secret=False)
    assert str(raised.value).startswith(f"{IN_THE_WAY}{named}; use a namespace without them")
    assert raised.value.code == ExitCode.CLUSTER


def test_namespace_with_something_in_the_way_is_refused_in_one_line(server: Cluster, tmp_path: Path) -> None:
    store(server, manifests.client_pod("other", "c", {"app": "web"}))
    code, output = run(server, tmp_path, "--no-html", "--only", "CHAIN-PODS-010")
    assert code == ExitCode.CLUSTER, output
    assert f"no verdict: {IN_THE_WAY}Pod other (app=web); use a" in output
    assert changes(server) == []


def test_namespace_that_does_not_exist_is_named(server: Cluster, tmp_path: Path) -> None:
    server.api.only_in = ""
    server.store.remove(("Namespace", "", TEAM))
    for command in ("run", "clean"):
        code, output = run(server, tmp_path, name=command)
        assert code == ExitCode.CLUSTER, output
        assert f"--namespace={TEAM}: does not exist on https://127.0.0.1:{server.port}; create it, or name another" in output
    assert changes(server) == []


def test_doctor_examines_the_namespace_alone(server: Cluster, tmp_path: Path) -> None:
    code, output = run(server, tmp_path, name="doctor")
    assert code == ExitCode.HOLDS, output
    assert f", {TEAM} has UID " in output
    assert "has all rights that every claim needs" in output
    assert "for lack of a namespace of its own (--namespace NAME): " in output
    assert outside(server) == []


def test_user_without_rights_in_the_namespace_is_told_all_of_them(server: Cluster, tmp_path: Path) -> None:
    server.api.allows = lambda _user, verb, resource: f"{verb} {resource}" not in ("get namespaces", "delete replicasets")
    code, output = run(server, tmp_path)
    assert code == ExitCode.RIGHTS, output
    what = f"lacks the rights to get namespaces (core); delete replicasets (apps) in the namespace {TEAM}, if that exists; "
    assert f"{what}`kubechain rights namespace --namespace {TEAM}` prints" in output


def test_second_run_in_a_namespace_says_so_and_removes_nothing(server: Cluster, tmp_path: Path) -> None:
    other_run(server, 610)
    code, output = run(server, tmp_path, "--no-html", "--only", "CHAIN-PODS-010")
    assert code == ExitCode.CLUSTER, output
    what = f"another run uses the namespace: run 0badcafe in namespace {TEAM} (by ann@laptop, expires in "
    assert f"no verdict: {what}" in output
    remove = f"kubechain clean --context {CONTEXT} --namespace {TEAM} --kept"
    assert f"Pod client, ConfigMap {RUN}; wait for its end, or remove: {remove}" in output
    assert changes(server) == []


def test_second_run_that_begins_at_the_same_moment_says_so(server: Cluster, tmp_path: Path) -> None:
    rule(on("create", "ConfigMap"), failing(409), 1)(server)
    code, output = run(server, tmp_path, "--no-html", "--only", "CHAIN-PODS-010")
    assert code == ExitCode.CLUSTER, output
    assert f"no verdict: another run uses the namespace {TEAM}: it has the ConfigMap {RUN}; wait for its end" in output
    assert there(server) == FOREIGN


def test_run_removes_what_an_expired_run_left(server: Cluster, tmp_path: Path) -> None:
    other_run(server, -1)
    code, output = run(server, tmp_path, "--no-html", "--only", "CHAIN-PODS-010")
    assert code == ExitCode.HOLDS, output
    assert "removing the objects of the run 0badcafe" in output
    assert (marked(server), there(server)) == ([], FOREIGN)


def test_clean_leaves_a_run_that_has_not_expired_unless_a_person_says_so(server: Cluster, tmp_path: Path) -> None:
    other_run(server, 610)
    code, output = run(server, tmp_path, name="clean")
    assert (code, len(marked(server))) == (ExitCode.HOLDS, 2), output
    left = f"run 0badcafe in namespace {TEAM} (by ann@laptop, expires in 10 min): Pod client, ConfigMap {RUN}"
    assert f"{left}: it remains; " in output
    code, output = run(server, tmp_path, "--kept", "--yes", name="clean")
    assert (code, marked(server), there(server)) == (ExitCode.HOLDS, [], FOREIGN), output
    assert outside(server) == []


def test_names_of_the_run_are_those_of_suites_and_scenarios() -> None:
    used = {WEB, CLIENT, BARE, MANY, "exposed"}
    for folder in ("suites/chain", "suites/lifecycle", "fixtures", "kubechain/scenarios", "kubechain/workload"):
        for path in (ROOT / folder).rglob("*.py"):
            used |= {name for node in ast.walk(ast.parse(path.read_text())) for name in names_in(node)}
    assert used == NAMES


def names_in(node: ast.AST) -> Iterator[str]:
    """Yield the names and the values of the label app in a call of a manifest, and in labels."""
    values: list[ast.expr | None] = []
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
        if node.func.value.id in ("manifests", "service_manifests"):
            values = [*node.args[:1], *(word.value for word in node.keywords if word.arg in ("name", "app"))]
    elif isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        values = [value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "app"]
    yield from (value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str))


def test_rights_of_a_run_in_one_namespace_are_asked_for_there() -> None:
    assert right("get", "pods/proxy").inside(TEAM) == right("get", "pods/proxy", TEAM)
    assert right("get", "namespaces").inside(TEAM).review["resourceAttributes"]["namespace"] == TEAM
    outside_of_it = [right("list", "nodes"), right("list", "services", EVERYWHERE), right("get", "leases", "kube-system")]
    assert [each.inside(TEAM) for each in outside_of_it] == outside_of_it
    assert "namespace" not in outside_of_it[1].review["resourceAttributes"]
    assert str(outside_of_it[1]) == "list services in all namespaces"


def test_rights_cover_what_is_removed_by_its_label() -> None:
    inside = CORE.inside or frozenset[Right]()
    by_controllers = {"Endpoints", "EndpointSlice"}
    assert {right("list", PLURALS[kind][1]) for kind in KINDS} <= inside
    assert {right("delete", PLURALS[kind][1]) for kind in KINDS if kind not in by_controllers} <= inside
    assert {right(verb, PLURALS[kind][1]) for kind in RARE for verb in ("list", "delete")} <= SWEEP.requirement.rights


USAGE: dict[str, tuple[list[str], str]] = {
    "two processes": (["--context", "c", "-n", "2"], "--namespace=team-a: chains come one after another there: omit -n 2"),
    "no context": ([], "--namespace=team-a: needs a context: add --context"),
    "disruptive": (
        ["--context", "c", "--disruptive"],
        "--namespace=team-a: a run in one namespace disturbs no Nodes: omit --disr",
    ),
    "no name": (
        ["--context", "c", "--namespace", "A/b"],
        "--namespace=A/b: expected the name of a namespace: lower case letters",
    ),
}


@pytest.mark.parametrize("name", USAGE)
def test_usage_error_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    words, line = USAGE[name]
    (tmp_path / "config").write_text('{"apiVersion": "v1", "kind": "Config", "contexts": [{"name": "c", "context": {}}]}')
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    assert line in refused("run", "--namespace", TEAM, "--out", str(tmp_path / "out"), *words)


def test_processes_are_refused_also_without_the_command() -> None:
    with pytest.raises(SetupError, match="omit -n 2"):
        require_alone(TEAM, "c", 2, disruptive=False)
    require_alone("", "", 2, disruptive=True)
