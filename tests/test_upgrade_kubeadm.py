import itertools
import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from kubechain.cluster.kind import Cluster
from kubechain.core.errors import ExitCode, HarnessError, SetupError
from kubechain.core.progress import Progress
from kubechain.kube.errors import ApiRefused, ApiUnavailable, starting_up
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.wait import Waiter
from kubechain.upgrade import kubeadm
from kubechain.upgrade.kubeadm import Hop, HopFiles
from kubechain.upgrade.versions import hops
from kubechain.upgrade.workers import Way
from tests.fakes import FakeApi, FakeClock, conditions, no_answer, thing
from tests.test_upgrade_hops import PINNED

CONTROL_PLANE, WORKERS = "c-control-plane", ["c-worker", "c-worker2"]
NEW = "c-worker3"
# What starts a kubelet of the new version.
STARTS = ("systemctl restart kubelet", "kubeadm join")
TO = "1.35.4"
DRAIN = "kubectl --kubeconfig=/etc/kubernetes/admin.conf drain {} --ignore-daemonsets --delete-emptydir-data --timeout=180s"
UNCORDON = "kubectl --kubeconfig=/etc/kubernetes/admin.conf uncordon {}"
IGNORED = "--ignore-preflight-errors=SystemVerification"
FORBIDDEN = ApiRefused(403, "Forbidden", "no roles yet")


class Log:
    """The commands that a docker client received and the recorded steps, in order."""

    def __init__(self, folder: Path, answers: str = "") -> None:
        self.file, self.client = folder / "log", folder / "docker"
        self.file.touch()
        # The path of the test's folder is removed from the commands.
        self.client.write_text(f'#!/bin/sh\necho "$*" | sed "s|{folder}/||g" >> {self.file}\ncase "$*" in\n{answers}\nesac\n')
        self.client.chmod(0o755)

    def add(self, text: str) -> None:
        """Add a line."""
        with self.file.open("a") as file:
            file.write(f"{text}\n")

    @property
    def lines(self) -> list[str]:
        """All lines."""
        return self.file.read_text().splitlines()


def rolled_out(version: str = TO) -> list[KubeObject]:
    """Return the Nodes and system objects of an upgraded cluster."""
    template: Json = {"spec": {"containers": [{"image": f"example.org/kube-proxy:v{version}"}]}}
    daemons = {"observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 3}
    replicas = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), 2)
    return [
        *(thing("Node", name, status={"conditions": conditions(Ready="True")}) for name in (CONTROL_PLANE, *WORKERS)),
        thing("Pod", "etcd", status={"conditions": conditions(Ready="True")}),
        thing("Pod", "job", status={"phase": "Succeeded", "conditions": conditions(Ready="False")}),
        thing("DaemonSet", "kube-proxy", generation=2, spec={"template": template}, status=daemons),
        thing("Deployment", "coredns", generation=5, spec={"replicas": 2}, status={"observedGeneration": 5, **replicas}),
    ]


class World:
    """A cluster whose API server answers according to the commands in the log."""

    def __init__(self, folder: Path, answers: str = "", others: tuple[str, ...] = (), **options: Any) -> None:
        names = "\n".join([CONTROL_PLANE, *WORKERS, *others])
        self.log = Log(folder, f"ps*) printf '{names}';;\n{answers}")
        self.stuck, self.refused, self.times, self.refusal = "", Counter[tuple[str, str]](), 0.0, FORBIDDEN
        cluster = Cluster("c", folder, "", Path("kind"), Path("kubectl"), self.log.client)
        waiter, progress = Waiter(FakeClock()), Progress()
        self.hop = Hop(cluster, FakeApi(self.answer), waiter, progress, self.record_step, TO, folder, **options)

    def record_step(self, what: str) -> None:
        """Add a step to the log."""
        self.log.add(f"# {what}")

    def answer(self, _method: str, path: str, _body: Any) -> str:
        """Answer as the API server, which refuses each request `times` times after each command."""
        done = [line for line in self.log.lines if not line.startswith("?")][-1], path
        if self.refused[done] < self.times:
            self.refused[done] += 1
            raise self.refusal
        if path == "/version":
            new = self.stuck != "API" and any(" apply " in line for line in self.log.lines)
            return json.dumps({"gitVersion": f"v{TO}" if new else "v1.34.4"})
        name = path.rpartition("/")[2]
        if name.startswith("c-"):
            self.log.add(f"? {name}")
            new = any(f"exec {name} {how}" in line for how in STARTS for line in self.log.lines) and name != self.stuck
            status = {
                "nodeInfo": {"kubeletVersion": f"v{TO}" if new else "v1.34.4"},
                "conditions": conditions(Ready="True"),
                "addresses": [{"type": "InternalIP", "address": "172.18.0.3"}],
            }
            return json.dumps(thing("Node", name, status=status).body)
        version = TO if f"exec {CONTROL_PLANE} {PROXY_PHASE}" in self.log.lines else "1.34.4"
        items = [each.body for each in [*rolled_out(version), *self.proxies()] if each.kind.lower() + "s" == name]
        if name == "nodes":
            self.log.add("? settled")
        return json.dumps({"items": items, "metadata": {"resourceVersion": "1"}})

    def proxies(self) -> list[KubeObject]:
        """Return the Pods of kube-proxy on workers, in other containers after each restart of their Node."""
        joined = [line.split()[1] for line in self.log.lines if line.startswith("exec ") and " kubeadm join" in line]
        nodes = [*WORKERS, *joined]
        counts = {node: self.log.lines.count(f"restart --time 30 {node}") for node in nodes}
        ready = conditions(Ready="True")
        return [
            thing("Pod", f"proxy-{node}", spec={"nodeName": node}, status={"conditions": ready, "containerStatuses": [
                {"name": "kube-proxy", "containerID": f"{node}-{count}"}]})
            for node, count in counts.items()
        ]  # fmt: skip


PROXY_PHASE = f"kubeadm upgrade apply phase addon kube-proxy v{TO}"


def replaced(node: str, program: str) -> list[str]:
    path = f"/usr/bin/{program}"
    return [f"cp {program} {node}:{path}.new", f"exec {node} sh -c chmod 755 {path}.new && mv {path}.new {path}"]


def kubelet(node: str) -> list[str]:
    return [*replaced(node, "kubelet"), f"exec {node} systemctl restart kubelet", f"# kubelet of {node} restarted"]


def whole_hop(way: Way = "in place") -> list[str]:
    """Return the commands, steps (#) and waits (?) of a hop, in order."""
    drain = way != "in place"
    steps = [
        *replaced(CONTROL_PLANE, "kubeadm"),
        f"# kubeadm upgrade apply v{TO}",
        f"exec {CONTROL_PLANE} kubeadm upgrade apply v{TO} --yes {IGNORED} --skip-phases=addon/kube-proxy",
        "# control plane upgraded",
        *replaced(CONTROL_PLANE, "kubectl"),
        "? settled",
        f"exec {CONTROL_PLANE} {PROXY_PHASE}",
        "# kube-proxy upgraded",
        "? settled",
        *kubelet(CONTROL_PLANE),
        f"? {CONTROL_PLANE}",
        "? settled",
    ]
    for node in WORKERS:
        drained = [f"# draining {node}", f"exec {CONTROL_PLANE} {DRAIN.format(node)}", f"# drained {node}"]
        steps += drained if drain else []
        steps += [*replaced(node, "kubeadm"), f"exec {node} kubeadm upgrade node {IGNORED}"]
        steps += [*kubelet(node), f"? {node}"]
        restart = [f"# restarting {node}", f"restart --time 30 {node}", f"? {node}", f"# restarted {node}"]
        steps += restart if way == "restarted" else []
        steps += [f"exec {CONTROL_PLANE} {UNCORDON.format(node)}", f"# uncordoned {node}"] if drain else []
    return [*steps, "? settled"]


@pytest.mark.parametrize("way", ["in place", "drained", "restarted"])
def test_hop_runs_its_steps_in_order(tmp_path: Path, way: Way) -> None:
    world = World(tmp_path, way=way)
    world.hop.run()
    lines = [line for line in world.log.lines if not line.startswith("ps ")]
    assert [line for line, _ in itertools.groupby(lines)] == whole_hop(way)
    assert world.hop.waiter.clock.now() >= 1000 + kubeadm.STEADY_SECONDS


def test_workers_start_after_the_control_plane_was_steady_since_its_last_outage(tmp_path: Path) -> None:
    world = World(tmp_path)
    clock, answer = world.hop.waiter.clock, world.answer
    failures: list[float] = []

    def failing(method: str, path: str, body: Any) -> str:
        if path == "/version" and 1008 <= clock.now() < 1012:
            failures.append(clock.now())
            raise ApiUnavailable("refused", ExitCode.UNREACHABLE)
        if path.endswith("/c-worker"):
            world.log.add(f"# worker at {clock.now() - failures[-1] > kubeadm.STEADY_SECONDS}")
        return answer(method, path, body)

    world.hop = replace(world.hop, api=FakeApi(failing))
    world.hop.run()
    assert "# worker at True" in world.log.lines
    assert "# worker at False" not in world.log.lines


def test_forbidden_requests_of_a_starting_api_server_are_repeated(tmp_path: Path) -> None:
    world = World(tmp_path, way="drained")
    world.times = 2
    world.hop.run()
    assert [line for line in world.log.lines if line[:2] not in ("ps", "? ")] == [
        line for line in whole_hop("drained") if line[:2] != "? "
    ]
    refused = {path.rpartition("/")[2] for _, path in world.refused}
    assert refused == {"version", "nodes", "pods", "daemonsets", "deployments", CONTROL_PLANE, *WORKERS}
    assert set(world.refused.values()) == {2}


def test_forbidden_command_of_a_node_is_repeated(tmp_path: Path) -> None:
    once = f'test -e {tmp_path}/once || {{ touch {tmp_path}/once; echo "configmaps is forbidden" >&2; exit 1; }}'
    world = World(tmp_path, f'*"upgrade node"*) {once};;')
    world.hop.run()
    upgraded = [line for line in world.log.lines if "upgrade node" in line]
    assert [line.split()[1] for line in upgraded] == ["c-worker", "c-worker", "c-worker2"]


def test_lasting_403_is_an_error_after_the_timeout(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.times = math.inf
    with pytest.raises(
        HarnessError, match=r"^cannot decide: expected all ready at v1\.35\.4; API server: 403 Forbidden: no roles yet$"
    ):
        world.hop.run()
    assert world.hop.waiter.clock.now() == pytest.approx(1000 + kubeadm.SETTLED.seconds)


@pytest.mark.parametrize("status", [400, 401, 404, 409, 410])
def test_other_refusals_end_the_hop_at_once(tmp_path: Path, status: int) -> None:
    world, other = World(tmp_path), ApiRefused(status, "Other", "never")
    world.times, world.refusal = 1, other
    with pytest.raises(ApiRefused) as caught:
        world.hop.run()
    assert caught.value is other
    assert world.hop.waiter.clock.now() == 1000


def test_only_a_403_counts_as_starting() -> None:
    with starting_up():
        pass
    with pytest.raises(ApiUnavailable, match=r"^API server: 403 Forbidden: no roles yet$") as caught, starting_up():
        raise FORBIDDEN
    assert (caught.value.code, caught.value.__cause__) == (ExitCode.RIGHTS, FORBIDDEN)
    unavailable = ApiUnavailable("API server: 503", ExitCode.UNREACHABLE)
    for other in (*(ApiRefused(status, "Other", "never") for status in (400, 401, 404, 409, 410)), unavailable):
        with pytest.raises(HarnessError) as raised, starting_up():
            raise other
        assert raised.value is other


@pytest.mark.parametrize(
    ("stuck", "why"),
    [
        ("c-worker", "expected Node c-worker ready, kubelet v1.35.4, got kubelet v1.34.4"),
        ("API", "expected all ready at v1.35.4, got the API server at v1.34.4"),
    ],
)
def test_component_of_the_old_version_ends_the_hop_at_its_step(tmp_path: Path, stuck: str, why: str) -> None:
    world = World(tmp_path, way="drained")
    world.stuck = stuck
    with pytest.raises(SetupError, match=f"^the upgrade to {TO} stopped: {why}") as caught:
        world.hop.run()
    assert caught.value.code == ExitCode.CLUSTER
    assert not [line for line in world.log.lines if "uncordon" in line or "c-worker2 kubeadm" in line]
    # The kubelet of the control plane is replaced only when its API server has the new version.
    assert any("kubelet" in line for line in world.log.lines) == (stuck != "API")


@pytest.mark.parametrize("fails", ["upgrade apply", "upgrade node", "drain"])
def test_failed_step_is_the_last(tmp_path: Path, fails: str) -> None:
    world = World(tmp_path, f'*"{fails}"*) echo "no such luck" >&2; exit 1;;', way="drained")
    with pytest.raises(SetupError, match="no such luck") as caught:
        world.hop.run()
    assert caught.value.code == ExitCode.CLUSTER
    assert fails in world.log.lines[-1]


def test_each_hop_runs_with_its_bundle_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, versions = World(tmp_path).log, hops("1.34.4", "1.36.3", PINNED)

    def run(this: Hop) -> None:
        assert this.api is api
        log.add(f"hop to {this.to} with {this.bundle}{'' if this.way == 'in place' else f', {this.way}'}")

    monkeypatch.setattr(Hop, "run", run)
    cluster = Cluster("c", tmp_path, "", Path("kind"), Path("kubectl"), log.client)
    api = FakeApi(no_answer)
    files = [HopFiles(Path(f"bundle-{version}"), cast("Any", None)) for version in ("1.35.4", "1.36.3")]
    arguments = (cluster, api, versions, files, log.add, Progress())
    assert kubeadm.upgrade(*arguments, "drained") == tuple(WORKERS)
    steps = [f"hop to {version} with bundle-{version}, drained" for version in ("1.35.4", "1.36.3")]
    assert [line for line in log.lines if not line.startswith("ps ")] == steps
    assert kubeadm.upgrade(*arguments) == ()
    with pytest.raises(ValueError, match="shorter"):
        kubeadm.upgrade(cluster, api, versions, files[:1], log.add, Progress())
