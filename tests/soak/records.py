"""What the soak writes: one record per run, and what they say together."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from kubechain.core.records import JsonRecord

# The peaks of single runs vary by a few MiB; growth shows in the median of many.
GROWTH = 1.1
PART = 5


class Leftovers(JsonRecord):
    """What a run left, as names; a run must leave nothing."""

    namespaces: list[str]
    cordons: list[str]
    processes: list[str]
    folders: list[str]

    def __bool__(self) -> bool:
        """Whether anything is left."""
        return any((self.namespaces, self.cordons, self.processes, self.folders))


class SoakRun(JsonRecord):
    """One run of the suite."""

    number: int
    run: str
    """Id of the run, "" if it did not begin."""
    proxy: str
    """Mode of the proxy, "" for a direct connection."""
    met: int
    """Connections through the proxy, or requests that it refused."""
    seconds: float
    exit_code: int
    verdict: str
    troubles: dict[str, str]
    """Id of each claim that neither passed nor was skipped -> outcome and message."""
    peak_mib: float
    """Largest resident set of the run's processes, as the kernel counted it."""
    leftovers: Leftovers

    @property
    def succeeded(self) -> bool:
        """Whether the chain holds and nothing is left."""
        return self.exit_code == 0 and self.verdict.startswith("chain holds") and not self.leftovers


class Spread(JsonRecord):
    """The smallest, the middle and the largest of several numbers."""

    min: float
    median: float
    max: float


class SoakRecord(JsonRecord):
    """The whole soak."""

    runs: list[SoakRun]
    failures: int
    seconds: dict[str, Spread]
    """Mode of the proxy ("direct": none) -> duration of a run in seconds."""
    first_mib: float
    last_mib: float
    """Median peak of the first and of the last fifth of the runs."""
    flat: bool
    """Whether the last fifth took at most a tenth more memory than the first."""


def summed_up(runs: Sequence[SoakRun]) -> SoakRecord:
    """Return what one or more runs say together."""
    seconds: dict[str, list[float]] = {}
    for run in runs:
        seconds.setdefault(run.proxy or "direct", []).append(run.seconds)
    part = max(1, len(runs) // PART)
    first, last = (statistics.median(run.peak_mib for run in some) for some in (runs[:part], runs[-part:]))
    return SoakRecord(
        runs=list(runs),
        failures=sum(not run.succeeded for run in runs),
        seconds={
            mode: Spread(min=min(values), median=statistics.median(values), max=max(values)) for mode, values in seconds.items()
        },
        first_mib=first,
        last_mib=last,
        flat=last <= first * GROWTH,
    )


def table(record: SoakRecord) -> str:
    """Return the result as a Markdown table, and a list of the runs that failed."""
    lines = ["| connection | runs | failures | min s | median s | max s |", "|---|---|---|---|---|---|"]
    for mode, spread in record.seconds.items():
        runs = [run for run in record.runs if (run.proxy or "direct") == mode]
        failures = sum(not run.succeeded for run in runs)
        lines.append(f"| {mode} | {len(runs)} | {failures} | {spread.min:.1f} | {spread.median:.1f} | {spread.max:.1f} |")
    growth = "flat" if record.flat else "growing"
    lines += ["", f"Memory: {record.first_mib:.0f} MiB in the first fifth, {record.last_mib:.0f} MiB in the last: {growth}.", ""]
    for run in record.runs:
        if not run.succeeded:
            left = f"; left: {run.leftovers.model_dump()}" if run.leftovers else ""
            lines.append(f"- run {run.number} ({run.run}, {run.proxy or 'direct'}): {run.verdict}{left}")
            lines += [f"  - {claim}: {why}" for claim, why in run.troubles.items()]
    return "\n".join(lines) + "\n"
