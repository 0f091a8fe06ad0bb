"""What happened during a watch under faults, and what it says about the alerts. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kubechain.claims.claim import Link
from kubechain.core.records import JsonRecord
from kubechain.results.fleet import State
from reports.deploy.monitoring import BROKEN_ROUNDS, UNDECIDED_ROUNDS

BROKEN, NO_VERDICT = "KubechainLinkBroken", "KubechainNoVerdict"


@dataclass(frozen=True)
class Alert:
    """An alert by its name and the link that it names, "" for none."""

    name: str
    link: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.link}".strip()


@dataclass(frozen=True)
class Trouble:
    """A fault, and the link that is then the first broken one, "unreachable" if there can be no verdict."""

    fault: str
    at: Link | Literal["unreachable"]

    @property
    def alert(self) -> Alert:
        """The alert that must fire."""
        return Alert(NO_VERDICT) if self.at == "unreachable" else Alert(BROKEN, self.at.value)

    @property
    def rounds(self) -> int:
        """The number of rounds under the fault after which it must."""
        return UNDECIDED_ROUNDS if self.at == "unreachable" else BROKEN_ROUNDS


class Round(JsonRecord):
    """A round; `began` and `ended` are Unix times."""

    began: float
    ended: float
    state: State
    verdict: str


class Notice(JsonRecord):
    """What Alertmanager sent: an alert fires, or is resolved."""

    at: float
    name: str
    link: str
    firing: bool

    @property
    def alert(self) -> Alert:
        """The alert."""
        return Alert(self.name, self.link)


class Episode(JsonRecord):
    """A fault from the begin of its injection to the moment at which everybody knew that it is over, as Unix times.

    `injected` is when it was in effect, `healed` when it no longer was; `trouble` is why one of them did not happen, else "".
    """

    fault: str
    at: str
    began: float
    injected: float = 0.0
    healed: float = 0.0
    over: float = 0.0
    trouble: str = ""

    @property
    def of(self) -> Trouble:
        """The fault with its link."""
        return Trouble(self.fault, "unreachable" if self.at == "unreachable" else Link(self.at))


class EpisodeResult(JsonRecord):
    """What an episode says: rounds are those that ended in between, None if it never happened."""

    fault: str
    alert: str
    alert_rounds: int | None
    alert_seconds: float | None
    resolved_rounds: int | None
    resolved_seconds: float | None
    trouble: str


class WatchingRecord(JsonRecord):
    """A watch under faults."""

    states: dict[State, int]
    seconds: float
    """Median duration of a round."""
    episodes: list[EpisodeResult]
    false_alarms: list[str]
    trouble: list[str]

    @property
    def good(self) -> bool:
        """Whether every alert came and was resolved in time, and no other came."""
        return not (self.trouble or self.false_alarms or any(each.trouble for each in self.episodes))


def between(rounds: Sequence[Round], since: float, until: float) -> int:
    """Return the number of rounds that ended in a time."""
    return sum(since < each.ended <= until for each in rounds)


def result_of(episode: Episode, rounds: Sequence[Round], notices: Sequence[Notice]) -> EpisodeResult:
    """Return what an episode says."""
    alert = episode.of.alert
    mine = [each for each in notices if each.alert == alert and episode.began <= each.at <= episode.over]
    fired = next((each.at for each in mine if each.firing), None)
    resolved = next((each.at for each in mine if fired and episode.healed and not each.firing and each.at > episode.healed), None)
    trouble = episode.trouble or ("" if fired else "no such alert") or ("" if resolved else "not resolved")
    return EpisodeResult(
        fault=episode.fault,
        alert=str(alert),
        alert_rounds=between(rounds, episode.injected, fired) if fired else None,
        alert_seconds=round(fired - episode.injected, 1) if fired else None,
        resolved_rounds=between(rounds, episode.healed, resolved) if resolved else None,
        resolved_seconds=round(resolved - episode.healed, 1) if resolved else None,
        trouble=trouble,
    )


def false_alarms(episodes: Sequence[Episode], notices: Sequence[Notice]) -> list[Notice]:
    """Return the alerts that fired without their fault."""
    return [
        notice
        for notice in notices
        if notice.firing and not any(each.of.alert == notice.alert and each.began <= notice.at <= each.over for each in episodes)
    ]


def summed_up(
    rounds: Sequence[Round], episodes: Sequence[Episode], notices: Sequence[Notice], trouble: Sequence[str]
) -> WatchingRecord:
    """Return what all of it says together."""
    start = rounds[0].began if rounds else 0.0
    lasted = sorted(each.ended - each.began for each in rounds) or [0.0]
    return WatchingRecord(
        states=dict(Counter(each.state for each in rounds)),
        seconds=round(lasted[len(lasted) // 2], 1),
        episodes=[result_of(each, rounds, notices) for each in episodes],
        false_alarms=[f"{each.alert} after {each.at - start:.0f} s" for each in false_alarms(episodes, notices)],
        trouble=list(trouble),
    )


def table(record: WatchingRecord) -> str:
    """Return the result as a Markdown table, with what is wrong below it."""
    lines = [
        "| fault | alert | seen after rounds | s | resolved after rounds | s | |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in record.episodes:
        figures = (each.alert_rounds, each.alert_seconds, each.resolved_rounds, each.resolved_seconds)
        shown = ("-" if figure is None else str(figure) for figure in figures)
        lines.append(f"| {each.fault} | {each.alert} | {' | '.join(shown)} | {each.trouble or 'right'} |")
    right = sum(not each.trouble for each in record.episodes)
    states = ", ".join(f"{count} {state}" for state, count in sorted(record.states.items()))
    rounds = sum(record.states.values())
    alerts = f"{right} of {len(record.episodes)} alerts right, {len(record.false_alarms)} false"
    lines += ["", f"{rounds} rounds ({states}) of {record.seconds:.0f} s: {alerts}."]
    lines += [f"- false alarm: {each}" for each in record.false_alarms]
    lines += [f"- {each}" for each in record.trouble]
    return "\n".join(lines) + "\n"
