"""Identities of processes, and orphans of runs that have ended."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from kubechain.cleanup import processes
from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.timeouts import Timeout
from kubechain.core import process
from kubechain.core.errors import SetupError
from kubechain.core.process import identity, is_running
from kubechain.core.progress import Progress
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled, Waiter
from tests import sampling
from tests.changing_cluster import ChangingCluster
from tests.fakes import thing

# Not the name of runs: a run that another process of the tests starts ends the orphans of all runs on the machine.
OWNER = "KUBECHAIN_OWNER_OF_A_TEST"


@pytest.fixture
def sleeping(monkeypatch: pytest.MonkeyPatch) -> Iterator[ExitStack]:
    """The stack that ends the programs of `start` after the test; only children of this process count as candidates."""
    monkeypatch.setattr(psutil, "process_iter", psutil.Process().children)
    monkeypatch.setattr(processes, "OWNER", OWNER)
    with ExitStack() as stack:
        yield stack


def start(sleeping: ExitStack, **environment: str) -> subprocess.Popen[bytes]:
    program = sleeping.enter_context(subprocess.Popen(["sleep", "600"], env={**os.environ, **environment}))
    sleeping.callback(program.kill)
    # The kernel shows the environment a moment after Popen has returned.
    shown = Polled("environment", psutil.Process(program.pid).environ, RealClock())
    there = Condition[dict[str, str]]("an environment", lambda words: expect(bool(words), f"{len(words)} variables"))
    Waiter(RealClock()).eventually(shown, there, within=Timeout(10, "the kernel has begun the program"))
    return program


@pytest.fixture
def ended() -> str:
    """The identity of a process that has ended."""
    with subprocess.Popen(["sleep", "600"]) as program:
        known = identity(program.pid)
        program.kill()
    return known


def orphan_pids() -> list[int]:
    return [orphan.process.pid for orphan in processes.find()]


def test_identity_is_unique_and_lasts_until_its_process_ends(sleeping: ExitStack) -> None:
    first, second = start(sleeping), start(sleeping)
    assert identity() == identity(os.getpid())
    assert len({identity(), identity(first.pid), identity(second.pid)}) == 3
    assert is_running(known := identity(first.pid))
    first.kill()
    os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOWAIT)
    assert not is_running(known), "a zombie has ended"
    first.wait()
    assert not is_running(known)
    assert identity(first.pid) == ""


def test_identity_does_not_change_when_the_time_of_day_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    before, boot = identity(), psutil.boot_time()
    monkeypatch.setattr(psutil, "boot_time", lambda: boot + 3600)
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: boot + 3600)
    assert identity() == before


MINE = f"{os.getpid()}-1"


@pytest.mark.parametrize("owner", ["", "-", "x-1", pytest.param(MINE, id="mine"), "99999999999999999999-1"])
def test_malformed_or_old_identity_does_not_run(owner: str) -> None:
    assert not is_running(owner)


def test_orphans_are_the_programs_whose_owner_has_ended(sleeping: ExitStack, ended: str) -> None:
    orphan = start(sleeping, **{OWNER: ended})
    start(sleeping, **{OWNER: identity()})
    start(sleeping, **{f"NOT_{OWNER}": ended})
    assert processes.find() == [processes.Orphan(psutil.Process(orphan.pid), "sleep")]
    processes.end(Progress())
    assert orphan.wait(5) < 0


def test_program_with_the_same_owner_as_this_process_is_no_orphan(
    sleeping: ExitStack, ended: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OWNER, ended)
    start(sleeping)
    assert not orphan_pids()


def test_program_in_another_pid_namespace_is_no_orphan(sleeping: ExitStack, ended: str, monkeypatch: pytest.MonkeyPatch) -> None:
    orphan = start(sleeping, **{OWNER: ended})
    assert orphan_pids() == [orphan.pid]

    def namespace(pid: int | None = None) -> str:
        return f"pid:[{int(pid == orphan.pid)}]"

    monkeypatch.setattr(processes, "pid_namespace", namespace)
    assert not orphan_pids()


@pytest.mark.parametrize("error", [psutil.AccessDenied(), psutil.NoSuchProcess(1)])
def test_program_with_an_unreadable_environment_is_no_orphan(
    sleeping: ExitStack, ended: str, monkeypatch: pytest.MonkeyPatch, error: psutil.Error
) -> None:
    orphan = start(sleeping, **{OWNER: ended})
    assert orphan_pids() == [orphan.pid]

    def refused(_: psutil.Process) -> dict[str, str]:
        raise error

    monkeypatch.setattr(psutil.Process, "environ", refused)
    assert not orphan_pids()


def test_program_that_cannot_be_ended_is_an_error(sleeping: ExitStack, ended: str, monkeypatch: pytest.MonkeyPatch) -> None:
    orphan = start(sleeping, **{OWNER: ended})

    def refused(_: psutil.Process, _number: int) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil.Process, "send_signal", refused)
    for name in ("TERMINATED", "KILLED"):
        monkeypatch.setattr(processes, name, processes.Timeout(0.2, "it is refused"))
    with pytest.raises(SetupError, match=rf"do not end, even after SIGKILL: sleep \(pid {orphan.pid}\);"):
        processes.end(Progress())


def test_samplers_of_tests_have_the_mark_by_which_the_next_run_ends_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, str]] = []

    def begun(*_: object, env: dict[str, str], **__: object) -> None:
        given.append(env)

    async def begun_later(*_: object, env: dict[str, str], **__: object) -> None:
        given.append(env)

    monkeypatch.setattr(subprocess, "Popen", begun)
    monkeypatch.setattr(asyncio, "create_subprocess_exec", begun_later)
    cluster = ChangingCluster(tmp_path, cast("Any", None), cast("Any", None))
    cluster.present["a"] = thing("Node", "a", uid="a")
    cluster.deploy(thing("DaemonSet", "sampler"))
    asyncio.run(sampling.start(tmp_path, "x", {}))
    assert [each.get(process.OWNER) for each in given] == [identity(), identity()]
