"""Running a program: bounded, its output kept, its failure one line."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from kubechain.core.errors import ExitCode, SetupError

LAST_LINES = 3
GRACE_SECONDS = 5.0
# In the environment of every program that is run, and so of all that it starts: the identity of the process that it works
# for. By it, what a run that was killed has left running is found (kubechain.cleanup.processes).
OWNER = "KUBECHAIN_OWNER"


class TookTooLong(SetupError):
    """A program had not ended when its time was up."""


@dataclass(frozen=True)
class Completed:
    """What a program printed (text, undecodable bytes replaced) and its exit status."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str

    @property
    def last_words(self) -> str:
        """The last lines of stderr (stdout if it is empty), joined to one line."""
        lines = [line.strip() for line in (self.stderr or self.stdout).splitlines() if line.strip()]
        return " | ".join(lines[-LAST_LINES:])


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    stdin: str | IO[bytes] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Completed:
    """Run `argv` for at most `timeout` seconds and return what it printed, whatever its exit status.

    `env` is added to this process's environment. The program gets a process group of its own, which is ended when
    the time is up or when this process is interrupted, so nothing outlives the call.

    Raises:
        SetupError: the program does not exist, or (TookTooLong) the time was up.

    """
    words = tuple(str(word) for word in argv)
    text = stdin if isinstance(stdin, str) else None
    source = subprocess.PIPE if isinstance(stdin, str) else (stdin or subprocess.DEVNULL)
    try:
        process = subprocess.Popen(
            words,
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, OWNER: identity(), **(env or {})},
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        raise SetupError(f"cannot run {words[0]}: {error.strerror}", ExitCode.TOOLS) from error
    try:
        out, err = process.communicate(text.encode() if text is not None else None, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        _end(process)
        raise TookTooLong(f"`{' '.join(words[:4])}` took more than {timeout:.0f} s", ExitCode.TOOLS) from error
    except BaseException:
        _end(process)
        raise
    return Completed(words, process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program and what it started, which may outlive it: asked first, so that temporary files are removed."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=GRACE_SECONDS)
    except (subprocess.TimeoutExpired, ProcessLookupError):
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def identity(pid: int | None = None) -> str:
    """Return the pid of a process (by default this one) and its start, which no other process shares; "" if it has ended."""
    try:
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return ""
        # In hundredths of a second since the machine started: the time of day may be set while the process runs.
        return f"{process.pid}-{round((process.create_time() - psutil.boot_time()) * 100)}"
    except psutil.Error:
        return ""


def is_running(owner: str) -> bool:
    """Whether the process with that identity still runs."""
    pid = owner.partition("-")[0]
    return pid.isdecimal() and identity(int(pid)) == owner


def pid_namespace(pid: int | None = None) -> str:
    """Return the PID namespace in which the pid of a process means it; "" where there are none.

    Raises:
        OSError: the process has ended, or is another user's.

    """
    return str(Path(f"/proc/{pid or os.getpid()}/ns/pid").readlink()) if sys.platform == "linux" else ""


def check(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    stdin: str | IO[bytes] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    code: ExitCode = ExitCode.TOOLS,
    doing: str = "",
) -> str:
    """Run `argv` as `run` does and return its stdout; a non-zero exit status is a SetupError with its last words."""
    done = run(argv, timeout=timeout, stdin=stdin, env=env, cwd=cwd)
    if done.status != 0:
        what = doing or f"`{' '.join(done.argv[:4])}`"
        raise SetupError(f"{what} failed (status {done.status}): {done.last_words}", code)
    return done.stdout
