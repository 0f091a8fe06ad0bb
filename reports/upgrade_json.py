"""upgrade.json: what was seen of an upgrade, for programs. Pure functions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kubechain.upgrade.figures import Figures, figures
from kubechain.upgrade.model import UpgradeRecord

SCHEMA = 1


def document(record: UpgradeRecord, verdict_line: str) -> dict[str, Any]:
    """Return the content of upgrade.json; `start`, `end` and `at` are seconds after `began`."""

    def since(moment: float) -> float:
        return round(moment - record.began, 3)

    def path(each: Figures) -> dict[str, Any]:
        at, tally = each.seen.route, each.seen.tally
        gone = [
            {
                "start": since(outage.start),
                "end": since(outage.end),
                "seconds": round(outage.seconds, 3),
                "error": round(outage.error, 3),
                "lost": outage.lost,
                "errors": outage.errors,
            }
            for outage in each.outages
        ]
        return {
            "name": at.name,
            "kind": at.kind,
            "what": at.what,
            "from": at.place,
            "connections": "kept" if at.reuse else "new",
            "samples": len(tally.samples),
            "up": tally.up,
            "lost": len(tally.lost),
            "unknown": tally.unknown,
            "largestGap": round(each.gap, 3),
            "outages": gone,
            "away": {"seconds": round(each.away, 3), "error": round(each.error, 3)},
            "allowed": {"seconds": each.allowed.seconds, "reason": each.allowed.reason},
            "within": each.within,
        }

    return {
        "schema": SCHEMA,
        "verdict": verdict_line,
        "hops": list(record.hops),
        "began": iso(record.began),
        "ended": iso(record.ended),
        "seconds": since(record.ended),
        "upgradedByThisRun": record.asked,
        "controlPlanes": record.control_planes,
        "paths": [path(figures(record, seen)) for seen in record.paths],
        "marks": [{"at": since(mark.at), "kind": mark.kind, "what": mark.what} for mark in record.marks],
        "versions": [
            {"at": since(each.at), "server": each.server, "kubelets": each.kubelets, "proxies": each.proxies}
            for each in record.versions
        ],
        "relists": record.relists,
        "lostWatches": record.lost,
        "warnings": list(record.warnings),
        "drained": list(record.drained),
    }


def iso(moment: float) -> str:
    """Return Unix seconds as a time of UTC, to the millisecond."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
