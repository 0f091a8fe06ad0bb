"""Run programs with a time limit, keep their output, and report a failure in one line."""

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

from kubechain.core import redact
from kubechain.core.errors import ExitCode, SetupError

LAST_LINES = 3
GRACE_SECONDS = 5.0
# Environment variable of every program that is run, inherited by its children: the identity of the process that started it.
# kubechain.cleanup.processes finds by it the programs that a killed run left running.
OWNER = "KUBECHAIN_OWNER"


class TookTooLong(SetupError):
    """A program did not end within its time limit."""


@dataclass(frozen=True)
class Completed:
    """The output of a program (text, undecodable bytes replaced) and its exit status."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str

    @property
    def last_words(self) -> str:
        """The last LAST_LINES lines of stderr (of stdout if stderr is empty), joined to one line, without secrets."""
        # Redacted as a whole: the last lines of a key would not be known.
        lines = [line.strip() for line in redact.text(self.stderr or self.stdout).splitlines() if line.strip()]
        return " | ".join(lines[-LAST_LINES:])


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    stdin: str | IO[bytes] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    grace: float | None = None,
) -> Completed:
    """Run `argv` for at most `timeout` seconds and return its output, whatever its exit status is.

    `env` is added to this process's environment. The program gets a process group of its own, which is ended after
    `timeout` seconds or when this process is interrupted, so no child outlives the call. It is killed if that takes longer than
    `grace` (default: GRACE_SECONDS).

    Raises:
        SetupError: the program cannot be started, or (TookTooLong) it did not end in time.

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
            env=environment(env),
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        raise SetupError(f"cannot run {words[0]}: {error.strerror}", ExitCode.TOOLS) from error
    try:
        out, err = process.communicate(text.encode() if text is not None else None, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        _end(process, grace)
        raise TookTooLong(f"`{redact.text(' '.join(words[:4]))}` took more than {timeout:.0f} s", ExitCode.TOOLS) from error
    except BaseException:
        _end(process, grace)
        raise
    return Completed(words, process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


def environment(added: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a program: that of this process, the mark of the owner, and `added`."""
    return {**os.environ, OWNER: identity(), **(added or {})}


def _end(process: subprocess.Popen[bytes], grace: float | None) -> None:
    """End a program and its children: SIGTERM first, so that they remove temporary files, then SIGKILL."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=GRACE_SECONDS if grace is None else grace)
    except (subprocess.TimeoutExpired, ProcessLookupError):
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def identity(pid: int | None = None) -> str:
    """Return pid and start time of a process (default: this process), a pair that is never used again; "" if it has ended."""
    try:
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return ""
        # In hundredths of a second since boot: the time of day may be set while the process runs.
        return f"{process.pid}-{round((process.create_time() - psutil.boot_time()) * 100)}"
    except psutil.Error:
        return ""


def is_running(owner: str) -> bool:
    """Whether the process with the identity `owner` still runs."""
    pid = owner.partition("-")[0]
    return pid.isdecimal() and identity(int(pid)) == owner


def pid_namespace(pid: int | None = None) -> str:
    """Return the PID namespace of a process (default: this process), such as "pid:[4026531836]"; "" on other systems than Linux.

    Raises:
        OSError: the process has ended, or belongs to another user.

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
    """Run `argv` as `run` does and return its stdout; raise a SetupError with its last lines if the exit status is not 0.

    `doing` begins the message, such as "building image x"; the default is the command.
    """
    done = run(argv, timeout=timeout, stdin=stdin, env=env, cwd=cwd)
    if done.status != 0:
        what = doing or f"`{redact.text(' '.join(done.argv[:4]))}`"
        raise SetupError(f"{what} failed (status {done.status}): {done.last_words}", code)
    return done.stdout
