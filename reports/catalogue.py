"""The catalogue of claims as text, JSON and Markdown, and the other generated documents."""

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
from typing import Any, Literal, get_args

from rich.console import Console
from rich.table import Table

import suites
from kubechain.claims import claim as claims
from kubechain.claims.claim import Claim, Link
from kubechain.cli import reference
from kubechain.conditions.text import counted
from kubechain.core import cli
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.records import JsonRecord
from kubechain.core.settings import RoleName
from kubechain.pytest.rights import with_rights

from . import coverage, fault_list, fixture_names, killers, mutant_list, rights, schemas
from .deploy import files as deployed

LEVELS = (
    "A run tries the `quick` claims, and with `LEVEL=full` all of them. "
    "Claims whose ids begin with BEFORE, DURING or AFTER are part of `make upgrade`. "
    "A claim whose requirements a cluster does not meet is skipped, with the reason."
)
WIDTH = 160  # of an output that is not a terminal


@dataclass(frozen=True)
class Entry:
    """A claim and the node id of its test."""

    claim: Claim
    nodeid: str

    def as_json(self) -> dict[str, Any]:
        """Return the entry as JSON values."""
        return {**self.claim.as_json(), "specUrl": self.claim.spec_url, "nodeid": self.nodeid}


def collect() -> list[Entry]:
    """Import the modules under suites/ and return their claims in the order of the chain.

    Raises:
        SetupError: a module cannot be imported, a test is not a claim, or two tests have the same id (exit code USAGE).

    """
    tests = [pair for module in _modules() for pair in tests_of(module)]
    wrong = claims.problems(tests)
    if wrong:
        raise SetupError("; ".join(wrong), ExitCode.USAGE)
    entries = [Entry(claim, nodeid) for nodeid, claim in tests if claim]
    return sorted(entries, key=lambda entry: (entry.claim.link.order, entry.claim.id))


def _modules() -> Iterable[ModuleType]:
    for info in pkgutil.walk_packages(suites.__path__, f"{suites.__name__}."):
        has_claims = not info.name.startswith(f"{suites.__name__}.faults.")  # suites/faults tests the suite, not a cluster
        if has_claims and info.name.rpartition(".")[2].startswith("test_"):
            try:
                yield importlib.import_module(info.name)
            except Exception as error:  # a module may raise anything, such as ValueError for a wrong claim
                raise SetupError(f"cannot import {info.name}: {error}", ExitCode.USAGE) from error


def tests_of(module: ModuleType) -> list[tuple[str, Claim | None]]:
    """Return (node id, claim) for each test function that a module defines."""
    path = Path(module.__file__ or "").relative_to(ROOT)
    functions = {name: value for name, value in vars(module).items() if name.startswith("test_") and callable(value)}
    own = {name: value for name, value in functions.items() if value.__module__ == module.__name__}
    return [(f"{path}::{name}", _claim(value)) for name, value in own.items()]


def _claim(function: Callable[..., object]) -> Claim | None:
    marks = getattr(function, "pytestmark", [])
    stated = next((mark.args[0] for mark in marks if mark.name == "claim"), None)
    return with_rights(stated, fixture_names.used_by(function)) if stated else None


def by_link(entries: Sequence[Entry]) -> list[tuple[Link, list[Entry]]]:
    """Return each link with claims, and its entries, in the order of the chain."""
    groups = ((link, [entry for entry in entries if entry.claim.link == link]) for link in Link)
    return [(link, group) for link, group in groups if group]


def count(entries: Sequence[Entry]) -> str:
    """Return the numbers of claims and links as a sentence."""
    levels = Counter(entry.claim.level for entry in entries)
    numbers = f"{counted(len(entries), 'claim')} on {counted(len(by_link(entries)), 'link')}"
    return f"{numbers}: {levels['quick']} quick, {levels['full']} full"


def text(entries: Sequence[Entry], console: Console) -> None:
    """Print the catalogue as a table."""
    table = Table("claim", "level", "specification", "requires", box=None, pad_edge=False)
    for link, group in by_link(entries):
        table.add_row(f"[bold]{link.value}[/]")
        for entry in group:
            table.add_row(
                entry.claim.id,
                entry.claim.level,
                entry.claim.must,
                ", ".join(requirement.id for requirement in entry.claim.requirements),
            )
    console.print(table)
    console.print(f"\n{count(entries)}")


def markdown(entries: Sequence[Entry]) -> str:
    """Return docs/CATALOGUE.md."""
    parts = [
        "# Catalogue of claims",
        "Generated from the claims by `make catalogue`; `make lint` fails if it is stale.",
        f"{count(entries)}. {LEVELS}",
    ]
    for link, group in by_link(entries):
        rows = "\n".join(_row(entry.claim) for entry in group)
        head = "| claim | specification | level | requires | upstream conformance test |\n|---|---|---|---|---|"
        parts += [f"## {link.value}", f"{head}\n{rows}"]
    return "\n\n".join(parts) + "\n"


def _row(claim: Claim) -> str:
    requirements = ", ".join(f"`{requirement.id}`" for requirement in claim.requirements)
    cells = (claim.id, f"{claim.must} ([docs]({claim.spec_url}))", claim.level, requirements, claim.upstream)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


REFERENCE = ROOT / "docs" / "REFERENCE.md"


def _schema(model: type[JsonRecord], _entries: Sequence[Entry]) -> str:
    return schemas.document(model)


def _pairs(entries: Sequence[Entry]) -> list[tuple[str, Claim]]:
    return [(entry.nodeid, entry.claim) for entry in entries]


def _role(name: str, entries: Sequence[Entry], namespace: str = "") -> str:
    return rights.manifest(rights.roles(_pairs(entries), namespace or rights.NAME)[name])


def _deployed(render: Callable[[Sequence[tuple[str, Claim]]], str], entries: Sequence[Entry]) -> str:
    return render(_pairs(entries))


# The documents that are generated from claims, faults, settings and records: path -> function that returns the text.
DOCUMENTS: dict[Path, Callable[[Sequence[Entry]], str]] = {
    ROOT / "docs" / "CATALOGUE.md": markdown,
    ROOT / "docs" / "COVERAGE.md": lambda entries: coverage.document([entry.claim for entry in entries]),
    ROOT / "docs" / "FAULTS.md": lambda _entries: fault_list.markdown(),
    ROOT / "docs" / "MUTANTS.md": lambda entries: mutant_list.markdown([entry.claim for entry in entries]),
    ROOT / "docs" / "RIGHTS.md": lambda entries: rights.markdown(_pairs(entries)),
    **{ROOT / "docs" / "rbac" / f"{name}.yaml": partial(_role, name) for name in get_args(RoleName)},
    REFERENCE: lambda _entries: reference.document(REFERENCE.read_text(encoding="utf-8")),
    **{path: partial(_deployed, render) for path, render in deployed.documents().items()},
    **{ROOT / "docs" / "schemas" / f"{name}.json": partial(_schema, model) for name, model in schemas.SCHEMAS.items()},
}


def write(entries: Sequence[Entry]) -> None:
    """Write every generated document."""
    for path, render in DOCUMENTS.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(entries), encoding="utf-8")


def stale(entries: Sequence[Entry]) -> list[Path]:
    """Return the generated documents that are missing or differ from their sources."""
    return [
        path for path, render in DOCUMENTS.items() if not path.exists() or path.read_text(encoding="utf-8") != render(entries)
    ]


def main() -> int:
    """Write the generated documents, or check them; return 1 if `--check` finds a stale one."""
    parser = cli.Parser(prog="python -m reports.catalogue", description="Write or check the generated documents.")
    modes = parser.add_mutually_exclusive_group(required=True)
    modes.add_argument("--write", action="store_true", help="write the generated documents under docs/")
    modes.add_argument("--check", action="store_true", help="fail if a generated document is stale")
    options = parser.parse_args()
    entries = collect()
    if options.write:
        write(entries)
        return ExitCode.HOLDS
    problems = [
        *(f"{path.relative_to(ROOT)} is stale: run `make catalogue`" for path in stale(entries)),
        *unkilled([entry.claim for entry in entries]),
    ]
    sys.stderr.write("".join(f"{problem}\n" for problem in problems))
    return ExitCode.CHAIN_BROKEN if problems else ExitCode.HOLDS


def unkilled(stated: Sequence[Claim]) -> list[str]:
    """Return what is wrong with claims that no fault and no mutant has to make fail."""
    return [
        *(f"{claim} has no killer: name it in a fault or a mutant that makes it fail" for claim in killers.missing(stated)),
        *(f"{claim} has a killer, or is no claim: remove it from reports/killers.py" for claim in killers.outdated(stated)),
    ]


def show(form: Literal["text", "json", "markdown"]) -> None:
    """Print the catalogue."""
    entries = collect()
    if form == "text":
        terminal = sys.stdout.isatty()
        text(entries, Console(highlight=False, width=None if terminal else WIDTH))
    else:
        sys.stdout.write(markdown(entries) if form == "markdown" else _json(entries))


def show_role(name: RoleName, namespace: str = "") -> None:
    """Print the RBAC manifest of a role; `namespace` is that of the role for one namespace, "" for the usual one.

    Raises:
        SetupError: a namespace is named for a role that is for all (exit code USAGE).

    """
    if namespace and name != "namespace":
        raise SetupError(f"--namespace={namespace}: the role {name} is for all namespaces; omit it", ExitCode.USAGE)
    sys.stdout.write(_role(name, collect(), namespace))


def _json(entries: Sequence[Entry]) -> str:
    return json.dumps([entry.as_json() for entry in entries], indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    cli.main(main)
