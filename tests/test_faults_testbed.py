"""What a fault does to a static Pod, on a node that is a folder with a shell; and the wait for leaders."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from kubechain.conditions import timeouts
from kubechain.core.errors import Unmet
from kubechain.faults import injections
from kubechain.faults import testbed as testbed_module
from kubechain.faults.injections import StaticPod
from kubechain.faults.testbed import LEADERS, Testbed
from kubechain.observe.wait import Waiter
from tests.engine_objects import KnownNodes, as_testbed
from tests.fakes import FakeClock
from tests.test_testbed import BEFORE, Node, make_testbed

SERVER = "kube-apiserver"
PROGRAMS = [SERVER, *LEADERS, "etcd"]
COMMAND = ["run", "--port=1", "--rate=5", "--rate-of-all=6"]


class Shell:
    """A node in a folder; its `sleep` and `pkill` only log their arguments and the checksum of the manifest at that time."""

    def __init__(self, folder: Path, component: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.manifest, self.kept = folder / "manifests" / f"{component}.yaml", folder / "aside" / f"{component}.yaml"
        self.log, self.component = folder / "log", component
        self.log.touch()
        self.manifest.parent.mkdir()
        self.text = yaml.safe_dump({"metadata": {"name": component}, "spec": {"containers": [{"command": COMMAND}]}})
        self.manifest.write_text(self.text)
        programs = folder / "bin"
        programs.mkdir()
        log = f'echo "$(basename "$0") $*, manifest $(cksum < {self.manifest} 2> /dev/null || echo gone)" >> {self.log}\n'
        # pkill exits with 1, as it does without a matching process.
        for name, status in (("sleep", 0), ("pkill", 1)):
            self._program(programs / name, f"{log}exit {status}\n")
        # docker exec [--interactive] NODE sh -c SCRIPT
        client = folder / "docker"
        self._program(client, f'shift\n[ "$1" = --interactive ] && shift\nshift\nPATH="{programs}:$PATH" exec "$@"\n')
        for module in (injections, testbed_module):
            monkeypatch.setattr(module, "MANIFESTS", str(self.manifest.parent))
            monkeypatch.setattr(module, "ASIDE", str(self.kept.parent))
        self.testbed = as_testbed(KnownNodes(folder, ["kind-control-plane", "kind-worker"], client))

    @staticmethod
    def _program(path: Path, text: str) -> None:
        path.write_text(f"#!/bin/sh\n{text}")
        path.chmod(0o755)

    def kills_after(self, change: Callable[[Testbed], None]) -> bool:
        """Make a change; return whether it kills the component 2 s later, False if it kills nothing."""
        self.log.write_text("")
        change(self.testbed)
        logged = self.log.read_text().splitlines()
        if not logged:
            return False
        # The checksums are equal only if the component is killed after the last change of the manifest.
        self.log.write_text("")
        self.testbed.run_on("kind-control-plane", f"sleep 2; pkill -KILL -x {self.component[:15]} || true")
        assert logged == self.log.read_text().splitlines()
        return True


@pytest.mark.parametrize("component", PROGRAMS)
def test_changed_arguments_kill_only_an_api_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, component: str) -> None:
    shell, fault = Shell(tmp_path, component, monkeypatch), StaticPod(component, {"--rate": "1", "--new": "2"})
    assert shell.kills_after(fault.inject) == (component == SERVER)
    (container,) = yaml.safe_load(shell.manifest.read_text())["spec"]["containers"]
    assert container["command"] == ["run", "--port=1", "--rate-of-all=6", "--rate=1", "--new=2"]
    assert shell.kept.read_text() == shell.text
    assert shell.kills_after(fault.heal) == (component == SERVER)
    assert shell.manifest.read_text() == shell.text
    assert not shell.kept.exists()


@pytest.mark.parametrize("component", PROGRAMS)
def test_removed_manifest_kills_only_an_api_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, component: str) -> None:
    shell, fault = Shell(tmp_path, component, monkeypatch), StaticPod(component)
    assert shell.kills_after(fault.inject) == (component == SERVER)
    assert not shell.manifest.exists()
    assert shell.kept.read_text() == shell.text
    assert shell.kills_after(fault.heal) == (component == SERVER)
    assert shell.manifest.read_text() == shell.text


@pytest.mark.parametrize("component", LEADERS)
def test_healing_kills_a_component_without_leader_election(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, component: str
) -> None:
    shell, fault = Shell(tmp_path, component, monkeypatch), StaticPod(component, {"--leader-elect": "false"})
    assert not shell.kills_after(fault.inject)
    assert shell.kills_after(fault.heal)
    assert shell.manifest.read_text() == shell.text


@pytest.mark.parametrize("component", PROGRAMS)
def test_healing_without_a_fault_kills_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, component: str) -> None:
    shell = Shell(tmp_path, component, monkeypatch)
    assert not shell.kills_after(StaticPod(component).heal)
    assert shell.manifest.read_text() == shell.text


def waiting(node: Node, monkeypatch: pytest.MonkeyPatch) -> tuple[Testbed, FakeClock]:
    """Return a testbed with a fake clock, and that clock."""
    testbed, clock = make_testbed(node, monkeypatch), FakeClock()
    monkeypatch.setattr(testbed.chain_factory, "waiter", lambda: Waiter(clock), raising=False)
    return testbed, clock


def later() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def test_wait_ends_when_every_leader_has_renewed_its_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(*LEADERS, renewed=datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"))
    testbed, clock = waiting(node, monkeypatch)
    clock.at(20, lambda: node.leases.update({LEADERS[0]: later()}))
    clock.at(30, lambda: node.leases.update({LEADERS[1]: later()}))
    testbed.require_leaders()
    assert 1030 <= clock.time < 1031
    assert node.written == []


def test_wait_ends_when_a_revived_leader_has_renewed_its_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = LEADERS
    node = Node(second, renewed=BEFORE)
    node.leases[second] = later()
    testbed, clock = waiting(node, monkeypatch)
    clock.at(2, lambda: node.running.add(first[:15]))
    clock.at(17, lambda: node.leases.update({first: later()}))
    testbed.require_leaders()
    assert 1017 <= clock.time < 1018
    assert set(node.written) == {first}


def test_wait_ends_when_the_api_server_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(*LEADERS, renewed=later())
    node.ready = False
    testbed, clock = waiting(node, monkeypatch)
    clock.at(10, lambda: setattr(node, "ready", True))
    testbed.require_leaders()
    assert 1010 <= clock.time < 1011


@pytest.mark.parametrize("name", LEADERS)
def test_wait_fails_when_a_leader_never_renews_its_lease(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    node = Node(*LEADERS, renewed=later())
    node.leases[name] = BEFORE
    testbed, clock = waiting(node, monkeypatch)
    with pytest.raises(Unmet, match=f"^expected every leader to renew its lease, got {name} with a lease renewed at {BEFORE}"):
        testbed.require_leaders()
    assert clock.time == pytest.approx(1000 + timeouts.HEALED.seconds)
