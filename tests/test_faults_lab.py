"""What a fault does to a static Pod, by a shell on a node of files; and the wait for leaders."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from kubechain.conditions import timeouts
from kubechain.core.errors import Unmet
from kubechain.faults import injections
from kubechain.faults import testbed as lab_module
from kubechain.faults.injections import StaticPod
from kubechain.faults.testbed import LEADERS, Testbed
from kubechain.observe.wait import Waiter
from tests.fakes import FakeClock
from tests.test_lab import BEFORE, Node, lab_of

SERVER = "kube-apiserver"
PROGRAMS = [SERVER, *LEADERS, "etcd"]
COMMAND = ["run", "--port=1", "--rate=5", "--rate-of-all=6"]


class Shell:
    """A node whose files are in a folder, and whose `sleep` and `pkill` only note what they are told, and what they find."""

    def __init__(self, folder: Path, component: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.manifest, self.kept = folder / "manifests" / f"{component}.yaml", folder / "aside" / f"{component}.yaml"
        self.log, self.ends = folder / "log", component
        self.log.touch()
        self.manifest.parent.mkdir()
        self.text = yaml.safe_dump({"metadata": {"name": component}, "spec": {"containers": [{"command": COMMAND}]}})
        self.manifest.write_text(self.text)
        programs = folder / "bin"
        programs.mkdir()
        note = f'echo "$(basename "$0") $*, manifest $(cksum < {self.manifest} 2> /dev/null || echo gone)" >> {self.log}\n'
        # As where there is no such process.
        for name, status in (("sleep", 0), ("pkill", 1)):
            self._program(programs / name, f"{note}exit {status}\n")
        # docker exec [--interactive] NODE sh -c SCRIPT
        client = folder / "docker"
        self._program(client, f'shift\n[ "$1" = --interactive ] && shift\nshift\nPATH="{programs}:$PATH" exec "$@"\n')
        for module in (injections, lab_module):
            monkeypatch.setattr(module, "MANIFESTS", str(self.manifest.parent))
            monkeypatch.setattr(module, "ASIDE", str(self.kept.parent))
        cluster = SimpleNamespace(docker=SimpleNamespace(client=client), nodes=lambda: ["kind-control-plane", "kind-worker"])
        self.lab = Testbed(cast("Any", cluster), cast("Any", None), folder, cast("Any", None))

    @staticmethod
    def _program(path: Path, text: str) -> None:
        path.write_text(f"#!/bin/sh\n{text}")
        path.chmod(0o755)

    def ended_after(self, change: Callable[[Testbed], None]) -> bool:
        """Make a change and return whether the component was ended 2 s after it, False if nothing was ended at all."""
        self.log.write_text("")
        change(self.lab)
        made = self.log.read_text().splitlines()
        if not made:
            return False
        # What they found is what is there now: they came last.
        self.log.write_text("")
        self.lab.on("kind-control-plane", f"sleep 2; pkill -KILL -x {self.ends[:15]} || true")
        assert made == self.log.read_text().splitlines()
        return True


@pytest.mark.parametrize("component", PROGRAMS)
def test_only_an_api_server_is_ended_once_its_manifest_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, component: str
) -> None:
    shell, fault = Shell(tmp_path, component, monkeypatch), StaticPod(component, {"--rate": "1", "--new": "2"})
    assert shell.ended_after(fault.inject) == (component == SERVER)
    (container,) = yaml.safe_load(shell.manifest.read_text())["spec"]["containers"]
    assert container["command"] == ["run", "--port=1", "--rate-of-all=6", "--rate=1", "--new=2"]
    assert shell.kept.read_text() == shell.text
    assert shell.ended_after(fault.heal) == (component == SERVER)
    assert shell.manifest.read_text() == shell.text
    assert not shell.kept.exists()


@pytest.mark.parametrize("component", PROGRAMS)
def test_only_an_api_server_is_ended_once_its_manifest_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, component: str
) -> None:
    shell, fault = Shell(tmp_path, component, monkeypatch), StaticPod(component)
    assert shell.ended_after(fault.inject) == (component == SERVER)
    assert not shell.manifest.exists()
    assert shell.kept.read_text() == shell.text
    assert shell.ended_after(fault.heal) == (component == SERVER)
    assert shell.manifest.read_text() == shell.text


@pytest.mark.parametrize("component", LEADERS)
def test_component_that_takes_no_lease_is_ended_at_once_when_it_is_healed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, component: str
) -> None:
    shell, fault = Shell(tmp_path, component, monkeypatch), StaticPod(component, {"--leader-elect": "false"})
    assert not shell.ended_after(fault.inject)
    assert shell.ended_after(fault.heal)
    assert shell.manifest.read_text() == shell.text


@pytest.mark.parametrize("component", PROGRAMS)
def test_healing_what_is_whole_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, component: str) -> None:
    shell = Shell(tmp_path, component, monkeypatch)
    assert not shell.ended_after(StaticPod(component).heal)
    assert shell.manifest.read_text() == shell.text


def waiting(node: Node, monkeypatch: pytest.MonkeyPatch) -> tuple[Testbed, FakeClock]:
    """Return a lab whose waits take no time, and their clock."""
    lab, clock = lab_of(node, monkeypatch), FakeClock()
    monkeypatch.setattr(lab.chain_factory, "waiter", lambda: Waiter(clock), raising=False)
    return lab, clock


def later() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def test_leaders_that_renew_their_leases_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(*LEADERS, renewed=datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"))
    lab, clock = waiting(node, monkeypatch)
    clock.at(20, lambda: node.leases.update({LEADERS[0]: later()}))
    clock.at(30, lambda: node.leases.update({LEADERS[1]: later()}))
    lab.require_led()
    assert 1030 <= clock.time < 1031
    assert node.written == []


def test_leader_that_ended_is_waited_for_until_it_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = LEADERS
    node = Node(second, renewed=BEFORE)
    node.leases[second] = later()
    lab, clock = waiting(node, monkeypatch)
    clock.at(2, lambda: node.running.add(first[:15]))
    clock.at(17, lambda: node.leases.update({first: later()}))
    lab.require_led()
    assert 1017 <= clock.time < 1018
    assert set(node.written) == {first}


def test_api_server_that_comes_back_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(*LEADERS, renewed=later())
    node.ready = False
    lab, clock = waiting(node, monkeypatch)
    clock.at(10, lambda: setattr(node, "ready", True))
    lab.require_led()
    assert 1010 <= clock.time < 1011


@pytest.mark.parametrize("name", LEADERS)
def test_leader_that_never_renews_its_lease_is_not_led(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    node = Node(*LEADERS, renewed=later())
    node.leases[name] = BEFORE
    lab, clock = waiting(node, monkeypatch)
    with pytest.raises(Unmet, match=f"^expected every leader to renew its lease, got {name} with a lease renewed at {BEFORE}"):
        lab.require_led()
    assert clock.time == pytest.approx(1000 + timeouts.HEALED.seconds)
