"""What upgrade.html shows of a change: rows of bars over one time axis, labels that do not overlap, and tables. Pure functions.

Places on the axis are in percent of its width.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from kubechain.upgrade.figures import KINDS, Figures, duration, figures
from kubechain.upgrade.model import EventKind, UpgradeEvent, UpgradeRecord
from kubechain.upgrade.outages import Outage

# Cells of the axis: at the largest zoom, one is about 3 pixels wide.
CELLS = 2000
# Of the axis at 1280 pixels and no zoom, and of a letter, in pixels.
AXIS, LETTER, PADDING = 800, 6.4, 14
LONGEST, MOST_LANES = 44, 14
# What all names of Nodes begin with is left out if it is at least so long.
LEAST_PREFIX = 6
# Of the events before an outage, at the top of the page.
MOST_BEFORE = 4
# An event up to so many seconds before an outage may be its cause.
BEFORE = 15.0
BADNESS = ("", "up", "unknown", "down")
NAMES = {"up": "up", "down": "down", "unknown": "unknown", "": "no samples"}
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
MOST_TICKS = 16
# A label of a tick that begins further right would leave the axis.
LAST_LABEL = 95.0
ORDER: tuple[EventKind, ...] = ("step", "version", "node", "leader", "restart", "watch", "pod")
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "cloud-controller-manager")


@dataclass(frozen=True)
class Bar:
    """A bar from `left`, `width` wide; `state` is its class, `title` the whole text."""

    left: float
    width: float
    state: str
    title: str
    text: str = ""


@dataclass(frozen=True)
class Row:
    """A row of bars, with a note below its name; `tone` is good, bad, unknown or "" for no judgement."""

    name: str
    bars: Sequence[Bar]
    note: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Label:
    """The label of an event in a lane: its text begins at `left`, the event is at `at`."""

    event: UpgradeEvent
    at: float
    left: float
    lane: int
    text: str


@dataclass(frozen=True)
class OutageRow:
    """An outage of a route for the table, with the events shortly before and during it."""

    route: str
    outage: Outage
    events: Sequence[UpgradeEvent]


@dataclass(frozen=True)
class Loss:
    """The longest outage of a route that was unreachable for longer than allowed, with the figures of the route."""

    path: Figures
    outage: Outage
    before: Sequence[UpgradeEvent]


def place(record: UpgradeRecord, moment: float) -> float:
    """Return the place of a moment (Unix seconds) on the axis."""
    share = (moment - record.began) / max(record.ended - record.began, 0.001)
    return 100 * min(max(share, 0.0), 1.0)


def events(record: UpgradeRecord) -> list[UpgradeEvent]:
    """Return the events during the observations."""
    return [event for event in record.events if record.began <= event.at <= record.ended]


def labels(record: UpgradeRecord) -> list[Label]:
    """Return the labels of the events, the most important first choice; those that find no lane have none.

    A label that would leave the axis begins before its event.
    """
    lanes: list[list[tuple[float, float]]] = []
    found: list[Label] = []
    common = prefix(record)
    for event in sorted(events(record), key=_rank):
        what = without(common, event.what)
        text = what if len(what) <= LONGEST else f"{what[: LONGEST - 1]}…"
        width = 100 * (len(text) * LETTER + PADDING) / AXIS
        at = place(record, event.at)
        left = max(0.0, min(at, 100 - width))
        number = next((n for n, lane in enumerate(lanes) if _free(lane, left, left + width)), len(lanes))
        if number == MOST_LANES:
            continue
        if number == len(lanes):
            lanes.append([])
        lanes[number].append((left, left + width))
        found.append(Label(event, at, left, number, text))
    return sorted(found, key=lambda label: label.at)


def _free(lane: Sequence[tuple[float, float]], start: float, end: float) -> bool:
    return all(end <= taken or start >= until for taken, until in lane)


def _rank(event: UpgradeEvent) -> tuple[int, float]:
    important = event.kind != "restart" or event.what.startswith(CONTROL_PLANE)
    return (ORDER.index(event.kind) if important else len(ORDER), event.at)


def prefix(record: UpgradeRecord) -> str:
    """Return what the names of all Nodes begin with, "" if there are not several or if it is short."""
    names = {node for entry in record.versions for node in entry.kubelets}.union(span.name for span in record.nodes)
    if len(names) <= 1:
        return ""
    pairs = zip(min(names), max(names), strict=False)
    common = "".join(one for one, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    common = common[: max(common.rfind("-"), common.rfind(".")) + 1]
    return common if len(common) >= LEAST_PREFIX else ""


def without(common: str, text: str) -> str:
    """Return a text with a sign in place of what the names of all Nodes begin with."""
    return text.replace(common, "…") if common else text


def routes(record: UpgradeRecord) -> list[Row]:
    """Return a row for each route: those that did not keep their allowance, those of which that is not known, others; by kind."""
    paths = sorted((figures(record, samples) for samples in record.routes), key=_badness)
    common = prefix(record)
    return [
        Row(without(common, path.seen.route.name), list(_runs(record, path)), note(path), TONES[path.within]) for path in paths
    ]


TONES = {False: "bad", None: "unknown", True: "good"}


def _badness(path: Figures) -> tuple[int, int]:
    return [*TONES].index(path.within), KINDS.index(path.seen.route.kind)


def loss(record: UpgradeRecord) -> Loss | None:
    """Return the longest outage of the routes that were unreachable for longer than allowed, None if none was."""
    paths = [figures(record, seen) for seen in record.routes]
    lost = [(path, outage) for path in paths if path.within is False for outage in path.outages]
    if not lost:
        return None
    path, outage = max(lost, key=lambda each: each[1].seconds)
    before = [event for event in events(record) if outage.start - BEFORE <= event.at <= outage.start]
    return Loss(path, outage, before[-MOST_BEFORE:])


def note(path: Figures) -> str:
    """Return the figures of a route in words."""
    tally = path.seen.tally
    parts = [f"{tally.down:,} of {tally.requests:,} lost"]
    parts += [f"unreachable {duration(path)}"] if tally.lost else []
    parts += [] if path.seen.answered else ["no answer before the change"]
    parts += [f"{tally.unknown:,} unknown"] if tally.unknown else []
    parts += [f"nothing known for {path.gap:.1f} s"] if path.unknown else []
    parts += [f"not observed for {path.seen.unseen_seconds:.1f} s"] if path.seen.unseen else []
    parts += [f"aside ({why}): {aside.lost:,} of {aside.samples:,}" for why, aside in path.seen.aside.items()]
    return ", ".join(parts)


def _runs(record: UpgradeRecord, path: Figures) -> Iterator[Bar]:
    for state, group in itertools.groupby(enumerate(cells(record, path)), key=lambda cell: cell[1]):
        run = [cell for cell, _ in group]
        if state:
            yield Bar(100 * run[0] / CELLS, 100 * len(run) / CELLS, state, NAMES[state])


def cells(record: UpgradeRecord, path: Figures) -> list[str]:
    """Return the state of a route in each of CELLS parts of the axis: the worst of its samples there, "" without a sample."""
    found = [0] * CELLS

    def fill(start: float, end: float, state: str) -> None:
        badness = BADNESS.index(state)
        first, last = (min(int(place(record, moment) * CELLS / 100), CELLS - 1) for moment in (start, end))
        for cell in range(first, last + 1):
            found[cell] = max(found[cell], badness)

    samples = path.seen.tally.samples
    distances = [later.sent - earlier.sent for earlier, later in itertools.pairwise(samples)]
    # A sample is drawn for at most five intervals: it says nothing about the time after that.
    reach = 5 * median(distances) if distances else 0.0
    for number, sample in enumerate(samples):
        until = samples[number + 1].sent if number + 1 < len(samples) else sample.sent
        fill(sample.sent, min(until, sample.sent + reach), sample.state)
    for outage in path.outages:
        fill(outage.start, outage.end, "down")
    return [BADNESS[cell] for cell in found]


def nodes(record: UpgradeRecord) -> list[Row]:
    """Return a row for each Node: when it served, and why no longer."""
    rows: list[Row] = []
    for uid in dict.fromkeys(span.uid for span in record.nodes):
        spans = [span for span in record.nodes if span.uid == uid]
        places = [(place(record, span.start), place(record, span.end), span.ended or "serves") for span in spans]
        bars = [Bar(left, right - left, "serves", title) for left, right, title in places]
        rows.append(Row(f"Node {without(prefix(record), spans[0].name)}", bars, spans[-1].ended))
    return rows


def versions(record: UpgradeRecord) -> list[Row]:
    """Return a row for the API server and for the kubelet and the kube-proxy of each Node, with its version over time."""
    names = sorted({node for entry in record.versions for node in entry.kubelets})
    rows = [("API server", [entry.server for entry in record.versions])]
    rows += [(f"kubelet of {node}", [entry.kubelets.get(node, "") for entry in record.versions]) for node in names]
    rows += [(f"kube-proxy of {node}", [entry.proxies.get(node, "") for entry in record.versions]) for node in names]
    times = [*(entry.at for entry in record.versions), record.ended]
    known = sorted({version for _, of_row in rows for version in of_row if version})
    found: list[Row] = []
    for name, of_row in rows:
        bars: list[Bar] = []
        spans = zip(itertools.pairwise(times), of_row, strict=True)
        for version, group in itertools.groupby(spans, key=lambda span: span[1]):
            together = [times for times, _ in group]
            left, right = place(record, together[0][0]), place(record, together[-1][1])
            if version:
                shown = version if (right - left) * AXIS / 100 > (len(version) + 1) * LETTER else ""
                bars.append(Bar(left, right - left, f"version-{known.index(version) % 4}", version, shown))
        if bars:
            found.append(Row(without(prefix(record), name), bars))
    return found


def outages(record: UpgradeRecord) -> list[OutageRow]:
    """Return all outages in the order of time, each with what happened shortly before and during it."""
    every = [(seen, outage) for seen in record.routes for outage in figures(record, seen).outages]
    return [
        OutageRow(seen.route.name, outage, [e for e in events(record) if outage.start - BEFORE <= e.at <= outage.end])
        for seen, outage in sorted(every, key=lambda each: each[1].start)
    ]


def placed_ticks(record: UpgradeRecord) -> list[tuple[float, str]]:
    """Return the ticks of the axis: (place, label), without a label at the right end."""
    placed = ((place(record, record.began + at), label) for at, label in ticks(record.ended - record.began))
    return [(left, label if left <= LAST_LABEL else "") for left, label in placed]


def ticks(seconds: float) -> list[tuple[float, str]]:
    """Return the ticks of an axis of this many seconds: (second, label), such as "90 s" or "1:30" for minutes:seconds."""
    step = next((step for step in STEPS if seconds / step <= MOST_TICKS), math.ceil(seconds / MOST_TICKS / 3600) * 3600)
    places = range(0, math.floor(seconds) + 1, step)
    return [(at, f"{at // 60}:{at % 60:02d}" if seconds >= 120 else f"{at} s") for at in places]
