import itertools
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kubechain.core.errors import HarnessError
from kubechain.probes.load import Sample, State, Tally
from kubechain.upgrade.outages import Outage, downtime, outages
from kubechain.upgrade.samples import read

STATES: dict[str, State] = {"u": "up", "d": "down", "?": "unknown"}
HEADER = '{"sampler":1,"started":100.5,"interval":0.1,"paths":2}\n'


def tally(states: str, *, taken: float = 0.25) -> Tally:
    """Return samples sent at 0, 1, 2 ... in these states; every second down sample is refused."""
    words = {"u": "", "d": "reset", "?": "late"}
    made = [
        Sample(float(at), at + taken, STATES[state], "refused" if state == "d" and at % 2 else words[state])
        for at, state in enumerate(states)
    ]
    return Tally("route", tuple(made))


@pytest.mark.parametrize(
    ("states", "wanted"),
    [
        ("", []),
        ("uuuu", []),
        ("u??u", []),
        ("????", []),
        ("uudduu", [(2, 4, 1)]),
        ("uudu", [(2, 3, 1)]),
        # Unknown samples next to an outage widen its error bound.
        ("u??duu", [(3, 4, 3)]),
        ("ud???u", [(1, 5, 4)]),
        ("ud?d?u", [(1, 5, 2)]),
        # Two outages with an up sample between them.
        ("uduudu", [(1, 2, 1), (4, 5, 1)]),
        # Nothing is known before the first and after the last sample.
        ("dduu", [(0, 2, 1)]),
        ("?duu", [(1, 2, 1)]),
        ("uudd", [(2, 3.25, 1)]),
        ("uud??", [(2, 4.25, 2.25)]),
        ("d", [(0, 0.25, 0.25)]),
    ],
)
def test_outage_is_a_run_of_samples_without_up_and_with_down(states: str, wanted: list[tuple[float, float, float]]) -> None:
    assert [(outage.start, outage.end, outage.error) for outage in outages(tally(states))] == wanted


def test_outage_counts_lost_samples_by_error() -> None:
    (outage,) = outages(tally("uddd?du"))
    assert outage == Outage(1.0, 6.0, 1.0, 4, {"refused": 3, "reset": 1})
    assert outage.seconds == 5


def test_downtime_is_the_sum_of_all_outages() -> None:
    assert downtime(tally("uduu?ddu")) == (1 + 2, 1 + 2)
    assert downtime(tally("uu")) == (0, 0)


@given(some.text("ud?", max_size=30))
def test_every_loss_is_in_one_outage_and_no_answer_in_any(states: str) -> None:
    samples = tally(states)
    found = outages(samples)
    assert sum(outage.lost for outage in found) == len(samples.lost) == sum(sum(outage.errors.values()) for outage in found)
    assert all(outage.start < outage.end and outage.error > 0 for outage in found)
    assert all(earlier.end < later.start for earlier, later in itertools.pairwise(found))
    inside = [sample for sample in samples.samples for outage in found if outage.start <= sample.sent < outage.end]
    assert not any(sample.state == "up" for sample in inside)
    assert sum(sample.state == "down" for sample in inside) == len(samples.lost)


@given(
    times=some.lists(some.floats(0, 100), min_size=3, max_size=60, unique=True),
    unknown=some.sets(some.integers(0, 59)),
    start=some.floats(1, 99),
    length=some.floats(0, 50),
)
def test_true_duration_lies_within_the_error(times: list[float], unknown: set[int], start: float, length: float) -> None:
    end = min(start + length, 99.0)
    ordered = sorted({0.0, 100.0, *times})
    states: list[State] = ["down" if start <= at < end else "up" for at in ordered]
    known: list[State] = [
        "unknown" if number in unknown and 0 < number < len(ordered) - 1 else state for number, state in enumerate(states)
    ]
    made = tuple(Sample(at, at, state) for at, state in zip(ordered, known, strict=True))
    found = outages(Tally("route", made))
    assert len(found) == ("down" in known)
    for outage in found:
        assert abs(outage.seconds - (end - start)) <= outage.error + 1e-9


def line(sample: Sample, route: int) -> str:
    return json.dumps([route, sample.sent, sample.done, sample.state, sample.error]) + "\n"


SAMPLES = some.builds(
    Sample, some.floats(0, 1e9), some.floats(0, 1e9), some.sampled_from(["up", "down", "unknown"]), some.text(max_size=5)
)


@given(some.lists(some.tuples(some.integers(0, 1), SAMPLES), max_size=20), some.integers(0, 40))
def test_written_samples_are_read_in_order_of_time(written: list[tuple[int, Sample]], cut: int) -> None:
    lines = [line(sample, route) for route, sample in written]
    found = read(HEADER + "".join(lines), 2)
    for route in (0, 1):
        mine = [sample for number, sample in written if number == route]
        assert list(found.samples[route]) == sorted(mine, key=lambda sample: sample.sent)
    torn = (lines[-1] if lines else "")[: max(0, cut)].rstrip("]\n")
    assert read(HEADER + "".join(lines[:-1]) + torn, 2) == read(HEADER + "".join(lines[:-1]), 2)


def test_restarts_renewals_and_torn_lines_are_read() -> None:
    text = (
        HEADER
        + '{"renewed":1,"at":7.5}\n[1,3,3.5,"up",""]\n[1,2,2.5,"do\n'
        + HEADER
        + '{"renewed":1,"at":6}\n[1,1,1.5,"down","x"]\n[1'
    )
    found = read(text, 2)
    assert found.started == (100.5, 100.5)
    assert found.renewed == ((), (6.0, 7.5))
    assert found.samples == ((), (Sample(1.0, 1.5, "down", "x"), Sample(3.0, 3.5, "up")))


@pytest.mark.parametrize("text", ["", "\n", HEADER[:20], HEADER])
def test_file_without_samples_is_empty(text: str) -> None:
    assert read(text, 2).samples == ((), ())


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (HEADER + '[0,1,1,"u\n[0,1,1,"up",""]\n', "samples file, line 2: not JSON"),
        (HEADER + '[2,1,1,"up",""]\n', "samples file, line 2: unknown record"),
        (HEADER + '[-1,1,1,"up",""]\n', "samples file, line 2: unknown record"),
        (HEADER + '[0,1,1,"maybe",""]\n', "samples file, line 2: unknown record"),
        (HEADER + '[0,"x",1,"up",""]\n', "samples file, line 2: unknown record"),
        (HEADER + '{"renewed":9,"at":1}\n', "samples file, line 2: unknown record"),
        (HEADER + "12\n", "samples file, line 2: unknown record"),
        (HEADER.replace('"paths":2', '"paths":3'), "samples file, line 1: header for 3 routes, expected 2"),
        ('[0,1,1,"up",""]\n', "samples file, line 1: no header"),
    ],
)
def test_unknown_content_of_a_samples_file_is_a_harness_error(text: str, wanted: str) -> None:
    with pytest.raises(HarnessError, match=wanted):
        read(text, 2)


def test_gap_of_a_tally_includes_unknown_samples() -> None:
    assert math.isclose(tally("uu???du").gap, 4)
