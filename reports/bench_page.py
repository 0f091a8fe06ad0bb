"""bench.html and bench.json: both sides of a measurement as bars, and what is compared; one file that loads nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from kubechain.bench.records import PROCESSES, SIDES, BenchRecord, Measurement, Ratio
from kubechain.core import files, redact

from .templates import environment


@dataclass(frozen=True)
class Row:
    """One side with one number of processes: medians of its passed measurements, and its bars in percent of the longest."""

    side: str
    rounds: int
    seconds: float
    shortest: float
    longest: float
    requests: float | None
    watches: float | None
    sent: float
    received: float
    width: float


@dataclass(frozen=True)
class Group:
    """Both sides with one number of processes."""

    processes: int
    ratio: Ratio | None
    rows: list[Row]


def groups(bench: BenchRecord) -> list[Group]:
    """Return a group for each number of processes; a side without a passed measurement has no row."""
    passed = [each for each in bench.measurements if not each.failed]
    longest = max((each.seconds for each in passed), default=0.0)
    return [
        Group(
            number,
            bench.ratios.of(number),
            [_row(side, of_side, longest) for side in SIDES if (of_side := _of(passed, number, side))],
        )
        for number in PROCESSES
    ]


def _of(measurements: list[Measurement], processes: int, side: str) -> list[Measurement]:
    return [each for each in measurements if (each.processes, each.side) == (processes, side)]


def _row(side: str, measurements: list[Measurement], longest: float) -> Row:
    seconds, loads = [each.seconds for each in measurements], [each.load for each in measurements]
    requests = [load.requests for load in loads if load.requests is not None]
    watches = [load.watches for load in loads if load.watches is not None]
    return Row(
        side=side,
        rounds=len(measurements),
        seconds=median(seconds),
        shortest=min(seconds),
        longest=max(seconds),
        requests=median(requests) if requests else None,
        watches=median(watches) if watches else None,
        sent=median(load.bytes_sent for load in loads),
        received=median(load.bytes_received for load in loads),
        width=100 * median(seconds) / longest,
    )


def page(bench: BenchRecord) -> str:
    """Return the page of a measurement."""
    head, _, rest = bench.verdict.partition(": ")
    return environment().get_template("bench.html.j2").render(bench=bench, head=head, rest=rest, groups=groups(bench))


def write(bench: BenchRecord, out: Path) -> None:
    """Write both files into a folder, redacted."""
    clean = BenchRecord.model_validate(redact.tree(bench.as_json()))
    files.write(out / "bench.json", json.dumps(clean.as_json(), indent=2))
    files.write(out / "bench.html", page(clean))
