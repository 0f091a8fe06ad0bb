import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, SetupError
from kubechain.kube.objects import Json
from kubechain.upgrade import addon_config, snapshot
from kubechain.upgrade.addon_config import lines_lost, values_lost
from kubechain.upgrade.snapshot import Snapshot, checksum, for_file
from tests.fakes import FakeApi, deployment, pod, thing

# WRITTEN as commit 623c5c4 wrote it.
SCHEMA_1 = ROOT / "tests" / "data" / "snapshot-schema-1.json"
WRITTEN = Snapshot(
    run="ab12",
    created=datetime(2026, 1, 1, tzinfo=UTC),
    cluster_uid="uid-1",
    server="v1.36.3",
    namespace="kubechain-upgrade-ab12",
    nodes={"node-ä": "v1.36.3"},
    unready=["uid-lost"],
    objects=[deployment().body, pod().body],
    apis={"Pod": "/api/v1/namespaces/x/pods"},
    configuration={"CoreDNS": ".:53 {\n}\n"},
    deprecated={"flowschemas.v1beta3.x": "1.32"},
    warnings=["old"],
    verdict="chain holds",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    WRITTEN.write(tmp_path / "deep" / "snapshot.json")
    return tmp_path / "deep" / "snapshot.json"


def refused(path: Path) -> str:
    with pytest.raises(SetupError) as caught:
        snapshot.read(path)
    assert caught.value.code == ExitCode.SNAPSHOT
    assert str(caught.value).startswith(f"--snapshot={path}: ")
    return str(caught.value).removeprefix(f"--snapshot={path}: ")


def test_snapshot_is_read_as_it_was_written(path: Path) -> None:
    assert snapshot.read(path) == WRITTEN
    assert [each.name for each in snapshot.read(path).state.objects] == ["web", "web-5d4f-0"]
    assert [each.name for each in path.parent.iterdir()] == ["snapshot.json"]


def test_snapshot_replaces_an_existing_file(path: Path) -> None:
    WRITTEN.model_copy(update={"verdict": "other"}).write(path)
    assert snapshot.read(path).verdict == "other"


def test_snapshot_may_have_another_layout(path: Path) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps(dict(sorted(content.items(), reverse=True)), ensure_ascii=False, indent=4))
    assert snapshot.read(path) == WRITTEN


@pytest.mark.parametrize("name", [name for name in WRITTEN.as_json() if name != "schema"])
def test_snapshot_with_any_changed_field_is_refused(path: Path, name: str) -> None:
    content = json.loads(path.read_text())
    for value in ('"tampered"', "null", "[]"):
        path.write_text(json.dumps({**content, name: json.loads(value)}))
        assert "checksum does not match" in refused(path)
    path.write_text(json.dumps({key: value for key, value in content.items() if key != name}))
    assert "checksum does not match" in refused(path)


def test_snapshot_with_a_changed_nested_value_is_refused(path: Path) -> None:
    path.write_text(path.read_text().replace('"podIP": "10.244.0.5"', '"podIP": "10.244.0.6"'))
    assert "checksum does not match" in refused(path)


def test_snapshot_of_another_cluster_is_refused(path: Path) -> None:
    snapshot.read(path).require("uid-1", path)
    with pytest.raises(SetupError, match="of another cluster: kube-system has UID uid-2, not uid-1") as caught:
        snapshot.read(path).require("uid-2", path)
    assert caught.value.code == ExitCode.SNAPSHOT


@pytest.mark.parametrize("schema", [0, 3, "2", None, True, [2]])
def test_snapshot_of_another_schema_is_refused(path: Path, schema: object) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "schema": schema}))
    assert refused(path) == f"schema {schema}; this version reads schemas 1 and 2"


def test_snapshot_of_schema_1_is_read_as_schema_2_with_a_note(tmp_path: Path) -> None:
    read = snapshot.read(SCHEMA_1)
    objects = json.loads(SCHEMA_1.read_text())["objects"]
    assert read == WRITTEN.model_copy(update={"note": "schema 1, read as 2", "objects": objects, "unready": []})
    assert [each.name for each in read.state.objects] == ["web", "web-5d4f-0"]
    read.write(tmp_path / "snapshot.json")
    assert snapshot.read(tmp_path / "snapshot.json") == read.model_copy(update={"note": ""})


@pytest.mark.parametrize(("old", "new"), [("ab12", "ab13"), ('"schema": 1', '"schema": 2'), ("10.244.0.5", "10.244.0.6")])
def test_changed_snapshot_of_schema_1_is_refused(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "snapshot.json"
    path.write_text(SCHEMA_1.read_text().replace(old, new))
    assert refused(path) == "checksum does not match: the file was changed after it was written"


def test_missing_snapshot_is_an_error(tmp_path: Path) -> None:
    assert refused(tmp_path / "none") == "No such file or directory; create the file with `kubechain upgrade before`"
    assert "directory" in refused(tmp_path)


NO_SNAPSHOTS: list[bytes] = [
    b"",
    b"no JSON",
    b"[]",
    b"[1, 2]",
    b'"text"',
    b"7",
    b"null",
    b"{}",
    b'{"schema": 2}',
    b'{"checksum": "x"}',
    bytes(range(256)),
]


@pytest.mark.parametrize("content", NO_SNAPSHOTS)
def test_file_without_a_snapshot_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "snapshot.json"
    path.write_bytes(content)
    assert refused(path) == "not a snapshot file of `kubechain upgrade before`"


def test_nested_brackets_are_no_snapshot(path: Path) -> None:
    path.write_text("[" * 5000)
    assert refused(path) == "not a snapshot file of `kubechain upgrade before`"


def test_truncated_snapshot_is_an_error(path: Path) -> None:
    path.write_text(path.read_text()[:-100])
    assert refused(path) == "not a snapshot file of `kubechain upgrade before`"


@pytest.mark.parametrize("over", [{"more": 1}, {"nodes": ...}])
def test_snapshot_with_other_fields_is_an_error(path: Path, over: Json) -> None:
    content = {**json.loads(path.read_text()), **over}
    rest = {key: value for key, value in content.items() if value is not ... and key != "checksum"}
    path.write_text(json.dumps({**rest, "checksum": checksum(rest)}))
    assert refused(path) == "not a snapshot file of `kubechain upgrade before`"


def test_object_is_written_without_managed_fields() -> None:
    resource = thing("Pod", "a", managedFields=[{"manager": "x"}], labels={"a": "b"}, spec={"managedFields": 1})
    written = for_file(resource)
    assert written == {**resource.body, "metadata": {key: resource.body["metadata"][key] for key in written["metadata"]}}
    assert set(resource.body["metadata"]) - set(written["metadata"]) == {"managedFields"}


def test_snapshot_has_no_kind_with_credentials() -> None:
    assert not {"Secret", "ConfigMap", "ServiceAccount"} & set(snapshot.KINDS)
    assert all("kubeconfig" not in key for _, key in addon_config.SOURCES.values())


COREFILE = """.:53 {
    errors
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    hosts {
      10.0.0.1 mine.example
    }
}
"""


def test_missing_line_of_a_corefile_is_lost_and_added_or_moved_lines_are_not() -> None:
    assert lines_lost(COREFILE, COREFILE) == []
    assert lines_lost(COREFILE, "example:53 {\n  cache\n}\n" + COREFILE.replace("   ", "\t")) == []
    assert lines_lost(COREFILE, COREFILE.replace("10.0.0.1 mine", "10.0.0.2 mine")) == ["no line 10.0.0.1 mine.example"]
    assert lines_lost(COREFILE, "") != []
    assert lines_lost("\n\n", "") == []


def test_line_of_one_server_block_does_not_stand_for_that_of_another() -> None:
    inner, outer = "corp:53 {\n  forward . 10.0.0.53\n}\n", ".:53 {\n  forward . 10.0.0.53\n}\n"
    assert lines_lost(inner + outer, outer + inner) == []
    assert lines_lost(inner + outer, inner + outer.replace("  forward . 10.0.0.53\n", "")) == ["fewer lines forward . 10.0.0.53"]


def test_empty_document_has_lost_every_value() -> None:
    (lost,) = values_lost(PROXY_CONFIG, "")
    assert lost.startswith("no document (before: mode=nftables")


PROXY_CONFIG = """
mode: nftables
clusterCIDR: 10.244.0.0/16
conntrack: {maxPerCore: null, tcpCloseWaitTimeout: 1h0m0s}
iptables: {masqueradeAll: false, syncPeriod: 0s}
nodePortAddresses: [10.0.0.0/8]
hostnameOverride: ""
featureGates: {}
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mode: nftables", "mode: nftables\nmore: 1"),
        ("maxPerCore: null", "maxPerCore: 32768"),
        ('hostnameOverride: ""', "hostnameOverride: node"),
        ("featureGates: {}", "featureGates: {A: true}"),
        ("syncPeriod: 0s", "syncPeriod: 30s"),
        ("masqueradeAll: false", "masqueradeAll: false, more: 1"),
    ],
)
def test_explicit_default_and_new_value_are_not_lost(old: str, new: str) -> None:
    assert values_lost(PROXY_CONFIG, PROXY_CONFIG) == []
    assert values_lost(PROXY_CONFIG, PROXY_CONFIG.replace(old, new)) == []


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("mode: nftables", "mode: iptables", "mode iptables (before: nftables)"),
        ("mode: nftables", "", "no mode (before: nftables)"),
        ("1h0m0s", "2h0m0s", "conntrack.tcpCloseWaitTimeout 2h0m0s (before: 1h0m0s)"),
        ("[10.0.0.0/8]", "[]", "nodePortAddresses none (before: 10.0.0.0/8)"),
        (
            "conntrack: {maxPerCore: null, tcpCloseWaitTimeout: 1h0m0s}",
            "conntrack: null",
            "no conntrack (before: maxPerCore=none, tcpCloseWaitTimeout=1h0m0s)",
        ),
    ],
)
def test_changed_value_is_lost(old: str, new: str, what: str) -> None:
    assert values_lost(PROXY_CONFIG, PROXY_CONFIG.replace(old, new)) == [what]


def test_configuration_is_compared_if_the_snapshot_has_it() -> None:
    before = {"CoreDNS": COREFILE, "kube-proxy": PROXY_CONFIG}
    for name in before:
        assert addon_config.kept(name, before)(before).met
        assert str(addon_config.kept(name, before)({})) == f"expected the configuration of {name} as before, got none"
    other = {"CoreDNS": COREFILE.replace("errors", "log"), "kube-proxy": PROXY_CONFIG.replace("nftables", "ipvs")}
    assert addon_config.kept("CoreDNS", before)(other).got == "no line errors"
    assert addon_config.kept("kube-proxy", before)(other).got == "mode ipvs (before: nftables)"


PLUGINS = """.:53 {
    etcd shop.example {
        endpoint https://10.0.0.1:2379
        credentials coredns hunter2hunter2
    }
    route53 shop.example.:Z1 {
        aws_access_key AKIAIOSFODNN7EXAMPLE hunter2hunter2
    }
    azure shop:shop.example {
        client_secret hunter2hunter2
    }
    tsig {
        secret key.example. hunter2hunter2
        secrets /etc/coredns/keys
    }
    # password: hunter2hunter2
}
"""


def test_configuration_is_read_without_the_secrets_of_plugins() -> None:
    def answer(_method: str, path: str, _body: Any) -> str:
        data = {"coredns": {"Corefile": PLUGINS}, "kube-proxy": {"config.conf": PROXY_CONFIG}}[path.rpartition("/")[2]]
        return json.dumps({"metadata": {"name": "x"}, "data": data})

    shown = addon_config.read(FakeApi(answer))
    assert not [word for word in ("hunter2", "AKIA") if word in shown["CoreDNS"]]
    assert "secrets /etc/coredns/keys" in shown["CoreDNS"]
    assert shown["CoreDNS"].count("\n") == PLUGINS.count("\n")
    assert shown["kube-proxy"] == PROXY_CONFIG


def test_object_in_the_file_has_no_secret_in_an_annotation() -> None:
    resource = thing("Pod", "web", annotations={"cloud.example/config": "password=hunter2hunter2"}, spec={"secretName": "tls"})
    written = for_file(resource)
    assert "hunter2" not in json.dumps(written)
    assert written["spec"] == {"secretName": "tls"}


def test_configuration_is_read_if_the_cluster_has_it() -> None:
    def answer(_method: str, path: str, _body: Any) -> str:
        assert path.startswith("/api/v1/namespaces/kube-system/configmaps/")
        data = {"coredns": {"Corefile": COREFILE}, "kube-proxy": {"kubeconfig.conf": "secret"}}[path.rpartition("/")[2]]
        return json.dumps({"metadata": {"name": "x"}, "data": data})

    assert addon_config.read(FakeApi(answer)) == {"CoreDNS": COREFILE}
