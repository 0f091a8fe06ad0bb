"""What rigs that run commands share: a run that a rig waits for ends with it, and puts back first what it made."""

from __future__ import annotations

import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from kubechain.core.bundle import ROOT

# A run that is told to end removes its namespaces first.
END_SECONDS = 150.0


@contextmanager
def ending(process: subprocess.Popen[Any]) -> Generator[None]:
    """Tell a run to end if the rig is interrupted in the block, and wait for it: its files may be removed with the rig."""
    try:
        yield
    except BaseException:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise


def done(argv: Sequence[str], environment: Mapping[str, str], *, seconds: float) -> tuple[int, str]:
    """Run a command in the root of the project for at most so long; return its exit status and what it printed."""
    with (
        subprocess.Popen(
            argv, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
        ending(process),
    ):
        printed, _ = process.communicate(timeout=seconds)
    return process.returncode, printed
