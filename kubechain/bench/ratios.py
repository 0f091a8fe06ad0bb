"""Ratios of the measurements, their line, and whether they are worse than those of a release. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from kubechain.bench.records import PROCESSES, Measurement, Ratio, Ratios, Release
from kubechain.core.errors import ExitCode

# A ratio is worse if all rounds of now are below all rounds of the release. With three rounds each, chance alone does that in
# 1 of 20 comparisons; a difference of the medians below this share of the ratio is never called worse.
LEAST_ROUNDS = 3
MARGIN = 0.1


def ratios(measurements: Iterable[Measurement]) -> Ratios:
    """Return the ratio for each number of processes, from the rounds in which both sides passed."""
    listed = list(measurements)
    return Ratios(**{name: _ratio(each for each in listed if each.processes == number) for number, name in PROCESSES.items()})


def _ratio(measurements: Iterable[Measurement]) -> Ratio | None:
    seconds = {(each.round, each.side): each.seconds for each in measurements if not each.failed}
    values = [
        taken / seconds[number, "kubechain"]
        for (number, side), taken in seconds.items()
        if side == "upstream" and (number, "kubechain") in seconds
    ]
    return Ratio(median=median(values), min=min(values), max=max(values), rounds=len(values)) if values else None


def last_release(releases: Sequence[Release], cores: int) -> Release | None:
    """Return the last release that was measured on a machine with so many cores."""
    return next((release for release in reversed(releases) if release.cores == cores), None)


def is_worse(now: Ratio, before: Ratio) -> bool:
    """Whether a ratio is lower than before by more than its noise; never with fewer than LEAST_ROUNDS rounds on a side."""
    enough = min(now.rounds, before.rounds) >= LEAST_ROUNDS
    return enough and now.max < before.min and now.median < (1 - MARGIN) * before.median


def outcome(measured: Ratios, failed: Sequence[str], before: Release | None) -> tuple[ExitCode, str]:
    """Return the exit code and the line of a measurement; `failed` are the names of what did not pass on a side."""
    found = {number: measured.of(number) for number in PROCESSES}
    line = f"bench: {', '.join(_phrase(number, ratio) for number, ratio in found.items())}"
    notes = [f"not passed: {', '.join(failed)}"] if failed else []
    if not all(found.values()):
        return ExitCode.HARNESS, "; ".join([line, *notes])
    if before is None:
        return ExitCode.HOLDS, "; ".join([line, *notes, "no release to compare with on so many cores"])
    pairs = {number: (ratio, before.ratios.of(number)) for number, ratio in found.items()}
    worse = [
        f"{PROCESSES[number]} {then.median:.2f} to {now.median:.2f}"
        for number, (now, then) in pairs.items()
        if now and then and is_worse(now, then)
    ]
    if worse:
        return ExitCode.WORSE, "; ".join([line, *notes, f"worse than {before.release}: {', '.join(worse)}"])
    few = any(ratio.rounds < LEAST_ROUNDS for ratio in found.values() if ratio)
    compared = (
        f"not compared with {before.release}: that needs {LEAST_ROUNDS} rounds" if few else f"not worse than {before.release}"
    )
    return ExitCode.HOLDS, "; ".join([line, *notes, compared])


def _phrase(processes: int, ratio: Ratio | None) -> str:
    what = "serially" if processes == 1 else f"with {processes} processes"
    if ratio is None:
        return f"no ratio {what}"
    return f"{ratio.median:.2f} times as fast as upstream {what} ({ratio.min:.2f} to {ratio.max:.2f})"
