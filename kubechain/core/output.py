"""Standard output and standard error that a run survives: closed, full, without a reader, or of another encoding than UTF-8."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO

from kubechain.core.errors import ExitCode, SetupError


class SteadyOutput(io.TextIOWrapper):
    """A text stream that discards what cannot be written, such as after `| head` has ended or on a full disk.

    `lost` says why something was discarded that has a reader, "" if nothing was.
    """

    lost: str = ""

    def write(self, text: str, /) -> int:
        """Write a text, or discard it."""
        try:
            return super().write(text)
        except OSError as error:
            self._discard(error)
            return len(text)

    def flush(self) -> None:
        """Flush what was written, or discard it."""
        try:
            super().flush()
        except OSError as error:
            self._discard(error)

    def _discard(self, error: OSError) -> None:
        """Lead the file descriptor to the null device, so that what is still in the buffer can be flushed."""
        if not isinstance(error, BrokenPipeError):
            self.lost = error.strerror or type(error).__name__
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self.fileno())
        os.close(null)


def steady() -> None:
    """Replace sys.stdout and sys.stderr by steady ones; call it once, before anything is opened or printed."""
    while (null := os.open(os.devnull, os.O_RDWR)) <= 2:
        # A standard stream that is closed: its number must not become that of another file.
        continue
    os.close(null)
    sys.stdout = _steady(sys.stdout, sys.__stdout__, 1)
    sys.stderr = _steady(sys.stderr, sys.__stderr__, 2)


def require_written() -> None:
    """Raise SetupError (exit code DISK) if a part of what was printed is lost, as on a full disk; a reader may go at any time."""
    sys.stdout.flush()
    if isinstance(sys.stdout, SteadyOutput) and sys.stdout.lost:
        raise SetupError(f"standard output: {sys.stdout.lost}: what was printed is not complete", ExitCode.DISK)


def _steady(stream: TextIO | None, original: TextIO | None, number: int) -> TextIO:
    """Return a steady stream in place of the original one, which is None if its file descriptor was closed."""
    if stream is not None and stream is not original:
        return stream
    encoding = stream.encoding if stream else "utf-8"
    # A character that the encoding of the terminal lacks is shown as \uXXXX.
    return SteadyOutput(open(number, "wb", closefd=False), encoding=encoding, errors="backslashreplace", line_buffering=True)
