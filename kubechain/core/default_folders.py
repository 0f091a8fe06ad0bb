"""The folders of a user who names none."""

from __future__ import annotations

import os
from pathlib import Path

from kubechain.core.errors import ExitCode, SetupError

PROJECT = "kubechain"


def default_cache() -> Path:
    """Return the folder of the builds, which all checkouts of a user share.

    Raises:
        SetupError: the user has no home folder (exit code USAGE).

    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / PROJECT
    except RuntimeError as error:
        raise SetupError("no home folder for the cache: set a folder with --cache", ExitCode.USAGE) from error


def default_out() -> Path:
    """Return the folder of the results, reports/out under the current folder.

    Raises:
        SetupError: the current folder does not exist (exit code USAGE).

    """
    try:
        return Path.cwd() / "reports" / "out"
    except FileNotFoundError as error:
        raise SetupError(
            "the current folder no longer exists: change to another, or set a folder with --out", ExitCode.USAGE
        ) from error
