"""The catalogue of claims, from their metadata alone: as text, as JSON, and as a document; and all generated documents."""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

import suites
from kubechain.claims import claim as claims
from kubechain.claims.claim import Claim, Link
from kubechain.cli import reference
from kubechain.core import cli
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.records import JsonRecord

from . import coverage, fault_list, schemas

LEVELS = (
    "`quick` claims run by default, `full` ones as well with `LEVEL=full`; "
    "those whose ids begin with BEFORE, DURING or AFTER are the ones of `make upgrade`. "
    "Where a cluster has not what a claim needs, the claim is skipped, with the reason."
)
WIDTH = 160  # where there is no terminal to ask


@dataclass(frozen=True)
class Entry:
    """A claim and the node id of the test that makes it."""

    claim: Claim
    nodeid: str

    def as_json(self) -> dict[str, Any]:
        """Return the entry as JSON-able values."""
        return {**self.claim.as_json(), "specUrl": self.claim.spec_url, "nodeid": self.nodeid}


def collect() -> list[Entry]:
    """Return all claims in the order of the chain; nothing but the modules under suites/ is loaded.

    Raises:
        SetupError: a module cannot be loaded, a test is no claim, or an id is used twice (exit code USAGE).

    """
    found = [pair for module in _modules() for pair in tests_of(module)]
    wrong = claims.problems(found)
    if wrong:
        raise SetupError("; ".join(wrong), ExitCode.USAGE)
    entries = [Entry(claim, nodeid) for nodeid, claim in found if claim]
    return sorted(entries, key=lambda each: (each.claim.link.order, each.claim.id))


def _modules() -> Iterable[ModuleType]:
    for info in pkgutil.walk_packages(suites.__path__, f"{suites.__name__}."):
        states = not info.name.startswith(f"{suites.__name__}.faults.")  # there the suite is judged, not the cluster
        if states and info.name.rpartition(".")[2].startswith("test_"):
            try:
                yield importlib.import_module(info.name)
            except Exception as error:  # whatever the module raises: a bad claim, a bad import
                raise SetupError(f"cannot load {info.name}: {error}", ExitCode.USAGE) from error


def tests_of(module: ModuleType) -> list[tuple[str, Claim | None]]:
    """Return (node id, claim) for each test function that a module defines."""
    path = Path(module.__file__ or "").relative_to(ROOT)
    functions = {name: value for name, value in vars(module).items() if name.startswith("test_") and callable(value)}
    own = {name: value for name, value in functions.items() if value.__module__ == module.__name__}
    return [(f"{path}::{name}", _claim(value)) for name, value in own.items()]


def _claim(function: Callable[..., object]) -> Claim | None:
    marks = getattr(function, "pytestmark", [])
    return next((mark.args[0] for mark in marks if mark.name == "claim"), None)


def by_link(entries: Sequence[Entry]) -> list[tuple[Link, list[Entry]]]:
    """Return the entries of each link that has any, in the order of the chain."""
    groups = ((link, [each for each in entries if each.claim.link == link]) for link in Link)
    return [(link, group) for link, group in groups if group]


def count(entries: Sequence[Entry]) -> str:
    """Say how many claims there are."""
    levels = Counter(each.claim.level for each in entries)
    return f"{len(entries)} claims on {len(by_link(entries))} links: {levels['quick']} quick, {levels['full']} full"


def text(entries: Sequence[Entry], console: Console) -> None:
    """Print the catalogue as a table."""
    table = Table("claim", "level", "the cluster", "needs", box=None, pad_edge=False)
    for link, group in by_link(entries):
        table.add_row(f"[bold]{link.value}[/]")
        for each in group:
            table.add_row(
                each.claim.id,
                each.claim.level,
                each.claim.must,
                ", ".join(requirement.id for requirement in each.claim.requirements),
            )
    console.print(table)
    console.print(f"\n{count(entries)}")


def markdown(entries: Sequence[Entry]) -> str:
    """Return the catalogue as a document."""
    parts = [
        "# Catalogue of claims",
        "Generated from the claims themselves by `make catalogue`; `make lint` fails if it is stale.",
        f"{count(entries)}. {LEVELS}",
    ]
    for link, group in by_link(entries):
        rows = "\n".join(_row(each.claim) for each in group)
        head = "| claim | specification | level | needs | upstream conformance test |\n|---|---|---|---|---|"
        parts += [f"## {link.value}", f"{head}\n{rows}"]
    return "\n\n".join(parts) + "\n"


def _row(claim: Claim) -> str:
    needs = ", ".join(f"`{requirement.id}`" for requirement in claim.requirements)
    cells = (claim.id, f"{claim.must} ([docs]({claim.spec_url}))", claim.level, needs, claim.upstream)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


REFERENCE = ROOT / "docs" / "REFERENCE.md"


def _schema(model: type[JsonRecord], _entries: Sequence[Entry]) -> str:
    return schemas.document(model)


# What is generated from the claims, the faults, the settings and the records: where it lies, and what makes it.
DOCUMENTS: dict[Path, Callable[[Sequence[Entry]], str]] = {
    ROOT / "docs" / "CATALOGUE.md": markdown,
    ROOT / "docs" / "COVERAGE.md": lambda entries: coverage.document([each.claim for each in entries]),
    ROOT / "docs" / "FAULTS.md": lambda _entries: fault_list.markdown(),
    REFERENCE: lambda _entries: reference.document(REFERENCE.read_text(encoding="utf-8")),
    **{ROOT / "docs" / "schemas" / f"{name}.json": partial(_schema, model) for name, model in schemas.SCHEMAS.items()},
}


def write(entries: Sequence[Entry]) -> None:
    """Write every generated document."""
    for path, render in DOCUMENTS.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(render(entries), encoding="utf-8")


def stale(entries: Sequence[Entry]) -> list[Path]:
    """Return the generated documents that are not what their sources say."""
    return [
        path for path, render in DOCUMENTS.items() if not path.exists() or path.read_text(encoding="utf-8") != render(entries)
    ]


def main() -> int:
    """Write the generated documents, or check them; the exit code is 1 if `--check` finds a stale one."""
    parser = cli.Parser(prog="python -m reports.catalogue", description="The documents that are generated.")
    modes = parser.add_mutually_exclusive_group(required=True)
    modes.add_argument("--write", action="store_true", help="write the generated documents under docs/")
    modes.add_argument("--check", action="store_true", help="fail if a generated document is stale")
    options = parser.parse_args()
    entries = collect()
    if options.write:
        write(entries)
        return ExitCode.HOLDS
    for path in (found := stale(entries)):
        sys.stderr.write(f"{path.relative_to(ROOT)} is stale: `make catalogue` writes it anew\n")
    return ExitCode.CHAIN_BROKEN if found else ExitCode.HOLDS


def show(form: Literal["text", "json", "markdown"]) -> None:
    """Print the catalogue."""
    entries = collect()
    if form == "text":
        terminal = sys.stdout.isatty()
        text(entries, Console(highlight=False, width=None if terminal else WIDTH))
    else:
        sys.stdout.write(markdown(entries) if form == "markdown" else _json(entries))


def _json(entries: Sequence[Entry]) -> str:
    return json.dumps([each.as_json() for each in entries], indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    cli.main(main)
