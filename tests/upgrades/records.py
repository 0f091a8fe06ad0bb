"""What the rig writes: one record for each upgrade, with the losses made in it, and what they say together."""

from __future__ import annotations

from collections.abc import Sequence

from kubechain.core.records import JsonRecord
from kubechain.upgrade.model import Kind


class Loss(JsonRecord):
    """A loss that was made on a Node that stays; `start` is in Unix seconds."""

    path: Kind
    node: str
    routes: list[str]
    """Names of the routes that must be reported with it; the first is the one that its claim must name."""
    also: list[str]
    """Names of the routes that lose with these, and have an allowance."""
    claim: str
    start: float
    seconds: float
    """How long it was in effect, by the clock of the Node."""


class JudgedLoss(JsonRecord):
    """A loss, and what the run said of it."""

    loss: Loss
    reported: list[float]
    """How long the first of its routes was unavailable, by the outages in the time of the loss."""
    error: float
    message: str
    """Of its claim, "" if the claim did not fail."""
    problems: list[str]


class UpgradeRun(JsonRecord):
    """An upgrade."""

    number: int
    way: str
    """What was done to each worker."""
    exit_code: int
    verdict: str
    seconds: float
    samples: int
    """Of the route of the data plane with the fewest, among those of Nodes that are there at the end."""
    lost: int
    """Requests of the data plane lost without a loss that was made."""
    away: str
    """For how long the API server was away: "119.2 s (+-0.5)"."""
    losses: list[JudgedLoss]
    problems: list[str]

    @property
    def succeeded(self) -> bool:
        """Whether the run said what was done to the cluster, and nothing else."""
        return not self.problems and not any(each.problems for each in self.losses)


class UpgradesRecord(JsonRecord):
    """All upgrades of the rig."""

    runs: list[UpgradeRun]


def table(runs: Sequence[UpgradeRun]) -> str:
    """Return the upgrades and the losses as two Markdown tables, and a list of what does not hold."""
    lines = [
        "| run | workers | seconds | fewest samples of a path | lost | API server away | problems |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {run.number} | {run.way} | {run.seconds:.0f} | {run.samples:,} | {run.lost:,} | {run.away} | {len(_problems(run))} |"
        for run in runs
    ]
    judged = [(run, each) for run in runs for each in run.losses]
    if judged:
        lines += ["", "| run | lost path | made s | reported s | +- s | claim |", "|---|---|---|---|---|---|"]
    for run, each in judged:
        reported = ", ".join(f"{seconds:.2f}" for seconds in each.reported) or "none"
        claim = f"{each.loss.claim} {'failed' if each.message else 'did not fail'}"
        made = f"{each.loss.path} {each.loss.node} | {each.loss.seconds:.2f}"
        lines.append(f"| {run.number} | {made} | {reported} | {each.error:.2f} | {claim} |")
    found = [f"- run {run.number}: {problem}" for run in runs for problem in _problems(run)]
    return "\n".join([*lines, *(["", *found] if found else [])]) + "\n"


def _problems(run: UpgradeRun) -> list[str]:
    return [*run.problems, *(f"{each.loss.path} {each.loss.node}: {text}" for each in run.losses for text in each.problems)]
