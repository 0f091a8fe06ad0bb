"""Any change: a command with samples before, during and after it, and how it ends."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.cli.parser import parse, with_command
from kubechain.core.errors import ExitCode, HarnessError, SetupError
from kubechain.core.setting_values import words_of_shell
from kubechain.kube.client import Api
from kubechain.observe.history import History
from kubechain.upgrade import change, witnesses
from kubechain.upgrade.change import AFTERMATH_SECONDS, LOOK_SECONDS, RENEW_SECONDS, WitnessCare, changing
from kubechain.upgrade.cluster_watch import ClusterWatch
from kubechain.upgrade.figures import BY_HAND, title
from kubechain.upgrade.model import UpgradeRecord
from kubechain.upgrade.phases import After, Before
from tests.fakes import FakeApi, FakeClock, conditions, thing


def watch() -> ClusterWatch:
    return ClusterWatch(History("", FakeClock()), History("kube-system", FakeClock()), FakeClock())


def steps(watched: ClusterWatch) -> list[str]:
    return [event.what for event in watched.steps]


def later(watched: ClusterWatch, more: float) -> None:
    cast("FakeClock", watched.clock).time += more


def test_samples_go_on_for_a_time_after_the_command_has_ended() -> None:
    watched = watch()
    with changing("true", 0, watched) as made:
        assert made.process is not None
        made.process.wait(10)
        assert not made.over()
        later(watched, AFTERMATH_SECONDS - 1)
        assert not made.over()
        later(watched, 1)
        assert made.over()
    made.require_success()
    assert steps(watched) == ["`true` started", "`true` ended with status 0"]


def test_samples_last_at_least_as_long_as_asked_and_never_end_by_themselves_without_a_time() -> None:
    watched = watch()
    with changing("true", 1800, watched) as made:
        assert made.process is not None
        made.process.wait(10)
        for wait, over in ((AFTERMATH_SECONDS, False), (1800 - AFTERMATH_SECONDS, True)):
            assert not made.over()
            later(watched, wait)
            assert made.over() is over
    with changing("", 60, watched) as made:
        later(watched, 59)
        assert not made.over()
        later(watched, 1)
        assert made.over()
    made.require_success()
    with changing("", 0, watched) as made:
        later(watched, 10**6)
        assert not made.over()


def test_failed_command_decides_nothing_about_the_change() -> None:
    watched = watch()
    with changing("sh -c 'exit 3'", 0, watched) as made:
        assert made.process is not None
        made.process.wait(10)
        made.over()
    with pytest.raises(HarnessError, match=r"^`sh -c 'exit 3'` ended with status 3$") as raised:
        made.require_success()
    assert raised.value.code == ExitCode.HARNESS


def test_interrupted_command_is_ended_and_said(tmp_path: Path) -> None:
    watched, script = watch(), tmp_path / "script"
    script.write_text(f"trap 'echo gone > {tmp_path}/gone; exit 0' INT; touch {tmp_path}/ready; while :; do sleep 0.05; done")
    with changing(f"sh {script}", 0, watched) as made:
        for _ in range(200):
            if (tmp_path / "ready").exists():
                break
            threading.Event().wait(0.05)
    assert (tmp_path / "gone").exists()
    assert steps(watched)[-1] == f"`sh {script}` interrupted"
    assert made.process is not None
    assert made.process.returncode is not None


def test_command_that_ignores_a_signal_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change, "END_SECONDS", 0.1)
    code = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    process.stdout.readline()
    change.end(process)
    process.stdout.close()
    assert process.returncode == -signal.SIGKILL


def test_command_is_killed_if_its_end_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    process = subprocess.Popen(["sh", "-c", "trap '' INT; echo on; sleep 60"], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    process.stdout.readline()
    wait, waits = process.wait, list[float | None]()

    def interrupted(timeout: float | None = None) -> int:
        waits.append(timeout)
        if len(waits) == 1:
            raise KeyboardInterrupt
        return wait(timeout)

    monkeypatch.setattr(process, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        change.end(process)
    process.stdout.close()
    assert process.returncode == -signal.SIGKILL


def test_command_that_does_not_exist_is_said_and_one_has_none_of_the_variables_of_the_run(tmp_path: Path) -> None:
    with (
        pytest.raises(SetupError, match="cannot run no-such-program: No such file") as raised,
        changing("no-such-program", 0, watch()),
    ):
        pass
    assert raised.value.code == ExitCode.TOOLS
    file = tmp_path / "env"
    given = {"PATH": os.environ["PATH"], "KUBECHAIN_CONTEXT": "prod", "MINE": "1"}
    assert change.start(f"sh -c 'env > {file}'", given).wait(10) == 0
    assert "MINE=1" in file.read_text()
    assert "KUBECHAIN_" not in file.read_text()


def test_witnesses_are_renewed_and_their_budget_yields(monkeypatch: pytest.MonkeyPatch) -> None:
    watched, renewed = watch(), list[str]()

    def renew(_api: Api, namespace: str) -> None:
        renewed.append(namespace)

    def answer(*_: object) -> str:
        return json.dumps(thing("PodDisruptionBudget", "web", status={"disruptionsAllowed": 0}).body)

    monkeypatch.setattr(witnesses, "renew", renew)
    cordoned = thing("Node", "n", spec={"unschedulable": True}, status={"conditions": conditions(Ready="True")})
    watched.nodes.record("ADDED", cordoned)
    before = Before(cast("Any", SimpleNamespace(api=FakeApi(answer), namespace="ns")), cast("Any", None))
    care = WitnessCare(before, watched, watched.clock)
    for _ in range(14):
        care.tend()
        later(watched, LOOK_SECONDS)
    assert steps(watched) == ["PodDisruptionBudget of the witnesses deleted: a drain waited for it for 60 s"]
    assert renewed == []
    later(watched, RENEW_SECONDS)
    care.tend()
    assert renewed == ["ns"]


def test_words_after_two_dashes_are_the_command() -> None:
    words = ["during", "--context", "c", "--for", "30m", "--", "kubectl", "apply", "-f", "my file.yaml"]
    command = cast("Any", parse(words))
    assert (command.context, command.for_, command.command) == ("c", 1800.0, "kubectl apply -f 'my file.yaml'")
    assert with_command(["during", "--"]) == ["during"]
    assert with_command(["run", "--", "x"]) == ["run", "--", "x"]


@pytest.mark.parametrize("words", [("--for", "soon"), ("--for=-3m",), ("--for=12h",), ("--command", "sh -c 'x")])
def test_value_that_is_none_is_a_usage_error(words: tuple[str, ...]) -> None:
    with pytest.raises(SetupError) as raised:
        parse(["during", "--context", "c", *words])
    assert raised.value.code == ExitCode.USAGE
    assert words_of_shell("a 'b c'") == "a 'b c'"


def record(change: str, *hops: str) -> UpgradeRecord:
    return UpgradeRecord(hops, 0.0, 1.0, (), (), (), 0, 0, 1, upgraded_by_this_run=False, change=change)


def test_title_says_what_was_changed_and_the_versions_only_if_they_did() -> None:
    assert title(record("", "v1.36.3", "v1.37.2")) == "upgrade 1.36.3 -> 1.37.2"
    assert title(record("kubectl apply -f x", "v1.36.3")) == "change `kubectl apply -f x`"
    assert title(record(BY_HAND, "v1.36.3", "v1.37.2")) == "change by hand (1.36.3 -> 1.37.2)"


def test_versions_are_compared_after_an_upgrade_and_after_a_change_of_them() -> None:
    snapshot = cast("Any", SimpleNamespace(server="v1", nodes={"a": "v1"}))

    def after(change: str | None, server: str = "v1", kubelet: str = "v1") -> After:
        during = None if change is None else cast("Any", SimpleNamespace(record=record(change, "v1")))
        nothing = cast("Any", None)
        return After(Before(nothing, snapshot), during, "", server, {"a": kubelet, "new": "v1"}, {}, nothing, {}, [])

    assert after(None).upgraded
    assert after("").upgraded
    assert not after("x").upgraded
    assert after("x", server="v2").upgraded
    assert after("x", kubelet="v2").upgraded
    # A control plane is upgraded before the Nodes, which may have the minor version before for months.
    assert not any(each.nodes_upgraded for each in (after("x"), after("x", "v2")))
    assert all(each.nodes_upgraded for each in (after(None), after(""), after("x", "v2", "v2")))
