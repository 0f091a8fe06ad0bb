"""The commands on what is there before a run and after it: doctor and clean."""

from __future__ import annotations

from kubechain.cli.commands import CleanCommand, DoctorCommand
from kubechain.cli.run import SUITES
from kubechain.core.bundle import bundled
from kubechain.core.errors import ExitCode
from kubechain.provision import clean, doctor


def work(command: DoctorCommand | CleanCommand) -> int:
    """Run a command; return its exit code."""
    match command:
        case DoctorCommand():
            entries = bundled("reports.catalogue").collect()
            claims = [entry.claim for entry in entries if entry.nodeid.startswith(SUITES)]
            return doctor.examine(command, claims)
        case CleanCommand():
            clean.clean(command)
            return ExitCode.HOLDS
