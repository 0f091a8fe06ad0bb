"""`kubechain fleet`: runs on several clusters, a few at a time, or the results that others have made, on one page."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console

from kubechain.claims.records import RunRecord
from kubechain.cli import children
from kubechain.cli.children import Children
from kubechain.cli.commands import RunCommand
from kubechain.cli.in_cluster_commands import FleetCommand
from kubechain.cli.options import options
from kubechain.cli.run import require_readable, require_writable, text
from kubechain.core import yaml_files
from kubechain.core.bundle import bundled
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.id_lists import ids
from kubechain.core.near_misses import suggestion
from kubechain.core.setting_groups import PREFIX
from kubechain.results import fleet as fleets
from kubechain.results import rules, runs
from kubechain.results.fleet import ClusterRow
from kubechain.results.rules import Gate

FOLDER = "clusters"
NOT_IN_FILES = re.compile(r"[^A-Za-z0-9_.-]+")


class Entry(BaseModel):
    """A cluster in the file of a fleet; `options` are settings of its run, by their environment variables."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    context: str = Field(min_length=1)
    kubeconfig: str = ""
    name: str = ""
    options: dict[str, str] = Field(default_factory=dict[str, str])

    @property
    def title(self) -> str:
        """Its name for people."""
        return self.name or self.context


@dataclass
class Fleet:
    """Runs on clusters."""

    command: FleetCommand
    gate: Gate | None
    before: Sequence[RunRecord]
    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))
    children: Children = field(default_factory=Children)

    def run(self, entries: Sequence[Entry]) -> list[ClusterRow]:
        """Run on each cluster, as many at a time as allowed; return the rows in the order of the entries."""
        with ThreadPoolExecutor(self.command.at_once) as pool:
            try:
                return list(pool.map(self._one, entries))
            except BaseException:
                self.children.end()
                raise

    def _one(self, entry: Entry) -> ClusterRow:
        place = place_of(entry.title)
        out, log = (self.command.out / FOLDER / name for name in (place, f"{place}.log"))
        began = datetime.now(UTC)
        words = ["run", "--context", entry.context]
        words += ["--kubeconfig", str(Path(entry.kubeconfig).expanduser())] if entry.kubeconfig else []
        code = self.children.run(words, children.environment(self.command, OWN, out, entry.options), log)
        found = children.result(out, began)
        if found is None:
            row = fleets.without_run(entry.title, f"no verdict: {children.said(log)}", code)
        else:
            run, folder = found
            report = os.path.relpath(folder / "chain.html", self.command.out)
            row = fleets.row(entry.title, [*self._earlier(run, entry), run], self.gate, last=self.command.last, report=report)
        self.console.print(f"  {row.name}: {row.verdict}", markup=False)
        return row

    def _earlier(self, run: RunRecord, entry: Entry) -> list[RunRecord]:
        """Return the earlier runs on a cluster, by its UID, or its context where that is not known."""
        return [
            other
            for other in self.before
            if other.run != run.run
            and (other.cluster.uid == run.cluster.uid if run.cluster.uid else other.cluster.context == entry.context)
        ]


# Settings of this command that are none of a run on a cluster.
OWN = ("contexts", "source", "at_once", "last", "out", "gate")


def work(command: FleetCommand) -> int:
    """Make the page of a fleet; return the exit code of the fleet."""
    if bool(command.contexts) == bool(command.source):
        raise SetupError(
            "fleet: name the clusters with --contexts, or SOURCE, a file of clusters or a folder of results", ExitCode.USAGE
        )
    require_readable(command)
    gate = rules.read(command.gate, command.history) if command.gate else None
    if command.source and command.source.expanduser().is_dir():
        found = runs.read_all(command.source.expanduser())
        require_writable("--out", command.out)
        rows = fleets.rows(found, gate, last=command.last)
    else:
        entries = _entries(command)
        require_writable("--out", command.out)
        (command.out / FOLDER).mkdir(exist_ok=True)
        history = command.history
        before = runs.read_all(history) if history and history.is_dir() and any(history.iterdir()) else []
        rows = Fleet(command, gate, before).run(entries)
    record = fleets.record(rows, datetime.now(UTC).replace(microsecond=0))
    bundled("reports.fleet_page").write(record, command.out)
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"  page: {command.out / 'fleet.html'}", markup=False)
    console.print(record.line, style="bold green" if record.exit_code == ExitCode.HOLDS else "bold red", markup=False)
    return record.exit_code


def place_of(title: str) -> str:
    """Return the name of the folder with the results of a cluster: none above the folder of all, and none that is hidden."""
    return NOT_IN_FILES.sub("-", title).lstrip(".") or "cluster"


def _entries(command: FleetCommand) -> list[Entry]:
    """Return the clusters of --contexts, or of the file; SetupError (exit code USAGE) if there is none, or one twice."""
    if command.source:
        file = yaml_files.read("fleet: SOURCE", command.source.expanduser())
        listed: list[Any] = file.content or []
        if type(listed) is not list or not listed:
            file.refuse((), "expected a list of clusters, each with a context")
        entries = [file.validated(Entry, each, (number,)) for number, each in enumerate(listed)]
        settings = [option.variable for option in options(RunCommand)]
        for number, entry in enumerate(entries):
            for name in entry.options:
                if name.startswith(PREFIX) and name not in settings:
                    why = f"{name}: no setting of a run{suggestion(name, settings)}"
                    file.refuse((number, "options", name), why)
    else:
        kubeconfig = text(command.kubeconfig)
        entries = [Entry(context=context, kubeconfig=kubeconfig) for context in sorted(ids(command.contexts))]
    if not entries:
        raise SetupError(f"fleet: --contexts={command.contexts}: names no context", ExitCode.USAGE)
    places: dict[str, list[str]] = {}
    for entry in entries:
        places.setdefault(place_of(entry.title), []).append(entry.title)
    twice = [" and ".join(titles) for titles in places.values() if len(titles) > 1]
    if twice:
        what = f"fleet: the results of {twice[0]} would be in one folder; give each cluster a name of its own (name:)"
        raise SetupError(what, ExitCode.USAGE)
    return entries
