"""The measurement of the one wait decides nothing: without a figure, the claims go on."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from kubechain.core.errors import ExitCode
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from kubechain.observe.clock import RealClock
from kubechain.observe.history import History
from kubechain.observe.latency import ANNOTATION, MOST_SECONDS, change_to_wait
from tests.fakes import FakeApi, FakeClock, pod

POD = pod(0)
CHANGES = 5
REFUSALS = [
    ApiUnavailable("API server: 503 ServiceUnavailable: etcd", ExitCode.UNREACHABLE),
    ApiRefused(409, "Conflict", "the object has been modified"),
    ApiRefused(403, "Forbidden", "annotations are not allowed"),
    ApiRefused(404, "NotFound", "pods not found"),
]


def annotating(history: History, refuse: Callable[[int], Exception | None]) -> Api:
    """Return an API that records each annotation, or refuses the n-th."""
    patches: list[Any] = []

    def answer(_method: str, _path: str, body: Any) -> str:
        patches.append(body)
        error = refuse(len(patches))
        if error:
            raise error
        found = pod(0, annotations=body["metadata"]["annotations"])
        history.record("MODIFIED", found)
        return json.dumps(found.body)

    return FakeApi(answer)


def test_each_change_is_measured() -> None:
    history = History("ns", RealClock())
    found = change_to_wait(annotating(history, lambda _: None), history, POD.name, RealClock(), CHANGES)
    assert len(found) == CHANGES
    assert all(0 < milliseconds < 5000 for milliseconds in found)
    last = history.read().one("Pod", POD.name)
    assert last is not None
    assert last.annotations == {ANNOTATION: str(CHANGES - 1)}


@pytest.mark.parametrize("at", [1, 4])
@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda each: str(each).split()[2])
def test_refused_change_gives_no_figure_and_no_error(refusal: Exception, at: int) -> None:
    clock = RealClock() if at == 1 else Impatient()
    history = History("ns", clock)
    assert change_to_wait(annotating(history, lambda n: refusal if n == at else None), history, POD.name, clock, CHANGES) == []


def test_slow_changes_are_measured_for_some_seconds_only() -> None:
    clock = Impatient()
    history = History("ns", clock)

    def slowly(_number: int) -> None:
        clock.time += MOST_SECONDS / 2

    assert len(change_to_wait(annotating(history, slowly), history, POD.name, clock, CHANGES)) < CHANGES


class Impatient(FakeClock):
    """A clock on which every wait lasts for a few milliseconds, and takes all of its time."""

    def wait(self, changed: Any, seconds: float) -> None:
        """Wait until woken or for a moment; only a wait in vain takes its time."""
        if not changed.wait(0.2):
            self.time += seconds


def test_history_that_cannot_go_on_gives_no_figure_and_no_error() -> None:
    history = History("ns", RealClock())
    api = annotating(history, lambda _: None)
    history.fail(REFUSALS[2])  # pyright: ignore[reportArgumentType]  # a HarnessError
    assert change_to_wait(api, history, POD.name, RealClock(), CHANGES) == []
