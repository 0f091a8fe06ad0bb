"""Workers that are replaced during an upgrade: which commands run in which order, and who removes the new ones."""

import json
from pathlib import Path

import pytest
import yaml

from kubechain.cleanup import run_locks
from kubechain.cluster.worker_nodes import free_name, join_configuration, ordered
from kubechain.core.build_cache import BuildCache
from kubechain.core.change_settings import Hops
from kubechain.core.errors import SetupError
from kubechain.upgrade.workers import Fresh, container_ids, started_again, way_of
from tests.fakes import changed, conditions, thing
from tests.test_upgrade_kubeadm import CONTROL_PLANE, DRAIN, NEW, WORKERS, World

PRINTED = "kubeadm join c-control-plane:6443 --token ab.cd --discovery-token-ca-cert-hash sha256:00"
HOST = json.dumps({"NetworkMode": "kind", "Sysctls": {"net.ipv6.conf.all.disable_ipv6": "0"}})
IMAGES = {CONTROL_PLANE: "", "c-worker": "docker.io/nginx:1 docker.io/cni:2 sha256:12 x@sha256:34", NEW: "docker.io/cni:2"}


def world(folder: Path, answers: str = "") -> World:
    listed = "\n".join(f"*'exec {node} ctr'*'images list'*) printf '{names}';;" for node, names in IMAGES.items())
    own = f"*'images list'*) ;;\n*HostConfig*) printf '{HOST}';;\n*IPAddress*) printf '172.18.0.9 ';;"
    own += f"\n*token*) printf '{PRINTED}';;"
    run = f"'run --name'*) printf id-{NEW};;\n'cp '*kubechain-images*) touch \"$3\";;"
    fresh = Fresh("node:1.35.4", folder / "cache", BuildCache(folder / "store"))
    return World(folder, f"{answers}\n{listed}\n{own}\n{run}", way="replaced", fresh=fresh)


def shown(lines: list[str]) -> list[str]:
    """Return the commands about the first worker, and the steps, without waits."""
    start = lines.index(f"# starting {NEW}")
    return [line for line in lines[start:] if not line.startswith(("?", "ps "))]


def test_new_worker_joins_before_the_old_one_is_drained_and_deleted(tmp_path: Path) -> None:
    made = world(tmp_path)
    made.hop.cluster.ids = frozenset(["id-c-worker"])
    run_locks.mark_made(tmp_path / "cache", "c", ["id-c-worker"])
    made.hop.run()
    lines = shown(made.log.lines)
    order = [
        f"# starting {NEW}",
        "tag node:1.35.4",
        f"run --name {NEW} --hostname {NEW}",
        f"exec {NEW} ctr --namespace=k8s.io version",
        "images export /kind/kubechain-images.tar docker.io/nginx:1",
        f"exec {CONTROL_PLANE} kubeadm token create --ttl=10m --print-join-command",
        f"# joining {NEW}",
        f"exec {NEW} kubeadm join --config=/kind/kubechain-join.yaml --skip-phases=preflight",
        f"# joined {NEW}",
        "# draining c-worker",
        f"exec {CONTROL_PLANE} {DRAIN.format('c-worker')}",
        "# drained c-worker",
        "exec c-worker systemctl stop kubelet",
        "rm --force --volumes c-worker",
        f"exec {CONTROL_PLANE} kubectl --kubeconfig=/etc/kubernetes/admin.conf delete node c-worker",
        "# deleted c-worker",
    ]
    places = [next(number for number, line in enumerate(lines) if step in line) for step in order]
    assert places == sorted(places)
    (started,) = [line for line in lines if line.startswith(f"run --name {NEW} ")][:1]
    for option in ("--net kind", "--sysctl=net.ipv6.conf.all.disable_ipv6=0", "--label io.x-k8s.kind.cluster=c", "--privileged"):
        assert option in started
    assert started.endswith(made.hop.cluster.creation)
    # The run and, if it is killed, the next one remove what it made.
    assert f"id-{NEW}" in made.hop.cluster.ids
    assert run_locks.made(tmp_path / "cache", "c") >= {"id-c-worker", f"id-{NEW}"}
    # No worker is upgraded in place.
    assert not [line for line in lines if "kubeadm upgrade node" in line]
    assert not (tmp_path / "join.yaml").exists()


def test_worker_that_cannot_be_drained_is_not_deleted(tmp_path: Path) -> None:
    made = world(tmp_path, f'*"drain {WORKERS[0]}"*) echo no luck >&2; exit 1;;')
    with pytest.raises(SetupError, match="no luck"):
        made.hop.run()
    assert not [line for line in made.log.lines if line.startswith("rm ") or " delete node " in line]


def test_configuration_of_a_join_has_what_kind_gives_a_worker() -> None:
    found = join_configuration("c", NEW, "172.18.0.9,fc00::9", PRINTED)
    assert yaml.safe_load(yaml.safe_dump(found)) == found
    token = {"apiServerEndpoint": "c-control-plane:6443", "token": "ab.cd", "caCertHashes": ["sha256:00"]}
    assert found["discovery"]["bootstrapToken"] == token
    arguments = {each["name"]: each["value"] for each in found["nodeRegistration"]["kubeletExtraArgs"]}
    assert arguments == {"node-ip": "172.18.0.9,fc00::9", "provider-id": f"kind://docker/c/{NEW}"}
    assert found["kind"] == "JoinConfiguration"


def test_new_worker_has_addresses_of_the_families_of_the_cluster_alone() -> None:
    both = ["172.18.0.9", "fc00::9"]
    assert ordered(both, ["IPv4"]) == ["172.18.0.9"]
    assert ordered(both, ["IPv6", "IPv4"]) == ["fc00::9", "172.18.0.9"]


def test_new_worker_gets_the_next_free_name() -> None:
    assert free_name("c", ["c-control-plane"]) == "c-worker2"
    assert free_name("c", ["c-control-plane", "c-worker", "c-worker2", "c-worker4"]) == "c-worker3"


def test_restart_is_over_when_every_system_pod_runs_in_other_containers() -> None:
    status = {"conditions": conditions(Ready="True"), "containerStatuses": [{"containerID": "one"}]}
    proxy = thing("Pod", "proxy", status=status)
    before = {proxy.uid: container_ids(proxy)}
    again = changed(proxy, "status.containerStatuses.0.containerID", "two")
    assert started_again(before, [again]).met
    assert started_again({}, [proxy]).met
    for pods in ([], [proxy], [again, proxy], [changed(again, "status.conditions", conditions(Ready="False"))]):
        assert not started_again(before, pods).met


@pytest.mark.parametrize(
    ("options", "way"),
    [({}, "in place"), ({"drain": True}, "drained"), ({"reboot": True}, "restarted"), ({"replace": True}, "replaced")],
)
def test_options_say_what_is_done_to_workers(options: dict[str, bool], way: str) -> None:
    assert way_of(Hops(**options)) == way  # type: ignore[arg-type]
