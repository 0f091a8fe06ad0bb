"""What this run sees of a change, after what earlier runs saw of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from kubechain.core.errors import HarnessError, Transient
from kubechain.observe.changes import Position, latest
from kubechain.observe.wait import Waiter
from kubechain.upgrade import events, observed, phases, snapshot
from kubechain.upgrade.cluster_watch import ClusterWatch
from kubechain.upgrade.model import UpgradeEvent
from kubechain.upgrade.observed import Observed, SavedChange
from kubechain.upgrade.presence import Window, node_spans
from kubechain.workload.chain import Chain

# The API server may be restarting when a run comes back; every kind is listed once for each attempt.
ATTEMPTS, PAUSE_SECONDS = 60, 2.0


@dataclass
class Observing:
    """What is seen from the end of what `earlier` runs saw; `began` is when the first of them began (Unix seconds).

    `first` and `caught` are the numbers of the changes of the witnesses up to which the log has what was there at the start, and
    what happened while the run was away.
    """

    witnesses: Chain
    watched: ClusterWatch
    earlier: Observed
    first: int
    began: float = 0.0
    back: float = 0.0
    caught: int = 0
    hidden: tuple[str, ...] = ()
    calm: frozenset[str] = field(default_factory=frozenset[str])

    @property
    def away(self) -> Window:
        """When no run watched."""
        return (self.earlier.at, self.back)

    def come_back(self, waiter: Waiter) -> None:
        """Wait until the watches have delivered what happened in the absence; HarnessError if they do not."""
        nodes = self.watched.nodes
        for history in (self.witnesses.objects, nodes):
            for attempt in range(ATTEMPTS):
                try:
                    history.refresh()
                    break
                except Transient:
                    if attempt == ATTEMPTS - 1:
                        raise
                    waiter.pause(PAUSE_SECONDS)
        self.back, self.caught = self.watched.clock.wall(), self.witnesses.objects.sequence()
        # Where the Nodes were listed anew, any may have been cordoned and drained meanwhile.
        self.hidden = tuple(node.name for node in nodes.read().all("Node")) if nodes.relists else ()
        self.calm = observed.steady(nodes.log()) if not nodes.relists else frozenset()

    def now(self, at: float, *, ended: float = 0.0) -> Observed:
        """Return what all runs have seen up to `at` (Unix seconds), where the samples end."""
        watched, earlier, went_on = self.watched, self.earlier, bool(self.earlier.at)
        objects, nodes, system = self.witnesses.objects, watched.nodes, watched.system
        positions = tuple(history.position() for history in (objects, nodes, system))
        since = self.back if went_on else self.began
        spans = node_spans(nodes.log(), since, at, listed=self.back if went_on else watched.began)
        seen = [*watched.steps, *events.upgrade_events(system.log(), nodes.log(), objects.log(), earlier.at or self.began)]
        versions = events.versions(nodes.log(), system.log(), watched.servers, since)
        servers = dict.fromkeys((*earlier.servers, *(version for _, version in watched.servers)))
        return Observed(
            at=at,
            positions=positions,
            start=earlier.start or tuple(each.body for each in latest(objects.log()[: self.first]).objects),
            log=self._log(positions[0]),
            spans=observed.joined(earlier.spans, spans, self.away, self.calm) if went_on else spans,
            events=(*earlier.events, *self._return(), *sorted(seen, key=lambda event: event.at)),
            versions=observed.since(earlier.versions, versions),
            servers=tuple(servers),
            drained=tuple(sorted({*earlier.drained, *watched.drained, *self.hidden})),
            unseen=tuple(sorted({*earlier.unseen, *objects.unseen})),
            absences=(*earlier.absences, *([self.away] if went_on else [])),
            relists=earlier.relists + sum(history.relists for history in (objects, nodes, system)),
            lost=earlier.lost + sum(history.losses for history in (objects, nodes, system)),
            control_planes=watched.control_planes,
            trouble=self._trouble() if ended else "",
            ended=ended,
        )

    def _log(self, position: Position) -> tuple[SavedChange, ...]:
        """Return every version of the witnesses up to a position, beginning with those at the start."""
        log = self.witnesses.objects.log()
        if self.earlier.at:
            # The log begins with the objects that an earlier run left.
            begun = len(self.earlier.positions[0].objects)
            seen = [*observed.timed(log[begun : self.caught], self.away), *log[self.caught :]]
        else:
            seen = [*phases.versions(log, self.first)]
        here = [entry for entry in seen if position.has(entry.resource)]
        return (*self.earlier.log, *observed.saved(here, snapshot.KINDS))

    def _return(self) -> list[UpgradeEvent]:
        if not self.earlier.at:
            return []
        seconds = self.back - self.earlier.at
        return [UpgradeEvent(self.back, "watch", f"the run was away for {seconds:.1f} s: its Pod was evicted or killed")]

    def _trouble(self) -> str:
        """Bring the history of the witnesses up to date; return what keeps it from being so, "" if nothing does."""
        objects = self.witnesses.objects
        try:
            objects.refresh()
        except HarnessError as error:
            return str(error)
        return objects.trouble() or ""
