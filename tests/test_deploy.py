"""The manifests of deploy/: kubectl and Helm get the same objects, and every field of them is one of Kubernetes."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kubechain.claims.claim import Claim
from kubechain.cli.commands import DuringCommand, RunCommand
from kubechain.cli.in_cluster_commands import WatchCommand
from kubechain.cli.options import options
from kubechain.core.errors import ExitCode
from reports import catalogue
from reports.deploy import files, nodes, values
from tests.chart import models
from tests.chart.template import objects as of_chart
from tests.json_schema import problems_with

TEMPLATES = files.CHART / "templates"
WRONG: tuple[dict[str, Any], ...] = (
    {"shard": 2},
    {"shards": 0},
    {"scope": "all"},
    {"cronJob": {"schedule": "never"}},
    {"watch": {"every": "soon"}},
    {"detached": {"for": "soon"}},
    {"options": {"KUBECHAIN_LEVEL": 1}},
    {"image": ""},
    {"upload": {"url": "https://reports"}},
    {"resources": "large"},
    # What an option of this name would say, another value says.
    {"options": {"KUBECHAIN_UPLOAD": "s3://reports"}},
    {"scope": "namespace", "shards": 4},
    {"scope": "namespace", "detached": {"enabled": True}},
)
SCHEMA = json.loads((files.CHART / "values.schema.json").read_text())


@cache
def claims() -> list[tuple[str, Claim]]:
    return [(entry.nodeid, entry.claim) for entry in catalogue.collect()]


def of_kubectl(variant: str) -> list[Any]:
    """Return the objects of a kustomization."""
    folder = files.FOLDER / variant
    listed: list[str] = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    return [each for name in listed for each in yaml.safe_load_all((folder / name).read_text())]


def expected(changes: dict[str, Any], namespace: str = files.NAMESPACE) -> list[Any]:
    """Return the objects that values make, without the Namespace."""
    found = {**values.defaults(**changes), nodes.NAMESPACE: namespace}
    made = [each for file in files.FILES if file not in ("namespace", "access") for each in files.FILES[file](())]
    return [nodes.rendered(each.body, found) for each in (*made, *access()) if nodes.present(each, found)]


@cache
def access() -> list[nodes.Conditional]:
    return files.FILES["access"](claims())


def by_name(found: list[Any]) -> dict[tuple[str, str, str], Any]:
    """Return objects by kind, namespace and name, without fields that are null."""
    named = [(each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]) for each in found]
    assert len(set(named)) == len(named)
    return dict(zip(named, map(without_null, found), strict=True))


def without_null(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: without_null(each) for key, each in node.items() if each is not None}  # pyright: ignore[reportUnknownVariableType]  # JSON
    return [without_null(each) for each in node] if isinstance(node, list) else node  # pyright: ignore[reportUnknownVariableType]  # JSON


@pytest.mark.parametrize("variant", files.VARIANTS)
def test_chart_and_kustomization_are_the_same_objects(variant: str) -> None:
    _, changes = files.VARIANTS[variant]
    found = [each for each in of_kubectl(variant) if each["kind"] != "Namespace"]
    assert by_name(found) == by_name(of_chart(TEMPLATES, values.defaults(**changes), files.NAMESPACE))


@pytest.mark.skipif(not which("kubectl"), reason="needs kubectl")
@pytest.mark.parametrize("variant", files.VARIANTS)
def test_kustomization_of_kubectl_is_the_objects_of_its_files(variant: str) -> None:
    argv = ["kubectl", "kustomize", files.FOLDER / variant]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert by_name(list(yaml.safe_load_all(done.stdout))) == by_name(of_kubectl(variant))


def watched(on: bool) -> values.Watch:  # noqa: FBT001  # drawn
    return values.Watch(enabled=on, operator=on, dashboard=on)


def once(on: bool) -> values.Job:  # noqa: FBT001  # drawn
    return values.Job(enabled=on)


def around(length: str) -> values.Detached:
    return values.Detached.model_validate({"enabled": True, "for": length})


def kept(claim: str) -> values.Persistence:
    return values.Persistence(claim=claim)


TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=5)
CHANGES = st.fixed_dictionaries(
    {
        "shards": st.integers(1, 50),
        "scope": st.sampled_from(["cluster", "namespace"]),
        "watch": st.booleans().map(watched),
        "job": st.booleans().map(once),
        "detached": st.sampled_from(["", "2h"]).map(around),
        "persistence": st.sampled_from(["", "results"]).map(kept),
        "image": st.sampled_from(["registry.example.org:5000/kubechain/runner@sha256:0f", "runner"]),
        "options": st.dictionaries(st.sampled_from(["KUBECHAIN_LEVEL", "KUBECHAIN_NODES"]), TEXT, max_size=2),
        "files": st.dictionaries(
            st.just("waivers.yaml"), st.sampled_from(['- claim: X\n  owner: "a\' {{ b }}"\n', ""]), max_size=1
        ),
        "tolerations": st.sampled_from([[], [{"key": "dedicated", "operator": "Exists"}]]),
    }
)


@given(CHANGES, st.sampled_from(["kubechain", "team-a"]))
@settings(max_examples=8)
def test_chart_makes_with_other_values_what_the_objects_are(changes: dict[str, Any], namespace: str) -> None:
    assert by_name(of_chart(TEMPLATES, values.defaults(**changes), namespace)) == by_name(expected(changes, namespace))


@pytest.mark.parametrize("variant", files.VARIANTS)
def test_every_field_is_one_of_kubernetes(variant: str) -> None:
    assert [problem for each in of_kubectl(variant) for problem in models.problems(each)] == []


def test_fields_that_kubernetes_does_not_know_are_found() -> None:
    (job,) = files.rendered("job", {**values.defaults(), nodes.NAMESPACE: "x"}, ())
    job["spec"]["podReplacement"] = "Failed"
    job["spec"]["template"]["spec"]["containers"][0]["arg"] = []
    assert sorted(models.problems(job)) == [
        "Job.spec.podReplacement: unknown",
        "Job.spec.template.spec.containers[0].arg: unknown",
    ]


def test_values_of_the_chart_are_the_defaults_and_match_their_schema() -> None:
    given_values = yaml.safe_load((files.CHART / "values.yaml").read_text())
    assert given_values == values.defaults()
    assert problems_with(given_values, SCHEMA) == []


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_wrong_values_do_not_match_the_schema(wrong: dict[str, Any]) -> None:
    assert problems_with({**values.defaults(), **wrong}, SCHEMA) != []


def pods(variant: str) -> list[Any]:
    """Return the Pod specs of a kustomization."""
    found = of_kubectl(variant)
    with_pods = (each for each in found if each["kind"] in ("Job", "CronJob", "Deployment"))
    makers = [each["spec"]["jobTemplate"] if each["kind"] == "CronJob" else each for each in with_pods]
    assert makers
    return [each["spec"]["template"]["spec"] for each in makers]


@pytest.mark.parametrize("variant", files.VARIANTS)
def test_pods_are_restricted_and_may_have_any_uid(variant: str) -> None:
    for spec in pods(variant):
        (container,) = spec["containers"]
        assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert all(set(volume) <= {"name", "emptyDir", "configMap"} for volume in spec["volumes"])


@pytest.mark.parametrize("variant", files.VARIANTS)
def test_settings_of_the_pods_are_settings_of_a_run(variant: str) -> None:
    known = {option.variable for option in options(RunCommand)}
    commands = {"run": RunCommand, "watch": WatchCommand, "during": DuringCommand}
    for spec in pods(variant):
        (container,) = spec["containers"]
        named = [each["name"] for each in container["env"] if each["name"].startswith("KUBECHAIN_")]
        assert set(named) <= known
        assert set(named) == {f"KUBECHAIN_{name}" for name in values.FIXED}
        command, *words = container["args"]
        # Those whose place a value names reach every command.
        assert {"KUBECHAIN_UPLOAD", "KUBECHAIN_HISTORY", "KUBECHAIN_NGINX_IMAGE", "KUBECHAIN_CLIENT_IMAGE"} <= {
            option.variable for option in options(commands[command])
        }
        flags = {flag for option in options(commands[command]) for flag in option.flags}
        assert {word.partition("=")[0] for word in words} <= flags


def test_verdict_is_final_and_a_killed_run_is_run_again() -> None:
    (job,) = [each for each in of_kubectl("") if each["kind"] == "Job"]
    rules = job["spec"]["podFailurePolicy"]["rules"]
    codes = set(rules[1]["onExitCodes"]["values"])
    assert {int(ExitCode.CHAIN_BROKEN), int(ExitCode.UNREACHABLE)} <= codes
    assert codes.isdisjoint({0, int(ExitCode.INTERRUPTED), 137, 143})


def test_run_around_a_change_has_its_state_and_its_rights_and_as_many_pods_as_evictions() -> None:
    found = of_kubectl("detached")
    (job,) = [each for each in found if each["kind"] == "Job"]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["args"][:2] == ["during", "--state=$(POD_NAMESPACE)/kubechain-state"]
    # Not counted: an eviction. The Pod of a Node that is restarted is.
    ignored, by_code = job["spec"]["podFailurePolicy"]["rules"]
    assert ignored["action"] == "Ignore"
    # The change may replace the API server as the next Pod begins.
    assert int(ExitCode.UNREACHABLE) not in by_code["onExitCodes"]["values"]
    assert (job["spec"]["completions"], job["spec"]["backoffLimitPerIndex"]) == (1, 6)
    roles = {each["metadata"]["name"]: each for each in found if each["kind"] == "ClusterRole"}
    granted = [rule for rule in roles["kubechain-upgrade"]["rules"] if "daemonsets" in rule.get("resources", [])]
    assert [rule["verbs"] for rule in granted] == [["create", "delete", "get"]]


@pytest.mark.parametrize(("variant", "kinds"), [("", {"ClusterRole", "Role"}), ("namespace", {"Role"})])
def test_variant_for_one_namespace_has_no_right_outside_of_it(variant: str, kinds: set[str]) -> None:
    found = of_kubectl(variant)
    assert {each["kind"] for each in found if each["kind"].endswith("Role")} == kinds
    if variant:
        assert {each["metadata"].get("namespace") for each in found} == {files.NAMESPACE}


@pytest.mark.parametrize("variant", files.VARIANTS)
def test_kustomization_moves_no_object_to_another_namespace(variant: str) -> None:
    content = yaml.safe_load((files.FOLDER / variant / "kustomization.yaml").read_text())
    places = {each["metadata"].get("namespace", files.NAMESPACE) for each in of_kubectl(variant)}
    assert places <= {content["namespace"]} if "namespace" in content else "kube-system" in places


def test_generated_files_are_all_there_is() -> None:
    written_by_hand = files.FOLDER / "integrations"
    there = {path for path in files.FOLDER.rglob("*") if path.is_file() and written_by_hand not in path.parents}
    assert there - set(files.documents()) == set()
    assert Path(files.FOLDER / "kustomization.yaml") in there
