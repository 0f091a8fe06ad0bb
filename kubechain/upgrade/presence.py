"""When each Node serves, from the history of the Nodes, and which samples of a route count. Pure functions.

A Node serves from Ready to its cordon (or the taint in its place), to NotReady or to its deletion. A cordon that is lifted
without NotReady and without a restart of the machine changes nothing: the Node served meanwhile.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from kubechain.kube.objects import KubeObject
from kubechain.observe.changes import ObjectChange
from kubechain.probes.load import Sample, Tally
from kubechain.upgrade.model import Absence, AsideSamples, NodeSpan, Route, RouteSamples
from kubechain.workload.cluster_nodes import LEAVING_TAINTS, has_taint, is_virtual

# A Node that becomes Ready is asked within this time, and from then on it must serve: its kube-proxy may start after it is Ready.
ASKED_SECONDS = 5.0
# A sampler on a new Node may have to wait for its image. What is not asked at all for longer than this is undecided.
IMAGE_SECONDS = 60.0
# A machine that dies is said to be not Ready, or gone, within a minute, or when an API server that is away is back. A sampler on
# it that was silent for longer had another reason.
LATE_SECONDS = 300.0
# While a run is away, a route without a sample for longer than this was not asked.
ASKING_SECONDS = 2.0
Window = tuple[float, float]


@dataclass
class _Node:
    """A Node on its way through the history; `cordon` is the number of the span that a cordon ended, while it may be lifted."""

    uid: str
    name: str
    boot: str = ""
    since: float | None = None
    cordon: int | None = None
    spans: list[NodeSpan] = field(default_factory=list[NodeSpan])

    def serves(self, at: float) -> None:
        """Begin a span, or continue the one that a cordon ended."""
        if self.since is None:
            self.since = at if self.cordon is None else self.spans.pop(self.cordon).start
        self.cordon = None

    def ends(self, at: float, why: Absence | Literal[""]) -> None:
        """End the span, if there is one."""
        if self.since is not None:
            self.spans.append(NodeSpan(self.uid, self.name, self.since, at, why))
            self.cordon = len(self.spans) - 1 if why == "cordoned" else None
            self.since = None
        elif why != "cordoned":
            self.cordon = None


def node_spans(
    log: Iterable[ObjectChange], began: float, ended: float, *, listed: float = 0.0, restarted: Collection[str] = ()
) -> tuple[NodeSpan, ...]:
    """Return the times between `began` and `ended` (Unix seconds) in which each Node served, in the order of their start.

    What the log has up to `listed` was so since `began`. `restarted` are the names of Nodes of which it is known that their
    machines were restarted while they were cordoned. Virtual Nodes are left out.
    """
    nodes: dict[str, _Node] = {}
    by_name: dict[str, str] = {}
    for entry in log:
        resource, at = entry.resource, began if entry.wall <= listed else max(entry.wall, began)
        if resource.kind != "Node" or is_virtual(resource) or at >= ended:
            continue
        node = nodes.setdefault(resource.uid, _Node(resource.uid, resource.name))
        before = by_name.get(resource.name)
        if before and before != resource.uid:
            nodes[before].ends(at, "deleted")
        by_name[resource.name] = resource.uid
        _follow(node, entry, at, resource.name in restarted)
    for node in nodes.values():
        node.ends(ended, "")
    return _in_order(span for node in nodes.values() for span in node.spans if span.end > span.start)


def _in_order(spans: Iterable[NodeSpan]) -> tuple[NodeSpan, ...]:
    return tuple(sorted(spans, key=lambda span: (span.start, span.name)))


def continued(earlier: Sequence[NodeSpan], now: Sequence[NodeSpan]) -> tuple[NodeSpan, ...]:
    """Return the spans of an interrupted watch and of the one that continues it, which knows nothing of the time before."""
    known: dict[str, float] = {}
    for span in earlier:
        known[span.uid] = max(span.end, known.get(span.uid, 0.0))
    later = [replace(span, start=max(span.start, known.get(span.uid, 0.0))) for span in now]
    return _in_order([*earlier, *(span for span in later if span.end > span.start)])


def _follow(node: _Node, entry: ObjectChange, at: float, restarted: bool) -> None:  # noqa: FBT001  # of the Node
    resource = entry.resource
    boot = str(resource.at("status.nodeInfo.bootID", ""))
    if restarted or (boot and node.boot and boot != node.boot):
        node.cordon = None
    node.boot = boot or node.boot
    why = "deleted" if entry.change == "DELETED" else absence(resource)
    if why:
        node.ends(at, why)
        if restarted:
            node.cordon = None
    else:
        node.serves(at)


def absence(node: KubeObject) -> Absence | None:
    """Return why a Node that exists does not serve, None if it does."""
    if not node.is_true("Ready"):
        return "not ready"
    return "cordoned" if is_left(node) else None


def is_left(node: KubeObject) -> bool:
    """Whether Pods are to leave a Node: it is cordoned, or is deleted, at once or by an autoscaler."""
    return bool(node.at("spec.unschedulable") or node.deleting or has_taint(node, *LEAVING_TAINTS))


def counted(
    route: Route, tally: Tally, nodes: Sequence[NodeSpan], began: float, ended: float, absences: Sequence[Window] = ()
) -> RouteSamples | None:
    """Return the samples of a route that count, None if it never counts: a Node of it never served while it was asked.

    The route of a Node that becomes Ready counts from its first answer, or from ASKED_SECONDS after Ready. In the `absences` of
    the run, a route counts only while somebody asked.
    """
    answered = any(sample.state == "up" for sample in tally.samples if sample.sent < began)
    first = min((sample.sent for sample in tally.samples), default=began)
    tally = tally.between(began, ended)
    sent = [sample.sent for sample in tally.samples]
    # A Pod asks nodePorts from when another does it no more: the Node of that one was cordoned.
    windows = [(max(began, first) if route.kind == "NodePort" and route.place else began, ended)]
    if not route.nodes:
        windows, unseen = _asked_in(windows, sent, absences)
        return RouteSamples(route, tally, tuple(windows) if unseen else (), answered=answered or first >= began, unseen=unseen)
    for uid in route.nodes:
        spans = [_asked(span, tally.samples, sent, began) for span in nodes if span.uid == uid]
        windows = [both for window in windows for span in spans if span and (both := _overlap(window, span))]
    if not windows:
        return None
    windows, unseen = _asked_in(windows, sent, absences)
    places = [(bisect_left(sent, start), bisect_left(sent, end)) for start, end in windows]
    kept = [sample for first, last in places for sample in tally.samples[first:last]]
    aside = _aside(route, tally.samples, windows, nodes)
    # A Node that begins to serve later is one that came, or came back.
    answered = answered or first >= began or windows[0][0] > began
    return RouteSamples(route, Tally(tally.path, tuple(kept)), tuple(windows), aside, answered, unseen)


def _asked_in(
    windows: Sequence[Window], sent: Sequence[float], absences: Sequence[Window]
) -> tuple[list[Window], tuple[Window, ...]]:
    """Return the windows without the times of absences in which nobody asked, and these times."""
    found, unseen = list[Window](), list[Window]()
    for start, end in windows:
        times, begin = [start, *sent[bisect_left(sent, start) : bisect_left(sent, end)], end], start
        for earlier, later in itertools.pairwise(times):
            if later - earlier > ASKING_SECONDS and any(_overlap((earlier, later), absence) for absence in absences):
                unseen.append((earlier, later))
                # The last sample before counts.
                found += [(begin, math.nextafter(earlier, math.inf))] if earlier > begin else []
                begin = later
        found += [(begin, end)] if begin < end else []
    return found, tuple(unseen)


def _asked(span: NodeSpan, samples: Sequence[Sample], sent: Sequence[float], began: float) -> Window | None:
    """Return from when to when a span counts, None if it ended before it was asked."""
    own = samples[bisect_left(sent, span.start) : bisect_left(sent, span.end)]
    if span.start <= began and own:
        return (span.start, _end(span, own))
    if not own:
        return (span.start, span.end) if span.end - span.start > IMAGE_SECONDS else None
    first, end = own[0].sent, _end(span, own)
    latest = max(first, span.start + ASKED_SECONDS)
    answered = next((sample.sent for sample in own if sample.state == "up"), latest)
    start = span.start if first - span.start > IMAGE_SECONDS else min(answered, latest)
    return (start, end) if start < end else None


def _end(span: NodeSpan, own: Sequence[Sample]) -> float:
    """Return the end of a span: where the Node is lost, a sampler on it has nothing after its last sample, if that is not old."""
    lost = span.ended in ("not ready", "deleted")
    return own[-1].done if lost and 0 < span.end - own[-1].done <= LATE_SECONDS else span.end


def _overlap(one: Window, other: Window) -> Window | None:
    start, end = max(one[0], other[0]), min(one[1], other[1])
    return (start, end) if start < end else None


def _aside(
    route: Route, samples: Sequence[Sample], windows: Sequence[Window], nodes: Sequence[NodeSpan]
) -> dict[Absence, AsideSamples]:
    """Return how many samples are in no window, by why; of a Node that does not exist, nothing is expected."""
    spans = [[span for span in nodes if span.uid == uid] for uid in route.nodes]
    found, lost = Counter[Absence](), Counter[Absence]()
    for sample in samples:
        if any(start <= sample.sent < end for start, end in windows):
            continue
        why = _first(_why(of_node, sample.sent) for of_node in spans)
        found[why] += sample.count
        lost[why] += sample.count if sample.state == "down" else 0
    return {why: AsideSamples(count, lost[why]) for why, count in found.items() if why != "deleted"}


def _first(reasons: Iterable[Absence | None]) -> Absence:
    for reason in reasons:
        if reason:
            return reason
    return "joining"


def _why(spans: Sequence[NodeSpan], at: float) -> Absence | None:
    """Return why a Node with these spans does not serve at a moment, None if it does, or may."""
    last = next((span for span in reversed(spans) if span.start <= at), None)
    if last is None:
        return "joining"
    return last.ended or None if at >= last.end else None
