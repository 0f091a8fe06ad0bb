"""Files that a user names and kubechain reads: a pipe or a device is refused, and not waited for."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest

from kubechain.cli import work
from kubechain.cli.parser import parse
from kubechain.core import registries
from kubechain.core.errors import ExitCode, SetupError
from kubechain.kube import credentials
from kubechain.kube.kubeconfig import ContextEntry
from tests import loopback

PIPE = "it is a pipe, which can be read only once; write its content to a file"
DEVICE = "it is a device or a socket; write its content to a file"
# The option of each command line, as messages name it.
WORDS = {
    "--waivers=": ("run", "--waivers", "FILE"),
    "--overlay=": ("run", "--overlay", "FILE"),
    "--gate=": ("run", "--gate", "FILE"),
    "--snapshot=": ("upgrade", "after", "--context", "test", "--kubeconfig", "KUBECONFIG", "--snapshot", "FILE"),
    "kubeconfig ": ("run", "--context", "test", "--kubeconfig", "FILE"),
    "fleet: SOURCE=": ("fleet", "FILE"),
    "": ("compare", "FILE", "FILE"),
}


@pytest.fixture(autouse=True)
def _bounded() -> Generator[None]:  # pyright: ignore[reportUnusedFunction]  # used by pytest
    """End what waits for a writer."""

    def end(_number: int, _frame: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A pipe without a writer."""
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def refusal(words: tuple[str, ...], file: Path, folder: Path) -> SetupError:
    """Return the error of a command line in which FILE and KUBECONFIG are files."""
    named = {"FILE": str(file), "KUBECONFIG": str(loopback.kubeconfig(folder, "http://127.0.0.1:1"))}
    with pytest.raises(SetupError) as raised:
        work(parse([named.get(word, word) for word in words]))
    assert "\n" not in str(raised.value)
    return raised.value


@pytest.mark.parametrize("option", WORDS)
def test_pipe_and_device_are_refused_at_every_option(option: str, pipe: Path, tmp_path: Path) -> None:
    for file, why in ((pipe, PIPE), (Path("/dev/zero"), DEVICE)):
        error = refusal(WORDS[option], file, tmp_path)
        assert str(error).startswith(f"{option}{file}: ")
        assert why in str(error)
        assert error.code in (ExitCode.USAGE, ExitCode.SNAPSHOT, ExitCode.KUBECONFIG)


def test_pipe_is_no_result_that_a_gate_checks(pipe: Path, tmp_path: Path) -> None:
    (tmp_path / "gate.yaml").write_text("failed: 0\n")
    error = refusal(("gate", "FILE", "--gate", str(tmp_path / "gate.yaml")), pipe, tmp_path)
    assert str(error) == f"{pipe}: not a regular file; name the run.json of a finished run"


def test_pipe_holds_no_credentials_of_a_registry(pipe: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError) as raised:
        registries.credentials(pipe, ["nginx"])
    assert (str(raised.value), raised.value.code) == (f"--pull-secret={pipe}: cannot be read: {PIPE}", ExitCode.USAGE)
    with pytest.raises(SetupError, match="cannot be read: No such file or directory"):
        registries.credentials(tmp_path / "none", ["nginx"])


@pytest.mark.parametrize("user", [{"client-key": "PIPE", "client-certificate": "PIPE"}, {"tokenFile": "PIPE"}])
def test_pipe_holds_no_credentials_of_a_user(user: dict[str, str], pipe: Path, tmp_path: Path) -> None:
    entry = ContextEntry("k", "c", {"server": "https://127.0.0.1:1"}, "u", dict.fromkeys(user, str(pipe)))
    with pytest.raises(SetupError, match=r"not a regular file|it is a pipe") as raised:
        credentials.of(entry, tmp_path).get()
    assert raised.value.code == ExitCode.KUBECONFIG
