"""upgrade.html: a change of a cluster on one time axis, as a page without scripts; the same data as tables below."""

from __future__ import annotations

from kubechain.core import redact
from kubechain.upgrade.figures import title
from kubechain.upgrade.model import UpgradeRecord

from . import upgrade_view
from .templates import environment
from .upgrade_json import document

# Factors of the width of the axis that the page offers.
ZOOMS = (1, 2, 4, 8)


def tone(verdict_line: str) -> str:
    """Return the class of a verdict: good, bad, unknown, or "" before there is one."""
    if "chain broken" in verdict_line:
        return "bad"
    return ("good" if "chain holds" in verdict_line else "unknown") if verdict_line else ""


def page(record: UpgradeRecord, verdict_line: str) -> str:
    """Return the page of a change; texts are redacted before they become HTML."""
    labels = upgrade_view.labels(record)
    return (
        environment(redact.text)
        .get_template("upgrade.html.j2")
        .render(
            title=title(record),
            verdict=verdict_line,
            tone=tone(verdict_line),
            record=record,
            document=document(record, verdict_line),
            loss=upgrade_view.loss(record),
            prefix=upgrade_view.prefix(record),
            labels=labels,
            lanes=max((label.lane for label in labels), default=-1) + 1,
            without_label=len(upgrade_view.events(record)) - len(labels),
            events=upgrade_view.events(record),
            groups=[
                ("Routes", upgrade_view.routes(record)),
                ("Nodes that serve", upgrade_view.nodes(record)),
                ("Versions", upgrade_view.versions(record)),
            ],
            outages=upgrade_view.outages(record),
            ticks=upgrade_view.placed_ticks(record),
            zooms=ZOOMS,
        )
    )
