"""fleet.html and fleet.json: a row for each cluster, with the chain as columns; one file that loads nothing."""

from __future__ import annotations

import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kubechain.claims.claim import Link
from kubechain.core import files, redact
from kubechain.results.fleet import FleetRecord

from .chain_page import FOLDER, UNSHOWN

SYMBOLS = {
    "holds": "✓", "broken": "✗", "known": "!", "blocked": "⊘", "undecided": "?", "skipped": "-",
}  # fmt: skip
TONES = {
    "holds": "good", "broken": "bad", "known": "unknown", "blocked": "grey", "undecided": "unknown", "skipped": "grey",
}  # fmt: skip


def page(fleet: FleetRecord) -> str:
    """Return the page of a fleet."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=_shown,
    )  # fmt: skip
    links = [link for link in Link if any(link in row.links for row in fleet.clusters)]
    return environment.get_template("fleet.html.j2").render(fleet=fleet, links=links, symbols=SYMBOLS, tones=TONES)


def _shown(value: object) -> object:
    return UNSHOWN.sub("�", value) if isinstance(value, str) else value


def write(fleet: FleetRecord, out: Path) -> None:
    """Write both files into a folder, redacted."""
    clean = FleetRecord.model_validate(redact.tree(fleet.as_json()))
    files.write(out / "fleet.json", json.dumps(clean.as_json(), indent=2))
    files.write(out / "fleet.html", page(clean))
