"""A run that is silent within a step, such as an upgrade, names the step and not the claim that is set up by it."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from kubechain.core.progress import Progress
from kubechain.pytest import live, present
from kubechain.pytest.live import LiveView
from kubechain.pytest.present import Present
from kubechain.pytest.recording import Recorder
from kubechain.pytest.state import RUN
from tests.engine_objects import run_state


def said(monkeypatch: pytest.MonkeyPatch, progress: Progress, *doing: Present) -> list[str]:
    """Return what a run prints that was silent for long."""
    state = run_state()
    state.progress = progress
    config: Any = SimpleNamespace(stash={RUN: state})

    def of_run(_config: pytest.Config) -> list[Present]:
        return list(doing)

    monkeypatch.setattr(present, "of_run", of_run)
    output = io.StringIO()
    view = LiveView(config, Recorder(), Console(file=output, width=120), spoke=-live.SILENT_SECONDS)
    view.if_silent()
    return output.getvalue().splitlines()


def test_silent_run_names_the_step_that_has_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    runs, waits = Present(claim="A-PODS-010"), Present(claim="A-PODS-010", condition="2 Pods", got="1", ends=60.0)
    progress = Progress(Console(file=io.StringIO()))
    with progress.step("upgrade to 1.37.2: control plane"):
        (line,) = said(monkeypatch, progress, runs)
        assert line.startswith("  .. upgrade to 1.37.2: control plane (0 s so far)")
        assert said(monkeypatch, progress, waits)[1].startswith("  .. A-PODS-010: expected 2 Pods, got 1 (waited")
    with pytest.raises(ValueError, match="x"), progress.step("images"):
        raise ValueError("x")
    assert progress.present is None
    assert said(monkeypatch, progress, runs)[-1] == "  .. A-PODS-010 runs"
