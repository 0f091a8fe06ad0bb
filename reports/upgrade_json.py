"""upgrade.json: the record of an upgrade for programs. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from kubechain.upgrade.documents import (
    AllowanceRecord,
    AsideRecord,
    DurationRecord,
    EventRecord,
    NodeRecord,
    OutageRecord,
    RouteRecord,
    SampledRecord,
    UpgradeDocument,
    VersionsRecord,
    WindowRecord,
)
from kubechain.upgrade.figures import Figures, figures
from kubechain.upgrade.model import RouteSamples, UpgradeRecord


def document(record: UpgradeRecord, verdict_line: str) -> UpgradeDocument:
    """Return the content of upgrade.json."""

    def since(moment: float) -> float:
        return moment - record.began

    return UpgradeDocument(
        verdict=verdict_line,
        hops=list(record.hops),
        began=utc(record.began),
        ended=utc(record.ended),
        seconds=since(record.ended),
        upgraded_by_this_run=record.upgraded_by_this_run,
        change=record.change,
        control_planes=record.control_planes,
        routes=[_route(figures(record, samples), record.began) for samples in record.routes],
        events=[EventRecord(at=since(event.at), kind=event.kind, what=event.what) for event in record.events],
        versions=[
            VersionsRecord(at=since(entry.at), server=entry.server, kubelets=entry.kubelets, proxies=entry.proxies)
            for entry in record.versions
        ],
        relists=record.relists,
        lost_watches=record.lost,
        warnings=list(record.warnings),
        drained=list(record.drained),
        nodes=[
            NodeRecord(name=span.name, uid=span.uid, start=since(span.start), end=since(span.end), ended=span.ended)
            for span in record.nodes
        ],
        absences=[WindowRecord(start=since(start), end=since(end)) for start, end in record.absences],
        sampled=_sampled(record),
        load=list(record.load),
    )


def _sampled(record: UpgradeRecord) -> SampledRecord:
    seconds = max(record.ended - record.began, 1.0)
    asked = [each for each in record.routes if each.route.kind in ("API server", "API proxy")]

    def rate(routes: Iterable[RouteSamples]) -> float:
        return sum(each.tally.requests for each in routes) / seconds

    return SampledRecord(
        requests=rate(asked),
        connections=rate(each for each in asked if not each.route.reuse),
        writes=rate(each for each in asked if each.route.what == "write"),
    )


def _route(path: Figures, began: float) -> RouteRecord:
    route, tally = path.seen.route, path.seen.tally
    outages = [
        OutageRecord(
            start=outage.start - began,
            end=outage.end - began,
            seconds=outage.seconds,
            error=outage.error,
            lost=outage.lost,
            errors=outage.errors,
        )
        for outage in path.outages
    ]
    return RouteRecord(
        name=route.name,
        kind=route.kind,
        what=route.what,
        probe_from=route.place,
        connections="kept" if route.reuse else "new",
        windows=[WindowRecord(start=start - began, end=end - began) for start, end in path.seen.windows],
        unseen=[WindowRecord(start=start - began, end=end - began) for start, end in path.seen.unseen],
        aside=[AsideRecord(why=why, samples=aside.samples, lost=aside.lost) for why, aside in path.seen.aside.items()],
        answered=path.seen.answered,
        samples=tally.requests,
        up=tally.up,
        lost=tally.down,
        unknown=tally.unknown,
        largest_gap=path.gap,
        outages=outages,
        unavailable=DurationRecord(seconds=path.unavailable, error=path.error),
        allowed=AllowanceRecord(seconds=path.allowed.seconds, reason=path.allowed.reason),
        within=path.within,
    )


def utc(moment: float) -> datetime:
    """Return Unix seconds as a UTC time, rounded to milliseconds."""
    return datetime.fromtimestamp(round(moment, 3), UTC)


def iso(moment: float) -> str:
    """Return Unix seconds as a UTC time in ISO 8601, rounded to milliseconds."""
    return utc(moment).isoformat(timespec="milliseconds")
