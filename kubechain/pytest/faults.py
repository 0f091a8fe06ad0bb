"""The faults of a run: chosen from the command line, one test for each, scored by what the suite finds under it."""

from __future__ import annotations

import pytest

from kubechain.core.errors import SetupError
from kubechain.core.id_lists import ids
from kubechain.faults import trial
from kubechain.faults.catalogue import selection
from kubechain.faults.fault import Fault, Prepared
from kubechain.faults.records import Score
from kubechain.faults.testbed import Testbed
from kubechain.faults.upstream import setup
from kubechain.faults.upstream.run import UpstreamTests
from kubechain.images import e2e_tests
from kubechain.observe.clock import Clock
from kubechain.pytest.session import uncaptured
from kubechain.pytest.state import run_state


def pytest_configure(config: pytest.Config) -> None:
    """Choose the faults of the run."""
    state = run_state(config)
    given = state.settings
    try:
        state.faults.chosen = selection.chosen(
            short=given.short,
            only=ids(given.faults),
            mutants=given.mutants,
            dual=given.ip_family == "dual",
            drawn=given.drawn,
            cover=given.cover,
        )
        state.faults.upstream = e2e_tests.version_of(given.k8s) if given.compare else ""
    except ValueError as error:
        raise pytest.UsageError(f"--faults={given.faults}: {error}") from error
    except SetupError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test for each fault of the run, with the fault's id as its parameter."""
    if "fault" in metafunc.fixturenames:
        faults = run_state(metafunc.config).faults
        faults.wanted = len(faults.chosen)
        metafunc.parametrize("fault", faults.chosen, ids=[fault.id for fault in faults.chosen])


def prepare(config: pytest.Config, testbed: Testbed) -> None:
    """Build what the faults need, and check that a chain works on the cluster."""
    with uncaptured(config):
        for fault in run_state(config).faults.chosen:
            if isinstance(fault.injection, Prepared):
                fault.injection.prepare(testbed)
    testbed.require_working_chain()


def prepare_upstream(config: pytest.Config, testbed: Testbed) -> UpstreamTests | None:
    """Return upstream's tests, all of which pass on the unbroken cluster; None unless the run compares with them."""
    state = run_state(config)
    with uncaptured(config):
        return setup.prepare(testbed, state.faults.upstream, state.progress) if state.faults.upstream else None


def try_fault(config: pytest.Config, testbed: Testbed, upstream: UpstreamTests | None, clock: Clock, fault: Fault) -> Score:
    """Run the suite under one fault; return its score and keep it for the end of the run."""
    state = run_state(config)
    with uncaptured(config), state.progress.step(f"fault {fault.id}") as step:
        score = trial.run(testbed, fault, upstream, clock)
        step.note(score.result if score.good else f"WRONG: {score.result}: {score.why}")
    state.faults.scores.append(score)
    return score
