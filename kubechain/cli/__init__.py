"""The command kubechain."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import NoReturn

from kubechain.cli import completion, run
from kubechain.cli.commands import (
    CleanCommand,
    Command,
    CompletionCommand,
    DoctorCommand,
    FaultsCommand,
    ListCommand,
    ReportCommand,
    RightsCommand,
    RunCommand,
    UpgradeCommand,
)
from kubechain.cli.parser import parse
from kubechain.core import cli
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode
from kubechain.provision import clean, doctor


def main() -> NoReturn:
    """Run the command of the command line, and exit with its exit code."""
    cli.main(lambda: work(parse(sys.argv[1:])))


def bundled(module: str) -> ModuleType:
    """Import a module from outside the package kubechain, such as reports.serve."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    return importlib.import_module(module)


def work(command: Command) -> int:
    """Run a command; return its exit code."""
    match command:
        case RunCommand():
            return run.claims(command)
        case FaultsCommand():
            return run.faults(command)
        case UpgradeCommand():
            return run.upgrade(command)
        case ListCommand():
            bundled("reports.catalogue").show(command.format)
        case RightsCommand():
            bundled("reports.catalogue").show_role(command.role, command.namespace)
        case ReportCommand():
            bundled("reports.serve").serve(command.out, command.port)
        case CleanCommand():
            clean.clean(command)
        case DoctorCommand():
            entries = bundled("reports.catalogue").collect()
            claims = [entry.claim for entry in entries if entry.nodeid.startswith(run.SUITES)]
            return doctor.examine(command, claims)
        case CompletionCommand():
            sys.stdout.write(completion.script(command.shell))
        case _:
            raise TypeError(type(command))
    return ExitCode.HOLDS
