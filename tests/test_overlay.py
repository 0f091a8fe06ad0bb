"""The overlay and the shape of objects: what is read, what is refused, and that every object gets it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, SetupError
from kubechain.kube import overlay, shape
from kubechain.kube.objects import Json
from kubechain.kube.shape import Shape
from kubechain.upgrade import sampler_manifests, witnesses
from kubechain.workload import manifests, service_manifests
from tests.fakes import FakeApi

FILE = ROOT / "tests" / "data" / "overlay.yaml"
BAD = {
    "- a": "expected a map of kinds",
    "a: [": "line 1: not YAML: expected the node content, but found '<stream end>'",
    "a: b: c": "line 1: not YAML: mapping values are not allowed here",
    "[" * 5000: "not YAML: maximum recursion depth exceeded",
    "Deploymnt: {}": "Deploymnt: no kind of object that a run creates (did you mean Deployment?)",
    "Pod: {label: {a: b}}": "Pod.label: no such field",
    "Service: {tolerations: []}": "Service.tolerations: no such field",
    "Pod: {labels: {cost: 42}}": "Pod.labels.cost: expected a valid string, got 42; quote it",
    "Pod: {labels: {app: x}}": "Pod.labels.app: the suite finds its objects by the label app: choose another",
    "'*': {labels: {'a b': x}}": "'a b' is not a key of a label",
    "'*': {labels: {a: 'x y'}}": "'x y' is not a value of a label",
    "Pod: {runAsUser: 0}": "Pod.runAsUser: expected more than 0, got 0",
    "Pod: {runAsUser: '1'}": "Pod.runAsUser: expected a valid integer, got '1'",
    "Pod: {tolerations: [{effect: Never}]}": "Pod.tolerations.0.effect: expected 'NoSchedule', 'PreferNoSchedule' or 'NoExecute'",
    "Pod: {imagePullSecrets: [a]}": "Pod.imagePullSecrets.0: expected a mapping (NAME: VALUE)",
    "Pod: {labels: {a: x}}\nPod: {}": "line 2: Pod: given twice; remove one",
    f"Pod: {{runAsUser: {'9' * 5000}}}": "not YAML: Exceeds the limit",
    f"Pod: {{runAsUser: {'x' * 5000}}}": f"expected a valid integer, got '{'x' * 47}...",
    "Pod: 7": "Pod: expected a mapping (NAME: VALUE)",
}


@pytest.mark.parametrize("text", BAD)
def test_bad_overlay_is_a_usage_error_of_one_line_with_file_and_place(text: str, tmp_path: Path) -> None:
    file = tmp_path / "overlay.yaml"
    file.write_text(text)
    with pytest.raises(SetupError) as caught:
        overlay.read(file)
    assert caught.value.code == ExitCode.USAGE
    message = str(caught.value)
    assert message.startswith((f"--overlay={file}: ", f"--overlay={file}, line "))
    assert BAD[text] in message
    assert "`kubechain docs reference`, The overlay" in message
    assert "\n" not in message


def test_file_that_is_not_there_or_not_text_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name, why in (("absent", "No such file"), ("binary", "not YAML")):
        with pytest.raises(SetupError, match=why) as caught:
            overlay.read(tmp_path / name)
        assert caught.value.code == ExitCode.USAGE


def test_empty_overlay_adds_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("# nothing\n")
    assert overlay.read(tmp_path / "empty") == overlay.Overlay()


def test_example_of_the_reference_is_an_overlay(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "REFERENCE.md").read_text(encoding="utf-8")
    (tmp_path / "example").write_text(text.partition("```yaml\n")[2].partition("```")[0])
    assert overlay.read(tmp_path / "example").pods.nodeSelector == {"pool": "test"}


def made(body: Json, **over: Any) -> Json:
    """Return what an API with the shape of the overlay file sends for an object."""
    sent: list[Json] = []

    def answer(_method: str, _path: str, sending: Any) -> str:
        sent.append(sending)
        return json.dumps({**sending, "metadata": {**sending["metadata"], "uid": "u", "resourceVersion": "1"}})

    api = FakeApi(answer)
    api.shape = shape.of("kubechain-ab", FILE, "spot:NoExecute,gpu=a100", "pool=test", **over)
    api.create(body, "ns")
    return sent[0]


def test_pods_ask_for_the_architectures_of_their_images_beside_what_they_ask_for() -> None:
    wanted = {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}
    made = Shape("r", architectures=("amd64",)).apply(manifests.client_pod("client", "c"))
    assert terms(made["spec"]) == [{"matchExpressions": [wanted]}]
    samplers = Shape("r", architectures=("amd64",)).apply(sampler_manifests.daemon_set("c", ["a", "b"]))
    found = terms(samplers["spec"]["template"]["spec"])
    assert [each["matchExpressions"] for each in found] == [[wanted], [wanted]]
    assert [each["matchFields"][0]["values"] for each in found] == [["a"], ["b"]]
    assert "affinity" not in Shape("r").apply(manifests.client_pod("client", "c"))["spec"]


def terms(spec: Json) -> list[Json]:
    return spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]


@pytest.mark.parametrize("where", ["Pod", "Deployment", "DaemonSet"])
def test_every_pod_gets_the_overlay(where: str) -> None:
    sample = {
        "Pod": manifests.client_pod("client", "c"),
        "Deployment": witnesses.deployment("n"),
        "DaemonSet": sampler_manifests.daemon_set("c", ["a"]),
    }[where]
    body = made(sample)
    pod = body if where == "Pod" else body["spec"]["template"]
    assert body["metadata"]["labels"]["team"] == "shop"
    assert pod["metadata"]["labels"]["team"] == "shop"
    assert pod["metadata"]["annotations"]["example.org/contact"] == "shop"
    spec = pod["spec"]
    assert {"key": "dedicated", "operator": "Exists"} in spec["tolerations"]
    assert {"key": "spot", "operator": "Exists", "effect": "NoExecute"} in spec["tolerations"]
    assert {"key": "gpu", "operator": "Equal", "value": "a100"} in spec["tolerations"]
    assert spec["nodeSelector"] == {"kubernetes.io/os": "linux", "pool": "test"}
    assert (spec["priorityClassName"], spec["securityContext"]["runAsUser"]) == ("low", 1000650001)
    assert spec["imagePullSecrets"] == [{"name": "registry-of-shop"}]
    resources = spec["containers"][0]["resources"]
    assert (resources["requests"]["cpu"], resources["limits"]["memory"]) == ("20m", "256Mi")
    assert "memory" in resources["requests"]


def test_objects_of_other_kinds_get_their_own_part() -> None:
    space = made(manifests.namespace("x", {}))["metadata"]
    assert (space["labels"]["team"], space["annotations"]["example.org/cost-center"]) == ("shop", "42")
    for body in (service_manifests.service(), manifests.nginx_config(), manifests.service_account()):
        metadata = made(body)["metadata"]
        assert metadata["labels"]["team"] == "shop"
        assert metadata["labels"]["app.kubernetes.io/instance"] == "kubechain-ab"
        assert "annotations" not in metadata


def test_labels_and_selectors_of_the_suite_stay() -> None:
    body = made(manifests.deployment("n"))
    assert body["spec"]["selector"] == {"matchLabels": {"app": "web"}}
    assert body["spec"]["template"]["metadata"]["labels"]["app"] == "web"
    assert body["metadata"]["labels"]["app.kubernetes.io/name"] == "web"


def test_manifest_itself_is_not_changed() -> None:
    body = manifests.deployment("n")
    before = json.dumps(body)
    made(body)
    assert json.dumps(body) == before


def test_pod_that_asks_for_nothing_stays_so() -> None:
    assert "resources" not in made(manifests.bare_pod("bare", "c"))["spec"]["containers"][0]


def test_uid_is_left_out_where_the_cluster_chooses_one() -> None:
    free = Shape("kubechain-ab", fixed_uid=False).apply(manifests.client_pod("client", "c"))
    assert "runAsUser" not in free["spec"]["securityContext"]
    assert free["spec"]["securityContext"]["runAsNonRoot"] is True
    assert made(manifests.client_pod("client", "c"), fixed_uid=False)["spec"]["securityContext"]["runAsUser"] == 1000650001


def test_object_of_no_run_is_sent_as_it_is() -> None:
    body = manifests.client_pod("client", "c")
    assert Shape().apply(body) is body


@pytest.mark.parametrize("text", ["a b", "=x", "key=value:Never", "key:", "-"])
def test_bad_toleration_is_a_usage_error(text: str) -> None:
    with pytest.raises(SetupError, match=r"--tolerate=.*expected KEY, KEY=VALUE") as caught:
        overlay.tolerations(text)
    assert caught.value.code == ExitCode.USAGE


@pytest.mark.parametrize("text", ["pool", "pool=a b", "=a", "pool!=a", "pool in (a)"])
def test_bad_selector_of_nodes_is_a_usage_error(text: str) -> None:
    with pytest.raises(SetupError, match=r"--nodes=.*expected labels such as") as caught:
        overlay.node_labels(text)
    assert caught.value.code == ExitCode.USAGE


def test_two_values_of_one_label_are_a_usage_error() -> None:
    with pytest.raises(SetupError, match=r"--nodes=pool=a,pool=b: expected one value of pool") as caught:
        overlay.node_labels("pool=a,pool=b")
    assert caught.value.code == ExitCode.USAGE


def test_selectors_of_nodes() -> None:
    assert overlay.node_labels("pool=a,pool=a") == {"pool": "a"}
    assert overlay.node_labels("") == {}
    assert overlay.node_labels("pool=test, disk==ssd") == {"pool": "test", "disk": "ssd"}
