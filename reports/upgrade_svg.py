"""An upgrade as SVG: versions, paths and events over one time axis. Pure functions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from html import escape
from statistics import median

from kubechain.upgrade.figures import KINDS, Figures, duration, figures, title
from kubechain.upgrade.model import EventKind, UpgradeEvent, UpgradeRecord

from .upgrade_json import iso

STATES = {"up": "#9fd6a3", "down": "#d64545", "unknown": "#a8a8a8", "": "#e4e4e4"}
BADNESS = ("", "up", "unknown", "down")
NAMES = {"up": "up", "down": "down", "unknown": "unknown", "": "no samples"}
EVENTS: dict[EventKind, str] = {
    "step": "#1f5fbf",
    "version": "#00897b",
    "node": "#000000",
    "restart": "#d97000",
    "leader": "#7b3fb5",
    "pod": "#8d6e63",
    "watch": "#777777",
}
ABOVE: tuple[EventKind, ...] = ("step", "version", "node")
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "cloud-controller-manager")
TINTS = ("#d6e6f7", "#a9cdec", "#7fb3e0", "#c9e4d8", "#98cfb8")
WITHIN = {True: "#2e7d32", False: "#b00020", None: "#7b3fb5"}
PLOT, RIGHT, ROW, GAP, AXIS, HEAD = 960, 330, 15, 6, 22, 74
# Event labels: their slant in degrees, their distance, the mean width of a letter in pixels, the most letters.
SLANT, APART, LETTER, LONGEST = 55, 15.0, 6.2, 60
ELBOW = 16
# An outage of at most this many pixels is drawn this many pixels wider, so that it is visible.
THIN = 2
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
MOST_TICKS = 16


def svg(record: UpgradeRecord) -> str:
    """Return the record of an upgrade as SVG."""
    versions = _version_rows(record)
    paths = sorted((figures(record, samples) for samples in record.routes), key=lambda path: KINDS.index(path.seen.route.kind))
    events = [event for event in record.events if record.began <= event.at <= record.ended]
    above, below = (labelled([event for event in events if (event.kind in ABOVE) == side]) for side in (True, False))
    names = [name for name, _ in versions] + [path.seen.route.name for path in paths]
    left = math.ceil(min(max(map(len, names), default=0), 80) * LETTER) + 16
    top = HEAD + label_height(above)
    axis = top + ROW * len(versions) + GAP
    y = axis + AXIS
    rows, not_up = list[str](), list[str]()
    for number, (name, spans) in enumerate(versions):
        rows += _bands(record, name, spans, left, top + ROW * number)
    for earlier, path in itertools.pairwise([None, *paths]):
        y += GAP if earlier and path and earlier.seen.route.kind != path.seen.route.kind else 0
        if path:
            runs = list(_runs(record, path, left, y))
            rows += [*_names(path, left, y), *(rect for state, rect in runs if state in ("up", ""))]
            not_up += [rect for state, rect in runs if state in ("down", "unknown")]
            y += ROW
    bottom = y + GAP
    unlabelled = len(events) - len(above) - len(below)
    width, height = left + PLOT + RIGHT, bottom + label_height(below) + (20 if unlabelled else 0)
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'

    def x_of(moment: float) -> float:
        return left + position(record, moment)

    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="Helvetica, Arial, sans-serif" font-size="11">',
            f'<rect width="{width}" height="{height}" fill="white"/>',
            *_head(record),
            *rows,
            *_axis(record, left, axis, bottom),
            *(_line(x_of(event.at), top, bottom, event) for event in events),
            # After the lines of the events, which would hide a thin rectangle.
            *not_up,
            *_labels(above, x_of, left, top - 2, up=True),
            *_labels(below, x_of, left, bottom + 2, up=False),
            *([_text(16, height - 8, f"{unlabelled} more events have no label", "#777777")] if unlabelled else []),
            "</svg>\n",
        ]
    )


def position(record: UpgradeRecord, moment: float) -> float:
    """Return the position of a moment (Unix seconds) on the axis, in pixels from its start."""
    share = (moment - record.began) / max(record.ended - record.began, 0.001)
    return PLOT * min(max(share, 0.0), 1.0)


def columns(record: UpgradeRecord, path: Figures) -> list[str]:
    """Return the state of a path in each pixel column: the worst state of its samples there, "" without a sample."""
    cells = [0] * PLOT

    def fill(start: float, end: float, state: str) -> None:
        badness = BADNESS.index(state)
        first, last = int(position(record, start)), int(position(record, end))
        for column in range(min(first, PLOT - 1), min(last, PLOT - 1) + 1):
            cells[column] = max(cells[column], badness)

    samples = path.seen.tally.samples
    distances = [later.sent - earlier.sent for earlier, later in itertools.pairwise(samples)]
    # A sample is drawn for at most five intervals: it says nothing about the time after that.
    reach = 5 * median(distances) if distances else 0.0
    for number, sample in enumerate(samples):
        until = samples[number + 1].sent if number + 1 < len(samples) else sample.sent
        fill(sample.sent, min(until, sample.sent + reach), sample.state)
    for outage in path.outages:
        fill(outage.start, outage.end, "down")
    return [BADNESS[cell] for cell in cells]


def labelled(events: Sequence[UpgradeEvent]) -> list[UpgradeEvent]:
    """Return the events that get a label, in the order of time; if there are too many, the less important ones get none."""

    def rank(event: UpgradeEvent) -> int:
        important = event.kind != "restart" or event.what.startswith(CONTROL_PLANE)
        return [*ABOVE, "leader", "restart", "watch", "pod"].index(event.kind) if important else len(EVENTS)

    return sorted(sorted(events, key=rank)[: int(PLOT / APART)], key=lambda event: event.at)


def spread(wanted: Sequence[float]) -> list[float]:
    """Return positions at least APART from each other and within the axis, close to the wanted ones, which ascend."""
    # Without the distances, the positions only have to ascend: neighbours that do not ascend share their mean.
    groups: list[tuple[float, int]] = []
    for number, place in enumerate(wanted):
        mean, count = place - number * APART, 1
        while groups and groups[-1][0] > mean:
            before, size = groups.pop()
            mean, count = (before * size + mean * count) / (size + count), size + count
        groups.append((mean, count))
    most = PLOT - (len(wanted) - 1) * APART
    flat = [min(max(mean, 0.0), most) for mean, count in groups for _ in range(count)]
    return [place + number * APART for number, place in enumerate(flat)]


def ticks(seconds: float) -> list[tuple[float, str]]:
    """Return the ticks of an axis of this many seconds: (second, label), such as "90 s" or "1:30" for minutes:seconds."""
    step = next((step for step in STEPS if seconds / step <= MOST_TICKS), math.ceil(seconds / MOST_TICKS / 3600) * 3600)
    places = range(0, math.floor(seconds) + 1, step)
    return [(at, f"{at // 60}:{at % 60:02d}" if seconds >= 120 else f"{at} s") for at in places]


def label_height(events: Sequence[UpgradeEvent]) -> int:
    """Return the height of the labels of these events in pixels."""
    longest = max((len(_short(event.what)) for event in events), default=0)
    return math.ceil(longest * LETTER * math.sin(math.radians(SLANT))) + ELBOW + 14 if events else 0


def _version_rows(record: UpgradeRecord) -> list[tuple[str, list[tuple[float, float, str]]]]:
    """Return the rows of versions: the name of each row, and its spans (start, end, version), times in Unix seconds."""
    nodes = sorted({node for entry in record.versions for node in entry.kubelets})
    rows = [("API server version", [entry.server for entry in record.versions])]
    rows += [(f"kubelet of {node}", [entry.kubelets.get(node, "") for entry in record.versions]) for node in nodes]
    rows += [(f"kube-proxy of {node}", [entry.proxies.get(node, "") for entry in record.versions]) for node in nodes]
    all_spans = [(name, _spans(record, versions)) for name, versions in rows]
    return [(name, spans) for name, spans in all_spans if any(version for *_, version in spans)]


def _spans(record: UpgradeRecord, versions: Sequence[str]) -> list[tuple[float, float, str]]:
    times = [*(entry.at for entry in record.versions), record.ended]
    spans = [(start, end, version) for (start, end), version in zip(itertools.pairwise(times), versions, strict=True)]
    groups = (list(group) for _, group in itertools.groupby(spans, key=lambda span: span[2]))
    return [(group[0][0], group[-1][1], group[0][2]) for group in groups]


def _bands(record: UpgradeRecord, name: str, spans: Sequence[tuple[float, float, str]], left: int, y: int) -> Iterator[str]:
    yield _text(left - 8, y + ROW - 4, _short(name, 80), end=True)
    entries = record.versions
    known = sorted({v for entry in entries for v in (entry.server, *entry.kubelets.values(), *entry.proxies.values()) if v})
    for start, end, version in spans:
        x, width = left + position(record, start), position(record, end) - position(record, start)
        colour = TINTS[known.index(version) % len(TINTS)] if version else STATES[""]
        yield _rect(x, y, width, colour, f"{name}: {version or 'unknown'}")
        if width > (len(version) + 1) * LETTER:
            yield f'<text x="{x + width / 2:.1f}" y="{y + ROW - 4}" text-anchor="middle">{escape(version)}</text>'


def _names(path: Figures, left: int, y: int) -> Iterator[str]:
    tally = path.seen.tally
    yield _text(left - 8, y + ROW - 4, _short(path.seen.route.name, 80), end=True)
    parts = [f"lost {len(tally.lost):,} of {len(tally.samples):,}"]
    parts += [f"unreachable {duration(path)}"] if tally.lost else []
    parts += [f"{tally.unknown:,} unknown"] if tally.unknown else []
    parts += [f"nothing known for {path.gap:.1f} s"] if path.unknown else []
    yield _text(left + PLOT + 8, y + ROW - 4, ", ".join(parts), WITHIN[path.within])


def _runs(record: UpgradeRecord, path: Figures, left: int, y: int) -> Iterator[tuple[str, str]]:
    for state, group in itertools.groupby(enumerate(columns(record, path)), key=lambda cell: cell[1]):
        run = [column for column, _ in group]
        wider = THIN if state == "down" and len(run) <= THIN else 0
        place = (left + run[0] - wider / 2, y, len(run) + wider)
        yield state, _rect(*place, STATES[state], f"{path.seen.route.name}: {NAMES[state]}")


def _head(record: UpgradeRecord) -> Iterator[str]:
    yield f'<text x="16" y="24" font-size="16" font-weight="bold">{escape(title(record))}</text>'
    watches = f"watches down {record.lost} times, lists repeated {record.relists} times"
    yield _text(16, 43, f"began {iso(record.began)}, took {record.ended - record.began:.1f} s; {watches}", "#555555")
    x = 16.0
    for state, colour in STATES.items():
        yield f'<rect x="{x:.1f}" y="54" width="11" height="11" fill="{colour}"/>'
        yield _text(x + 15, 64, NAMES[state])
        x += 15 + (len(NAMES[state]) + 3) * LETTER
    for kind, colour in EVENTS.items():
        yield f'<path d="M{x:.1f} 60h13" stroke="{colour}" stroke-width="2"/>'
        yield _text(x + 17, 64, kind, colour)
        x += 17 + (len(kind) + 3) * LETTER


def _axis(record: UpgradeRecord, left: int, y: int, bottom: int) -> Iterator[str]:
    for at, label in ticks(record.ended - record.began):
        x = left + position(record, record.began + at)
        yield f'<path d="M{x:.1f} {y + 14}V{bottom}" stroke="#000000" stroke-opacity="0.15"/>'
        yield f'<text x="{x:.1f}" y="{y + 10}" text-anchor="middle" fill="#555555">{label}</text>'


def _line(x: float, top: int, bottom: int, event: UpgradeEvent) -> str:
    width = 1.4 if event.kind == "step" else 0.8
    stroke = f'stroke="{EVENTS[event.kind]}" stroke-width="{width}" stroke-opacity="0.5"'
    return f'<path d="M{x:.1f} {top}V{bottom}" {stroke}><title>{escape(event.what)}</title></path>'


def _labels(events: Sequence[UpgradeEvent], x_of: Callable[[float], float], left: int, y: int, *, up: bool) -> Iterator[str]:
    turn, side = (-SLANT, -1) if up else (SLANT, 1)
    for event, place in zip(events, spread([x_of(event.at) - left for event in events]), strict=True):
        x, colour = left + place, EVENTS[event.kind]
        yield f'<path d="M{x_of(event.at):.1f} {y}L{x:.1f} {y + side * ELBOW}" fill="none" stroke="{colour}" stroke-width="0.8"/>'
        weight = ' font-weight="bold"' if event.kind == "step" else ""
        at = f"translate({x + 2:.1f},{y + side * (ELBOW + 3) + (0 if up else 4)}) rotate({turn})"
        yield f'<text transform="{at}" fill="{colour}"{weight}>{escape(_short(event.what))}</text>'


def _rect(x: float, y: int, width: float, colour: str, title: str) -> str:
    place = f'x="{x:.1f}" y="{y}" width="{max(width, 1.0):.1f}" height="{ROW - 2}"'
    return f'<rect {place} fill="{colour}"><title>{escape(title)}</title></rect>'


def _text(x: float, y: float, text: str, colour: str = "#000000", *, end: bool = False) -> str:
    anchor = ' text-anchor="end"' if end else ""
    return f'<text x="{x:.1f}" y="{y}" fill="{colour}"{anchor}>{escape(text)}</text>'


def _short(text: str, longest: int = LONGEST) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
