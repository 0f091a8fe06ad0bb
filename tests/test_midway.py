"""A fault in the middle of a nested run: the sign of the middle, and what happens then."""

import json
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from kubechain.claims.claim import Link
from kubechain.claims.records import RunRecord
from kubechain.core.errors import HarnessError, Unmet
from kubechain.core.process import Completed, run
from kubechain.core.run import COLLECTED, FINISHED
from kubechain.faults import trial
from kubechain.faults.catalogue import midway
from kubechain.faults.fault import Fault
from kubechain.faults.testbed import Testbed
from kubechain.nested import suite_run
from kubechain.observe.clock import RealClock
from tests.engine_objects import KnownNodes, as_testbed
from tests.fakes import FakeClock, run_record
from tests.test_run import project

CLAIMS = [{"nodeid": f"x.py::test_{link}_{number}", "link": link} for link in ("PODS", "DNS") for number in (1, 2)]
WAIT_SECONDS = 30.0


def folder_of(out: Path, *ended: str) -> Path:
    """Make the folder of a run that has collected CLAIMS, of which these have ended; return it."""
    folder = out / ".runs" / "ab12"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / COLLECTED).write_text(json.dumps(CLAIMS))
    if ended:
        (folder / FINISHED).write_text("".join(f"x.py::test_{each}\n" for each in ended))
    return folder


def test_run_is_in_its_middle_when_a_claim_of_the_link_has_ended(tmp_path: Path) -> None:
    assert not suite_run.has_ended(tmp_path, Link.DNS)
    (tmp_path / ".runs").mkdir()
    (tmp_path / ".runs" / "ab12.lock").touch()
    assert not suite_run.has_ended(tmp_path, Link.DNS)
    folder_of(tmp_path)
    assert not suite_run.has_ended(tmp_path, Link.DNS)
    folder_of(tmp_path, "PODS_1", "PODS_2")
    assert not suite_run.has_ended(tmp_path, Link.DNS)
    assert suite_run.has_ended(tmp_path, Link.PODS)
    folder_of(tmp_path, "PODS_1", "PODS_2", "DNS_1")
    assert suite_run.has_ended(tmp_path, Link.DNS)


def test_sign_of_the_middle_is_there_while_a_run_goes_on(tmp_path: Path) -> None:
    claims = '''
import os
from pathlib import Path
from kubechain.claims.claim import Link, claim
from kubechain.nested.suite_run import has_ended

OUT = Path(os.environ["KUBECHAIN_OUT"])

@claim("T-PODS-010", spec="x")
def test_first():
    """It MUST be first."""
    assert not has_ended(OUT, Link.PODS)

@claim("T-DNS-010", spec="x")
def test_second():
    """It MUST be second."""
    assert has_ended(OUT, Link.PODS)
    assert not has_ended(OUT, Link.DNS)
'''
    done = project(tmp_path, (), {}, claims)
    assert done.outcomes == {"T-PODS-010": "passed", "T-DNS-010": "passed"}, done.output
    assert not suite_run.has_ended(tmp_path / "out", Link.PODS)


class Nested:
    """A nested run: it ends `ends` claims one by one, and waits after the last for `disturbed`, unless it is `hasty`."""

    def __init__(self, out: Path, monkeypatch: pytest.MonkeyPatch, *, hasty: bool = False) -> None:
        self.out, self.hasty = out, hasty
        self.disturbed, self.over = threading.Event(), False
        monkeypatch.setattr(suite_run, "_run", self.run)

    def run(self, _suites: Sequence[str], _joined: Path, _out: Path, _given: Mapping[str, str]) -> RunRecord:
        """Run."""
        folder_of(self.out, *([] if self.hasty else ["PODS_1", "DNS_1"]))
        self.over = self.hasty or self.disturbed.wait(WAIT_SECONDS)
        return run_record("DNS")

    def disturb(self) -> None:
        """Take note that the run was disturbed, while it went on."""
        assert not self.over
        self.disturbed.set()


def test_run_is_disrupted_when_it_is_in_its_middle_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nested = Nested(tmp_path, monkeypatch)
    record = suite_run.disrupted(tmp_path, tmp_path, {}, Link.DNS, nested.disturb, RealClock())
    assert (record.first_broken_link, nested.over) == (Link.DNS, True)


def test_run_that_ends_before_its_middle_is_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nested = Nested(tmp_path, monkeypatch, hasty=True)
    with pytest.raises(HarnessError, match="the nested run ended before its middle: said"):
        suite_run.disrupted(tmp_path, tmp_path, {}, Link.DNS, nested.disturb, RealClock())
    assert not nested.disturbed.is_set()


def test_fault_that_takes_no_effect_in_the_middle_is_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nested = Nested(tmp_path, monkeypatch)

    def disturb() -> None:
        nested.disturb()
        raise Unmet("no effect")

    with pytest.raises(Unmet, match="no effect"):
        suite_run.disrupted(tmp_path, tmp_path, {}, Link.DNS, disturb, RealClock())


def test_interrupt_in_the_middle_ends_the_nested_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    statuses: list[int] = []
    (tmp_path / "pytest.py").write_text(f"import time\ntime.sleep({WAIT_SECONDS})\n")

    def nested(*_: object) -> RunRecord:
        folder_of(tmp_path, "DNS_1")
        statuses.append(run([sys.executable, *suite_run.COMMAND], timeout=2 * WAIT_SECONDS, cwd=tmp_path).status)
        return run_record("DNS")

    def disturb() -> None:
        while not any(tuple(child.cmdline()[1:3]) == suite_run.COMMAND for child in psutil.Process().children()):
            threading.Event().wait(0.05)
        raise KeyboardInterrupt

    monkeypatch.setattr(suite_run, "_run", nested)
    with pytest.raises(KeyboardInterrupt):
        suite_run.disrupted(tmp_path, tmp_path, {}, Link.DNS, disturb, RealClock())
    assert statuses == [-signal.SIGTERM]


def test_nested_run_has_the_time_to_remove_its_namespaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def noted(*_: object, **named: Any) -> Completed:
        given.update(named)
        return Completed((), 2, "", "interrupted")

    monkeypatch.setattr(suite_run, "run", noted)
    with pytest.raises(HarnessError, match="exit status 2"):
        suite_run.verdict_of(tmp_path, tmp_path)
    assert given["grace"] == suite_run.END_SECONDS


def test_trial_injects_in_the_middle_and_heals_after_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps, broken = list[str](), midway.FAULTS[-1]

    def disrupted(*arguments: Any) -> RunRecord:
        _joined, _out, given, after, disrupt, _clock = arguments
        assert given == {"KUBECHAIN_LEVEL": "quick", "KUBECHAIN_ALSO": ""}
        steps.append(f"run to {after}")
        disrupt()
        steps.append("run on")
        return run_record("PODS")

    def inject(_testbed: Testbed, fault: Fault) -> None:
        steps.append(f"inject {fault.id}")

    def heal(_testbed: Testbed, fault: Fault) -> str:
        steps.append(f"heal {fault.id}")
        return ""

    monkeypatch.setattr(suite_run, "disrupted", disrupted)
    monkeypatch.setattr(trial, "inject", inject)
    monkeypatch.setattr(trial, "heal", heal)
    testbed = as_testbed(KnownNodes(tmp_path, []))
    assert trial.run(testbed, broken, None, FakeClock()).first_broken_link == "PODS"
    assert steps == ["run to CLUSTERIP", f"inject {broken.id}", "run on", f"heal {broken.id}"]
