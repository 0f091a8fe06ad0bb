"""How the programs of a control plane and kube-proxy become systemd units, on nodes that answer as those of kind do."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubechain.conditions.text import some
from kubechain.core.errors import Unmet
from kubechain.core.settings import load
from kubechain.faults.testbed import LEADERS, MANAGER, SCHEDULER, SERVER, Testbed
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from kubechain.kube.objects import Json
from tests.engine_objects import KnownNodes, chain_factory
from tests.fakes import FakeApi
from tests.terrains import units
from tests.terrains.units import CONTROL_PLANE, PROXY

NODES = ["c-control-plane", "c-worker", "c-worker2"]
FIRST = NODES[0]
# The programs of Pods end at this reading, and a program takes as many readings to start.
READINGS = 3
# Of the DaemonSet of kubeadm.
PROXY_OPTIONS = ["--config=/var/lib/kube-proxy/config.conf", "--hostname-override=$(NODE_NAME)"]
CONTAINERS = [{"command": [f"/usr/local/bin/{PROXY}", *PROXY_OPTIONS]}]


class Machines(Testbed):
    """Nodes of kind with their API server: what runs in Pods and as units, and the files that are written."""

    def __init__(self, folder: Path, *, broken: str = "", endless: str = "") -> None:
        super().__init__(KnownNodes(folder, NODES), chain_factory(FakeApi(self.answer)), folder, load())
        state: dict[str, Any] = {
            "broken": broken,
            "endless": endless,
            "in_pods": {(FIRST, name) for name in CONTROL_PLANE} | {(node, PROXY) for node in NODES},
            "ending": dict[tuple[str, str], int](),
            "units": dict[tuple[str, str], int](),
            "written": dict[str, str](),
            "scripts": list[str](),
            "objects": {
                f"daemonsets/{PROXY}": named("DaemonSet", PROXY, spec={"template": {"spec": {"containers": CONTAINERS}}}),
                f"configmaps/{PROXY}": named("ConfigMap", PROXY, data={"config.conf": "mode: iptables"}),
            },
            "static": True,
        }
        for name, value in state.items():
            object.__setattr__(self, name, value)

    in_pods: set[tuple[str, str]]
    ending: dict[tuple[str, str], int]
    units: dict[tuple[str, str], int]
    written: dict[str, str]
    scripts: list[str]
    objects: dict[str, str]
    broken: str
    endless: str
    static: bool

    def answer(self, method: str, path: str, _body: object) -> str:
        """Answer as the API server, which runs in its Pod or as a unit."""
        if (FIRST, SERVER) not in {*self.in_pods, *self.units}:
            raise ApiUnavailable("refused")
        name = path.rpartition("kube-system/")[2]
        if name == "pods":
            left = [each for node, each in self.in_pods if node == FIRST and each != PROXY]
            items = [{"kind": "Pod", "metadata": {"name": f"{each}-{FIRST}"}} for each in left]
            return json.dumps({"metadata": {}, "items": items})
        if name.startswith("leases/"):
            renewed = datetime.now(UTC) + timedelta(hours=(FIRST, name.removeprefix("leases/")) in self.units)
            return named("Lease", "l", spec={"renewTime": renewed.isoformat(timespec="microseconds").replace("+00:00", "Z")})
        if method == "DELETE":
            self._end([(node, PROXY) for node in NODES])
            return self.objects.pop(name)
        if name not in self.objects:
            raise ApiRefused(404, "NotFound", "no")
        return self.objects[name]

    def _end(self, programs: list[tuple[str, str]]) -> None:
        self.ending.update({each: 0 for each in programs if each[1] != self.endless})

    def succeeds_on(self, node: str, script: str) -> bool:
        """Look for a manifest."""
        assert (node, script) == (FIRST, f"test -e /etc/kubernetes/manifests/{SERVER}.yaml")
        return self.static

    def write_on(self, node: str, path: str, text: str) -> None:
        """Keep a file."""
        self.written[f"{node}:{path}"] = text

    def run_on(self, node: str, script: str) -> str:
        """Answer a script by its first word that says what it is for."""
        self.scripts.append(f"{node}: {script}")
        known = {each: rf"{each[:15]}\b|{re.escape(url)}" for each, url in units.HEALTH.items()}
        name = next((each for each, words in known.items() if re.search(words, script)), "")
        if script.startswith("cat "):
            return yaml.safe_dump({"spec": {"containers": [{"command": [name, f"--of={name}", "--empty="]}]}})
        if script.startswith("cp "):
            assert (node, name) in self.in_pods, f"{name} does not run on {node}"
        if " mv /etc/kubernetes/manifests/" in script:
            object.__setattr__(self, "static", False)
            self._end([(FIRST, each) for each in CONTROL_PLANE])
        if "enable --now" in script:
            assert (node, name) not in self.in_pods, f"{name} runs twice on {node}"
            assert f"{node}:/etc/systemd/system/{name}.service" in self.written
            self.units.setdefault((node, name), 0)
        return self._shown(node, name, script)

    def _shown(self, node: str, name: str, script: str) -> str:
        if script.startswith("for pid in"):
            if (node, name) in self.ending:
                self.ending[node, name] += 1
                if self.ending[node, name] == READINGS:
                    self.in_pods.remove((node, name))
            return "42\n" if (node, name) in self.in_pods else ""
        if script.startswith("curl "):
            self.units[node, name] += 1
            return "200" if self.units[node, name] >= READINGS and name != self.broken else "000"
        answers = {"systemctl is-active": "active\n", "kubeadm": "kind: Config\n", "journalctl": "I1127 begins\nE1127 no etcd\n"}
        return next((text for words, text in answers.items() if script.startswith(words)), "")


def named(kind: str, name: str, **fields: Json) -> str:
    """Return an object as the API server does."""
    return json.dumps({"kind": kind, "metadata": {"name": name}, **fields})


def converted(place: Machines) -> Machines:
    units.convert_control_plane(place)
    units.convert_proxies(place)
    return place


def test_programs_run_as_units_and_not_in_pods(tmp_path: Path) -> None:
    place = converted(Machines(tmp_path))
    assert place.in_pods == set()
    assert {*place.units} == {(FIRST, name) for name in CONTROL_PLANE} | {(node, PROXY) for node in NODES}
    assert f"daemonsets/{PROXY}" not in place.objects
    assert [name for _, name in place.units][: len(CONTROL_PLANE)] == ["etcd", SERVER, MANAGER, SCHEDULER]


def test_units_have_the_arguments_of_the_pods(tmp_path: Path) -> None:
    place = converted(Machines(tmp_path))
    scheduler = place.written[f"{FIRST}:/etc/systemd/system/{SCHEDULER}.service"]
    assert f'\nExecStart=/usr/local/bin/{SCHEDULER} "--of={SCHEDULER}" "--empty="\nRestart=always\n' in scheduler
    proxy = place.written[f"c-worker:/etc/systemd/system/{PROXY}.service"]
    assert 'kube-proxy "--config=/var/lib/kube-proxy/config.conf" "--hostname-override=c-worker"\n' in proxy
    assert place.written["c-worker:/var/lib/kube-proxy/config.conf"] == "mode: iptables"
    assert place.written["c-worker:/var/lib/kube-proxy/kubeconfig.conf"] == "kind: Config\n"


def test_conversion_can_be_repeated(tmp_path: Path) -> None:
    place = converted(Machines(tmp_path))
    place.scripts.clear()
    written = dict(place.written)
    converted(place)
    assert not [script for script in place.scripts if ": cp " in script or " mv " in script]
    assert place.written == written


@pytest.mark.parametrize("name", ["etcd", *LEADERS, PROXY])
def test_program_that_does_not_work_as_a_unit_is_named_with_its_last_serious_words(tmp_path: Path, name: str) -> None:
    with pytest.raises(Unmet) as error:
        converted(Machines(tmp_path, broken=name))
    url = units.HEALTH[name]
    assert str(error.value).startswith(
        f"expected {name} on {FIRST} to run in its unit alone and to answer 200 at {url}, got active"
    )
    assert "status 000, pids outside: none; its journal says: E1127 no etcd (waited 120.0 of 120 s: " in str(error.value)


@pytest.mark.parametrize(("name", "others"), [(MANAGER, CONTROL_PLANE), (PROXY, (PROXY,))])
def test_program_of_a_pod_that_does_not_end_is_named_with_its_pid(tmp_path: Path, name: str, others: tuple[str, ...]) -> None:
    with pytest.raises(Unmet) as error:
        converted(Machines(tmp_path, endless=name))
    expected = (
        f"expected no {' or '.join(others)} outside of its unit on {FIRST}, got {some([f'{name} (pid 42)'])} outside (waited "
    )
    assert str(error.value).startswith(expected)


def test_words_of_a_command_are_literal_to_systemd() -> None:
    words = ["--a=b", "--empty=", "--path=%n $HOME", '--json={"a": "\\d"}']
    assert [units.quoted(word) for word in words] == [
        '"--a=b"',
        '"--empty="',
        '"--path=%%n $$HOME"',
        '"--json={\\"a\\": \\"\\\\d\\"}"',
    ]


@pytest.mark.parametrize(("there", "found"), [(("nft",), "nft"), (("legacy",), "legacy"), (("nft", "legacy"), "nft"), ((), "")])
def test_unit_of_kube_proxy_has_the_tables_of_its_pod(tmp_path: Path, there: tuple[str, ...], found: str) -> None:
    programs, tables = tmp_path / "bin", tmp_path / "tables"
    programs.mkdir()
    for kind in ("nft", "legacy"):
        program = programs / f"iptables-{kind}-save"
        program.write_text(f"#!/bin/sh\necho ':{'KUBE-SERVICES' if kind in there else 'DOCKER'} - [0:0]'\n")
        program.chmod(0o755)
    script = units.SAME_TABLES.replace(units.TABLES_FOLDER, str(tables))
    done = subprocess.run(
        ["sh", "-c", script], env={"PATH": f"{programs}:/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == bool(found)
    if found:
        assert {str((tables / name).readlink()) for name in units.TABLES} == {f"/usr/sbin/xtables-{found}-multi"}
    else:
        assert "no rules of kube-proxy in the tables nft or legacy" in done.stderr
