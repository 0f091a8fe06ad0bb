"""fleet.html and fleet.json: a row for each cluster, with the chain as columns; one file that loads nothing."""

from __future__ import annotations

import json
from pathlib import Path

from kubechain.claims.claim import Link
from kubechain.core import files, redact
from kubechain.results.fleet import FleetRecord

from .templates import environment

SYMBOLS = {
    "holds": "✓", "broken": "✗", "known": "!", "blocked": "⊘", "undecided": "?", "skipped": "-",
}  # fmt: skip
TONES = {
    "holds": "good", "broken": "bad", "known": "unknown", "blocked": "grey", "undecided": "unknown", "skipped": "grey",
}  # fmt: skip
# Clusters whose verdict is above the table.
MOST_URGENT = 10


def page(fleet: FleetRecord) -> str:
    """Return the page of a fleet."""
    links = [link for link in Link if any(link in row.links for row in fleet.clusters)]
    values = {"symbols": SYMBOLS, "tones": TONES, "most_urgent": MOST_URGENT}
    return environment().get_template("fleet.html.j2").render(fleet=fleet, links=links, **values)


def write(fleet: FleetRecord, out: Path) -> None:
    """Write both files into a folder, redacted."""
    clean = FleetRecord.model_validate(redact.tree(fleet.as_json()))
    files.write(out / "fleet.json", json.dumps(clean.as_json(), indent=2))
    files.write(out / "fleet.html", page(clean))
