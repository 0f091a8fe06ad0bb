"""Files that are read without a wait, or written whole or not at all, and what a full disk means."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from kubechain.core.errors import ExitCode, SetupError

# No space, no quota, or a limit on the size of files.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def regular(path: Path) -> Path:
    """Return the path of a file that is read; OSError if it is none, or is a pipe or a device, which may block for ever.

    A pipe, such as that of the shell's <(...), can be read once, and the processes of a run read a file again.
    """
    mode = path.stat().st_mode
    if stat.S_ISFIFO(mode):
        what = "it is a pipe, which can be read only once; write its content to a file"
        raise OSError(errno.EINVAL, what, str(path))
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "it is a device or a socket; write its content to a file", str(path))
    return path


def write(path: Path, text: str) -> None:
    """Write a file in one step; OSError if that fails, and the file is as it was before."""
    # The workers of a run may write the same file at the same time.
    half = path.with_name(f".{path.name}.{os.getpid()}.half")
    try:
        half.write_text(text, encoding="utf-8")
        half.replace(path)
    except OSError:
        half.unlink(missing_ok=True)
        raise


def full_disk(error: BaseException | None, folder: Path) -> SetupError | None:
    """Return the trouble (exit code DISK) if an exception, or one that it came from, says that a disk is full; else None.

    The message names the file, or `folder` if the system named none.
    """
    if error is None:
        return None
    if isinstance(error, OSError) and error.errno in FULL:
        where = error.filename or folder
        return SetupError(f"the disk of {where} is full ({error.strerror}): free space there and run again", ExitCode.DISK)
    inner: tuple[BaseException, ...] = error.exceptions if isinstance(error, BaseExceptionGroup) else ()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # generic
    return next(filter(None, (full_disk(each, folder) for each in (*inner, error.__cause__ or error.__context__))), None)
