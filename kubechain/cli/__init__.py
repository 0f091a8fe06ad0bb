"""The command kubechain."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from kubechain.cli import bench, completion, documents, finished, fleet, images, run, watch
from kubechain.cli.commands import (
    BenchCommand,
    CleanCommand,
    Command,
    CompareCommand,
    CompletionCommand,
    DocsCommand,
    DoctorCommand,
    DuringCommand,
    FaultsCommand,
    FleetCommand,
    GateCommand,
    HistoryCommand,
    ImagesCommand,
    ListCommand,
    MergeCommand,
    ReportCommand,
    RightsCommand,
    RunCommand,
    UpgradeCommand,
    WatchCommand,
)
from kubechain.cli.parser import parse
from kubechain.core import cli, output
from kubechain.core.bundle import bundled
from kubechain.core.errors import ExitCode
from kubechain.provision import clean, doctor


def main() -> NoReturn:
    """Run the command of the command line, and exit with its exit code."""
    cli.main(lambda: work(parse(sys.argv[1:])))


# Commands with an exit code of their own.
WORK: Mapping[type[Command], Callable[[Any], int]] = {
    **dict.fromkeys((RunCommand, FaultsCommand, UpgradeCommand, DuringCommand), run.work),
    **dict.fromkeys((CompareCommand, HistoryCommand, GateCommand, MergeCommand), finished.work),
    BenchCommand: bench.work,
    FleetCommand: fleet.work,
    WatchCommand: watch.work,
    ImagesCommand: images.work,
}


# Commands of which nothing remains but what they print.
PRINTING = (ListCommand, DocsCommand, RightsCommand, CompletionCommand, CompareCommand, HistoryCommand, ImagesCommand)


def work(command: Command) -> int:
    """Run a command; return its exit code."""
    code = _work(command)
    if isinstance(command, PRINTING):
        output.require_written()
    return code


def _work(command: Command) -> int:
    if type(command) in WORK:
        return WORK[type(command)](command)
    match command:
        case DoctorCommand():
            entries = bundled("reports.catalogue").collect()
            claims = [entry.claim for entry in entries if entry.nodeid.startswith(run.SUITES)]
            return doctor.examine(command, claims)
        case CleanCommand():
            clean.clean(command)
        case _:
            show(command)
    return ExitCode.HOLDS


def show(command: Command) -> None:
    """Print what a command asks for."""
    match command:
        case ListCommand():
            bundled("reports.catalogue").show(command.format)
        case RightsCommand():
            bundled("reports.catalogue").show_role(command.role, command.namespace)
        case DocsCommand():
            documents.show(command.document)
        case ReportCommand():
            bundled("reports.serve").serve(command.out, command.port)
        case CompletionCommand():
            sys.stdout.write(completion.script(command.shell))
        case _:
            raise TypeError(type(command))
