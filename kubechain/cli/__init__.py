"""The command kubechain."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import NoReturn

from kubechain.cli import completion, documents
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
from kubechain.core import cli, output, start_up
from kubechain.core.bundle import bundled
from kubechain.core.errors import ExitCode

# Modules of the commands with an exit code of their own: what one imports takes longer than many a command, so no other does.
MODULES: Mapping[type[Command], str] = {
    **dict.fromkeys((RunCommand, FaultsCommand, UpgradeCommand, DuringCommand), "run"),
    **dict.fromkeys((CompareCommand, HistoryCommand, GateCommand, MergeCommand), "finished"),
    **dict.fromkeys((DoctorCommand, CleanCommand), "machine"),
    BenchCommand: "bench",
    FleetCommand: "fleet",
    WatchCommand: "watch",
    ImagesCommand: "images",
}


# Commands of which nothing remains but what they print.
PRINTING = (
    ListCommand, DocsCommand, RightsCommand, CompletionCommand, CompareCommand, HistoryCommand, ImagesCommand, GateCommand,
    DoctorCommand,
)  # fmt: skip


def main() -> NoReturn:
    """Run the command of the command line, and exit with its exit code."""
    cli.main(_begin)


def _begin() -> int:
    command = parse(sys.argv[1:])
    if type(command) in MODULES:
        _module(command)
    start_up.end()
    return work(command)


def work(command: Command) -> int:
    """Run a command; return its exit code."""
    code = ExitCode.HOLDS
    if type(command) in MODULES:
        code = _module(command).work(command)
    else:
        show(command)
    if isinstance(command, PRINTING):
        output.require_written()
    return code


def _module(command: Command) -> ModuleType:
    return importlib.import_module(f"{__name__}.{MODULES[type(command)]}")


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
