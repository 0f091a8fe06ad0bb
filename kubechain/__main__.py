"""The command kubechain, also as `python -m kubechain`."""

from __future__ import annotations

import importlib
import sys

from kubechain.core import start_up
from kubechain.core.errors import ExitCode
from kubechain.core.interrupts import INTERRUPTS, leave


def main() -> None:
    """Run the command. A signal is handled before the libraries are imported, which takes a second."""
    INTERRUPTS.arm()
    start_up.begin()
    try:
        command = importlib.import_module("kubechain.cli")
    except KeyboardInterrupt:
        sys.stderr.write("kubechain: interrupted\n")
        leave(ExitCode.INTERRUPTED)
    command.main()


if __name__ == "__main__":
    main()
