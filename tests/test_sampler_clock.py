"""Samplers on Nodes whose clocks are wrong: their samples have the times of the clock of the run."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from kubechain.kube.exec import Executed
from kubechain.upgrade.model import Route
from kubechain.upgrade.pod_samplers import PodSampler, ahead
from kubechain.upgrade.routes import Place, RouteRequest
from kubechain.upgrade.sample_store import SampleStore
from tests.fakes import FakeClock, pod

ROUTE = Route("ClusterIP", "", "a", reuse=False, nodes=("uid",))


class NodeApi:
    """An API that runs the commands of a sampler on a Node whose clock is wrong by `error` seconds."""

    def __init__(self, clock: FakeClock, error: float) -> None:
        self.clock, self.error, self.written = clock, error, ""

    def execute(self, _namespace: str, _pod: str, argv: Sequence[str], **_: Any) -> Executed:
        if "plan.json" in argv[2]:
            self.clock.time += 0.2
            return Executed(f"{self.clock.wall() + self.error:.9f}\n", "", 0)
        have = int(argv[2].partition("+")[2].split()[0]) - 1
        return Executed(self.written[have:], "", 0)

    def write(self, *seconds: float) -> None:
        """Write samples as the sampler does."""
        for at in seconds:
            self.written += f"{json.dumps([0, at + self.error, at + self.error + 0.01, 'up', ''])}\n"


@pytest.mark.parametrize("error", [-40.0, 0.0, 3600.0])
def test_samples_have_the_times_of_the_run(tmp_path: Path, error: float) -> None:
    clock, store = FakeClock(), SampleStore(tmp_path)
    api, sampler = NodeApi(clock, error), PodSampler(pod(0), "ns", Place("a", "uid"), store, [RouteRequest(ROUTE, {})])
    sampler.follow(cast("Any", api), {}, clock)
    began = clock.wall()
    api.written = f'{{"sampler":1,"started":{began + error},"interval":0.05,"paths":1}}\n'
    for part in range(2):
        api.write(began + part, began + part + 0.5)
        sampler.fetch(cast("Any", api))
        # What is measured later says nothing of the clock when the sampler began.
        api.error = 0.0
        sampler.follow(cast("Any", api), {}, clock)
        api.error = error
        store.fold(pod(0).name, again=True)
    ((route, tally),) = store.tallies()
    assert (route, tally.requests) == (ROUTE, 4)
    assert [sample.sent for sample in tally.samples] == pytest.approx([began + part for part in (0, 0.5, 1, 1.5)], abs=0.2)


def test_clock_that_may_be_right_is_taken_for_right() -> None:
    assert [ahead(shown, 100.0, 110.0) for shown in ("99.5", "105.0", "110.9", "1700000000.%N", "")] == [0.0] * 5
    assert (ahead("120.0", 100.0, 102.0), ahead("50.0\n", 100.0, 102.0)) == (19.0, -51.0)
