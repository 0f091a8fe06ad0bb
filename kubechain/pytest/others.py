"""What is wrong with a run besides its claims: other tests that failed, modules without their claims, pytest itself."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from kubechain.claims.verdict import Verdict
from kubechain.conditions.text import counted, some
from kubechain.core.errors import ExitCode
from kubechain.pytest.outcomes import recorded
from kubechain.pytest.session import asks_for_claims
from kubechain.pytest.state import run_state, worker_input

FAILED = pytest.StashKey["Others"]()
PHASES = ("setup", "call", "teardown")
BROKEN = "pytest ended with an internal error, so that not everything was judged"


@dataclass
class Others:
    """A plugin of the controller that notes what failed and is no claim."""

    failed: list[str] = field(default_factory=list[str])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test of another repository; a claim whose process died has a report without a phase, and no record."""
        if report.failed and report.when in PHASES and recorded(report) is None:
            self.failed.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module that cannot be imported: with --continue-on-collection-errors, the run goes on without its claims."""
        if report.failed:
            self.failed.append(report.nodeid)


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin."""
    if asks_for_claims(config) and worker_input(config) is None:
        config.stash[FAILED] = Others()
        config.pluginmanager.register(config.stash[FAILED])


def line(config: pytest.Config) -> str:
    """Return what failed besides the claims; "" if nothing did. The tests of faults are in their verdict."""
    failed = [] if run_state(config).faults.wanted else list(dict.fromkeys(config.stash[FAILED].failed))
    return f"besides the claims, {counted(len(failed), 'test')} failed: {some(failed)}" if failed else ""


def undecided(verdict: Verdict, exitstatus: int) -> Verdict:
    """Return a verdict, or that there is none if it is good and pytest itself failed: the end of a claim may be missing."""
    if verdict.exit_code != ExitCode.HOLDS or exitstatus != ExitCode.INTERNAL:
        return verdict
    return replace(verdict, holds=False, line=f"no verdict: {BROKEN}", exit_code=ExitCode.INTERNAL)
