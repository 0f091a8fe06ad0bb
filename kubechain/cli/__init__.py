"""The command kubechain."""

from __future__ import annotations

import sys
from typing import NoReturn

from kubechain.cli import completion, finished, fleet, images, run
from kubechain.cli.commands import (
    CleanCommand,
    Command,
    CompareCommand,
    CompletionCommand,
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
)
from kubechain.cli.parser import parse
from kubechain.core import cli
from kubechain.core.bundle import bundled
from kubechain.core.errors import ExitCode
from kubechain.provision import clean, doctor


def main() -> NoReturn:
    """Run the command of the command line, and exit with its exit code."""
    cli.main(lambda: work(parse(sys.argv[1:])))


def work(command: Command) -> int:
    """Run a command; return its exit code."""
    match command:
        case RunCommand() | FaultsCommand() | UpgradeCommand() | DuringCommand():
            return run.work(command)
        case CompareCommand() | HistoryCommand() | GateCommand() | MergeCommand():
            return finished.work(command)
        case FleetCommand():
            return fleet.work(command)
        case ImagesCommand():
            return images.work(command)
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
        case ReportCommand():
            bundled("reports.serve").serve(command.out, command.port)
        case CompletionCommand():
            sys.stdout.write(completion.script(command.shell))
        case _:
            raise TypeError(type(command))
