"""Commands in a terminal of their own: what they print, with the sequences that move the cursor."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
HIDES_CURSOR, MOVES_UP = "\x1b[?25l", "\x1b[1A"
ENDS_SECONDS = 120.0


@dataclass
class Shown:
    """What a command printed in its terminal, and how it ended (a signal is negative)."""

    code: int
    text: str

    @property
    def plain(self) -> str:
        """The text without the sequences."""
        return SEQUENCE.sub("", self.text).replace("\r", "")


def run(
    words: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    *,
    size: tuple[int, int] = (80, 40),
    when: str = "",
    send: signal.Signals | None = None,
) -> Shown:
    """Run a command in a terminal of a size (columns, rows); send a signal once it shows the text `when`."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    process = subprocess.Popen(words, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    printed, ends = b"", time.monotonic() + ENDS_SECONDS
    try:
        while time.monotonic() < ends:
            if not select.select([ours], [], [], 0.1)[0]:
                continue
            try:
                printed += os.read(ours, 65536)
            except OSError:
                # Linux: the last process has closed the terminal.
                break
            if send and when in _text(printed).plain:
                process.send_signal(send)
                send = None
        shown = _text(printed)
        assert time.monotonic() < ends, shown.plain
        shown.code = process.wait(timeout=ENDS_SECONDS)
        return shown
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _text(printed: bytes) -> Shown:
    return Shown(0, printed.decode("utf-8", errors="replace"))
