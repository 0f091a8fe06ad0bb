"""Requests that must be refused, and those that must not."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.core.errors import Unmet
from kubechain.kube.errors import ApiRefused
from kubechain.probes.pod import PodProbe
from kubechain.workload import actions
from tests.fakes import pod

POLICY = "ValidatingAdmissionPolicy 'ports' with binding 'ports' denied request: no nodePorts"


def refused(status: int, why: str = "provided port is already allocated") -> str:
    raise ApiRefused(status, "Invalid", why)


def test_request_that_is_accepted_returns_its_answer() -> None:
    assert actions.accepted(lambda: "done") == "done"


def test_request_that_is_refused_as_invalid_breaks_the_claim_and_another_refusal_does_not() -> None:
    with pytest.raises(Unmet, match="to accept a request, got Invalid: provided port is already allocated"):
        actions.accepted(lambda: refused(422))
    with pytest.raises(ApiRefused):
        actions.accepted(lambda: refused(403))
    with pytest.raises(ApiRefused):
        actions.accepted(lambda: refused(422, POLICY))


def test_request_that_must_be_refused_and_is_not_breaks_the_claim() -> None:
    assert actions.refusal(lambda: refused(422)).detail == "provided port is already allocated"
    with pytest.raises(Unmet, match="accepted a request that it must refuse"):
        actions.refusal(lambda: "done")


@pytest.mark.parametrize(("status", "why"), [(401, "Unauthorized"), (403, "forbidden: cannot create services"), (422, POLICY)])
def test_refusal_of_who_asks_or_by_a_policy_does_not_break_the_claim(status: int, why: str) -> None:
    with pytest.raises(ApiRefused, match=why.partition(" ")[0]):
        actions.refusal(lambda: refused(status, why))


@pytest.mark.parametrize("status", [401, 403])
def test_eviction_that_the_account_may_not_make_does_not_break_the_claim(status: int) -> None:
    def answer(_method: str, _path: str, body: object) -> tuple[int, str]:
        assert body
        return status, '{"reason": "Refused", "message": "not you"}'

    chain = cast("Any", SimpleNamespace(api=SimpleNamespace(request=answer), namespace="ns"))
    with pytest.raises(ApiRefused, match=f"{status} Refused: not you"):
        actions.evict(chain, pod())


class Container:
    """A container whose first process is a file with its stat; a command in it is run by the shell of this machine."""

    def __init__(self, folder: Path) -> None:
        self.stat, self.killed = folder / "stat", folder / "killed"
        self.begin(1234)

    def begin(self, ticks: int) -> None:
        """Start its first process at a time."""
        self.stat.write_text(f"1 (a (b) c) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 {ticks} 99 88 77\n")

    def run(self, *argv: str) -> str:
        """Run a script, which ends the first process once."""
        script = argv[-1].replace("/proc/1/stat", str(self.stat)).replace("kill -TERM 1", f"echo x >> {self.killed}")
        return subprocess.run(["/bin/sh", "-c", script], check=True, capture_output=True, text=True).stdout

    must_run = run


def test_container_is_ended_once_also_if_the_command_is_run_again(tmp_path: Path) -> None:
    container, commands = Container(tmp_path), list[str]()
    plain = container.run

    def run(*argv: str) -> str:
        commands.append(argv[-1])
        return plain(*argv)

    container.run = run  # pyright: ignore[reportAttributeAccessIssue]  # the commands are noted
    actions.end_container(cast("PodProbe", container))
    assert container.killed.read_text() == "x\n"
    # It has been restarted, and the answer to the command was lost.
    container.begin(5678)
    plain("sh", "-c", commands[-1])
    assert container.killed.read_text() == "x\n"
