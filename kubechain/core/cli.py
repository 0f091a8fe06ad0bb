"""How a program of the project begins and ends: bad input and trouble are one line each, with their own exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from kubechain.core import files, known_secrets, output, proxies, redact
from kubechain.core.default_folders import PROJECT
from kubechain.core.errors import ExitCode, HarnessError, SetupError
from kubechain.core.interrupts import INTERRUPTS, leave


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is a SetupError (exit code USAGE)."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise SetupError(f"{message} (see --help)", ExitCode.USAGE)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Exit after a help text or the version; SetupError (exit code DISK) if a part of it is lost."""
        output.require_written()
        super().exit(status, message)


def main(work: Callable[[], int]) -> NoReturn:
    """Do the work and exit with the code that it returns, or with that of its trouble."""
    output.steady()
    INTERRUPTS.arm()
    proxies.spare_loopback(os.environ)
    known_secrets.of_environment(os.environ)
    try:
        code = work()
        sys.stdout.flush()
    except HarnessError as error:
        sys.stderr.write(f"{PROJECT}: {redact.text(str(error))}\n")
        code = error.code
    except OSError as error:
        if error.filename is None:
            raise
        sys.stderr.write(f"{PROJECT}: {error.filename}: cannot be used: {error.strerror}\n")
        code = ExitCode.DISK if error.errno in files.FULL else ExitCode.USAGE
    except KeyboardInterrupt:
        sys.stderr.write(f"{PROJECT}: interrupted\n")
        code = ExitCode.INTERRUPTED
    leave(int(code))
