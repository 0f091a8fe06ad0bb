"""Workers that are replaced during an upgrade: which commands run in which order, and who removes the new ones."""

import json
from collections import deque
from pathlib import Path

import pytest
import yaml

from kubechain.cleanup import run_locks
from kubechain.cluster.kind import Cluster
from kubechain.cluster.worker_nodes import free_name, join_configuration, ordered
from kubechain.core.build_cache import BuildCache
from kubechain.core.change_settings import Hops
from kubechain.core.errors import SetupError
from kubechain.upgrade.machines import Machines
from kubechain.upgrade.workers import container_ids, started_again, way_of
from tests.fakes import changed, conditions, thing
from tests.test_upgrade_kubeadm import CONTROL_PLANE, DRAIN, NEW, WORKERS, Log, World

PRINTED = "kubeadm join c-control-plane:6443 --token ab.cd --discovery-token-ca-cert-hash sha256:00"
HOST = json.dumps({"NetworkMode": "kind", "Sysctls": {"net.ipv6.conf.all.disable_ipv6": "0"}})
IMAGES = {CONTROL_PLANE: "", "c-worker": "docker.io/nginx:1 docker.io/cni:2 sha256:12 x@sha256:34", NEW: "docker.io/cni:2"}


def world(folder: Path, answers: str = "") -> World:
    listed = "\n".join(f"*'exec {node} ctr'*'images list'*) printf '{names}';;" for node, names in IMAGES.items())
    own = f"*'images list'*) ;;\n*HostConfig*) printf '{HOST}';;\n*IPAddress*) printf '172.18.0.9 ';;"
    own += f"\n*token*) printf '{PRINTED}';;"
    run = "'run --name'*) printf \"id-$3\";;\n'cp '*kubechain-images*) touch \"$3\";;"
    machines = Machines("node:1.35.4", folder / "cache", BuildCache(folder / "store"))
    made = World(folder, f"{answers}\n{listed}\n{own}\n{run}", way="replaced", machines=machines)
    made.hop.cluster.ids = frozenset(["id-c-worker"])
    run_locks.mark_made(folder / "cache", "c", ["id-c-worker"])
    for worker in WORKERS:
        machines.start(made.hop.cluster, worker, made.hop.waiter)
    return made


def shown(lines: list[str]) -> list[str]:
    """Return the commands and the steps without waits."""
    return [line for line in lines if not line.startswith(("?", "ps "))]


def test_machines_are_started_with_their_images_before_the_upgrade(tmp_path: Path) -> None:
    made = world(tmp_path)
    cluster, lines = made.hop.cluster, shown(made.log.lines)
    order = [
        "tag node:1.35.4",
        f"run --name {NEW} --hostname {NEW}",
        f"exec {NEW} ctr --namespace=k8s.io version",
        "images export /kind/kubechain-images.tar docker.io/nginx:1",
        "run --name c-worker4 --hostname c-worker4",
    ]
    assert places(lines, order) == sorted(places(lines, order))
    (started,) = [line for line in lines if line.startswith(f"run --name {NEW} ")]
    for option in ("--net kind", "--sysctl=net.ipv6.conf.all.disable_ipv6=0", "--label io.x-k8s.kind.cluster=c", "--privileged"):
        assert option in started
    assert "--cpu-shares=256" in started
    assert started.endswith(cluster.creation)
    # The run and, if it is killed, the next one remove what it made.
    assert {f"id-{NEW}", "id-c-worker4"} <= cluster.ids
    assert run_locks.made(tmp_path / "cache", "c") == {"id-c-worker", f"id-{NEW}", "id-c-worker4"}


def test_idle_machine_is_no_node_until_it_joins(tmp_path: Path) -> None:
    cluster = Cluster("c", tmp_path, "", Path("kind"), Path("kubectl"), Log(tmp_path, f"ps*) printf 'c-worker {NEW}';;").client)
    cluster.idle = frozenset([NEW])
    machines = Machines("node:1.35.4", tmp_path, BuildCache(tmp_path), deque([NEW]))
    assert cluster.nodes() == ["c-worker"]
    assert machines.take(cluster) == NEW
    assert cluster.nodes() == ["c-worker", NEW]
    with pytest.raises(SetupError, match="no machine is left"):
        machines.take(cluster)


def places(lines: list[str], order: list[str]) -> list[int]:
    return [next(number for number, line in enumerate(lines) if step in line) for step in order]


def test_new_worker_joins_before_the_old_one_is_drained_and_deleted(tmp_path: Path) -> None:
    made = world(tmp_path)
    before = len(made.log.lines)
    made.hop.run()
    lines = shown(made.log.lines[before:])
    order = [
        f"exec {CONTROL_PLANE} kubeadm token create --ttl=10m --print-join-command",
        f"# joining {NEW}",
        f"exec {NEW} kubeadm join --config=/kind/kubechain-join.yaml --skip-phases=preflight",
        f"update --cpu-shares=1024 {NEW}",
        f"# joined {NEW}",
        "# draining c-worker",
        f"exec {CONTROL_PLANE} {DRAIN.format('c-worker')}",
        "# drained c-worker",
        "exec c-worker systemctl stop kubelet",
        "rm --force --volumes c-worker",
        f"exec {CONTROL_PLANE} kubectl --kubeconfig=/etc/kubernetes/admin.conf delete node c-worker",
        "# deleted c-worker",
        "# joining c-worker4",
        "# deleted c-worker2",
    ]
    assert places(lines, order) == sorted(places(lines, order))
    # Nothing is started or copied while the samplers run.
    assert not [line for line in lines if line.startswith("run ") or " images " in line]
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
