"""The command line: settings, usage errors, help and completion."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kubechain import __version__
from kubechain.cli import completion, reference
from kubechain.cli.commands import CleanCommand, RunCommand, commands
from kubechain.cli.options import options
from kubechain.cli.parser import parse
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.settings import Settings
from tests import loopback

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("KUBECHAIN_", "PYTEST_", "KUBECONFIG"))}


def command(*words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    variables = {**ENVIRONMENT, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **environment}
    argv = [sys.executable, "-m", "kubechain", *words]
    return subprocess.run(argv, cwd=cwd, env=variables, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]  # used by pytest
    """Remove the settings from the environment."""
    for name in os.environ:
        if name.startswith("KUBECHAIN_") or name == "KUBECONFIG":
            monkeypatch.delenv(name)


def parsed(*words: str) -> Any:
    return parse(words)


def test_option_wins_over_the_environment_and_that_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parsed("run").level == "quick"
    monkeypatch.setenv("KUBECHAIN_LEVEL", "full")
    assert parsed("run").level == "full"
    assert parsed("run", "--level", "quick").level == "quick"


def test_names_in_the_environment_are_flat_for_every_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "CONTEXT": "c",
        "FROM": "1.36.3",
        "PROCESSES": "4",
        "KEPT": "1",
        "FORMAT": "json",
        "PORT": "8000",
    }.items():
        monkeypatch.setenv(f"KUBECHAIN_{name}", value)
    assert (parsed("run").context, parsed("clean").context, parsed("upgrade").from_) == ("c", "c", "1.36.3")
    assert (parsed("run").processes, parsed("clean").kept, parsed("list").format, parsed("report").port) == (
        4,
        True,
        "json",
        8000,
    )


def test_variables_without_the_prefix_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUN", "LIST", "CLEAN", "CONTEXT", "LEVEL", "CACHE"):
        monkeypatch.setenv(name, '{"level": "full"}')
    assert isinstance(parsed("run"), RunCommand)
    assert (parsed("run").level, parsed("run").context) == ("quick", "")


@pytest.mark.parametrize("value", ["null", "prod$x", "a b", "-x", "{}", '["a"]', "1e3", "#", "x\ny", "'\"", "ü"])
def test_text_is_not_interpreted(value: str) -> None:
    assert parsed("run", f"--context={value}").context == value


def test_short_options_and_flags() -> None:
    found = parsed("run", "-n", "3", "-k", "dns or env", "--keep", "--no-html")
    assert (found.processes, found.claims, found.keep, found.html) == (3, "dns or env", True, False)


WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "no command": ((), "no command: expected one of run, "),
    "unknown command": (("walk",), "no such command: walk; expected one of run, "),
    "misspelled command": (("docter",), "no such command: docter (did you mean doctor?); expected one of run, "),
    "command in capitals": (("RUN",), "no such command: RUN (did you mean run?)"),
    "unknown option": (("run", "--everything"), "unrecognized arguments: --everything (see --help)"),
    "misspelled option": (("run", "--contxt=a"), "unrecognized arguments: --contxt=a (did you mean --context?)"),
    "shortened option": (("run", "--lev", "full"), "unrecognized arguments: --lev full"),
    "option of another command": (("run", "--kept"), "unrecognized arguments: --kept"),
    "internal setting": (("run", "--join", "x"), "unrecognized arguments: --join x"),
    "empty value": (("run", "--context", ""), "--context is empty: give it a value, or omit it (see --help)"),
    "empty value of one word": (("run", "--context=a", "--namespace="), "--namespace is empty: give it a value, or omit it"),
    "no value": (("run", "--context"), "argument --context: expected one argument"),
    "value of a switch": (("run", "--keep=1"), "argument --keep: ignored explicit argument '1'"),
    "bad image": (("run", "--nginx-image", "Nginx latest"), "--nginx-image=Nginx latest: expected an image such as"),
    "bad client image": (("run", "--client-image", "dig:"), "--client-image=dig:: expected an image such as"),
    "bad mirror": (("run", "--registry-mirror", "https://r.example.org"), "--registry-mirror=https://r.example.org: expected"),
    "bad level": (("run", "--level", "all"), "--level=all: expected 'quick' or 'full'"),
    "bad value of two lines": (("run", "--level", "a\nb"), "--level=a b: expected 'quick' or 'full'"),
    "bad number": (("run", "-n", "x"), "--processes=x: expected a valid integer (see --help)"),
    "too many processes": (("run", "-n", "1000"), "--processes=1000: expected 64 or less (see --help)"),
    "endless patience": (("run", "--patience", "inf"), "--patience=inf: expected a finite number (see --help)"),
    "patience of years": (("run", "--patience", "1e9"), "--patience=1e9: expected 1000 or less (see --help)"),
    "no patience": (("run", "--patience", "0"), "--patience=0: expected more than 0 (see --help)"),
    "no run": (("history", "x", "--last", "0"), "--last=0: expected 1 or more (see --help)"),
    "bad architecture": (("images", "--architecture", "arm"), "--architecture=arm: expected 'amd64' or 'arm64' (see --help)"),
    "bad port": (("report", "--port", "65536"), "--port=65536: expected less than 65536"),
    "cluster of a path": (("run", "--cluster", "../x"), "--cluster=../x: expected the name of a kind cluster: lower case"),
    "cluster of a long name": (("bench", "--cluster", "a" * 49), "expected the name of a kind cluster: lower case"),
    "ConfigMap without a namespace": (("during", "--state", "/b"), "--state=/b: expected NAMESPACE/NAME (see --help)"),
    "two commands": (("during", "--command", "a b", "--", "c"), "--command: not with a command after --; omit one of them"),
    "two commands of one word": (("during", "--command=a", "--", "c"), "--command: not with a command after --"),
    "digits of another script": (("during", "--for", "\u0663s"), "expected a duration such as 90s, 15m or 2h"),
    "no port of a URL": (("during", "--ask", "http://h:99999/"), "got http://h:99999/ (Port out of range 0-65535)"),
    "blank in a URL": (("during", "--ask", "http://a,http://h h/"), "expected URLs of HTTP, got http://h h/ (see --help)"),
    "no host of a URL": (("during", "--ask", "http://"), "--ask=http://: expected URLs of HTTP, got http:// (see --help)"),
    "password of a URL": (("during", "--ask", "http://u:p@h"), "expected URLs without a name and a password"),
    "no time": (("watch", "--every", "0s"), "--every=0s: expected a duration of more than 0, such as 90s, 15m or 2h"),
    "no address": (("watch", "--address="), "--address is empty: give it a value, or omit it (see --help)"),
    "bad phase": (("upgrade", "later"), "argument PHASE: invalid choice: 'later'"),
    "bad shell": (("completion", "fish"), "argument SHELL: invalid choice: 'fish'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_command_line_is_a_usage_error_of_one_line(name: str) -> None:
    words, what = WRONG[name]
    with pytest.raises(SetupError) as raised:
        parse(words)
    assert what in str(raised.value)
    assert "\n" not in str(raised.value)
    assert raised.value.code == ExitCode.USAGE


def test_misspelled_name_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECHAIN_OWNER", "1-1")
    monkeypatch.setenv("KUBECHAIN_OF_SOMEBODY_ELSE", "x")
    assert parse(["list"])
    monkeypatch.setenv("KUBECHAIN_LEVLE", "full")
    with pytest.raises(SetupError, match=r"^KUBECHAIN_LEVLE: no such setting \(did you mean LEVEL\?\); use that name") as raised:
        parse(["run"])
    assert raised.value.code == ExitCode.USAGE


def test_bad_value_of_the_environment_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECHAIN_FROM", "1.36.3")
    monkeypatch.setenv("KUBECHAIN_IMAGES", "maybe")
    with pytest.raises(SetupError, match=r"^KUBECHAIN_IMAGES=maybe: expected 'auto', 'pull' or 'build'"):
        parse(["upgrade"])


def test_unwritable_cache_is_a_usage_error_and_creates_nothing(tmp_path: Path) -> None:
    done = command("run", cwd=tmp_path, HOME="/proc/none", XDG_CACHE_HOME="")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (4, "", 1)
    assert done.stderr.startswith("kubechain: --cache=/proc/none/.cache/kubechain: cannot be written")
    assert list(tmp_path.iterdir()) == []


def test_usage_error_is_one_line_with_exit_code_4(tmp_path: Path) -> None:
    done = command("run", "--context", "prod", "--kubeconfig", str(loopback.kubeconfig(tmp_path, "http://127.0.0.1:1")))
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == f"kubechain: --context=prod: not in {tmp_path}/kubeconfig, whose contexts are test\n"


def test_clean_of_an_unknown_context_removes_nothing(tmp_path: Path) -> None:
    kubeconfig = str(loopback.kubeconfig(tmp_path, "http://127.0.0.1:1"))
    (tmp_path / "out" / ".runs" / "dead").mkdir(parents=True)
    done = command("clean", "--context", "prod", "--kubeconfig", kubeconfig, "--out", str(tmp_path / "out"))
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)
    assert (tmp_path / "out" / ".runs" / "dead").is_dir()


def test_version_and_help_need_no_command_and_no_colour() -> None:
    assert command("--version").stdout == f"kubechain {__version__}\n"
    done = command("--help")
    assert (done.returncode, done.stderr, "\x1b" in done.stdout) == (0, "", False)
    assert [name for name in commands() if f"\n    {name}" not in done.stdout] == []


@pytest.mark.parametrize("name", commands())
def test_help_of_a_command_has_every_option_and_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        parse([name, "--help"])
    assert raised.value.code == 0
    said = capsys.readouterr().out
    plain = " ".join(said.split())
    for option in options(commands()[name]):
        assert option.meaning in plain
        assert option.variable in plain
    assert "\nexamples:\n  " in said
    assert "\0" not in said


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("rights", "rights {run|namespace|disruptive|upgrade|clean} [options]"),
        ("upgrade", "upgrade [before|during|after] [options]"),
        ("fleet", "fleet [SOURCE] [options]"),
        ("merge", "merge [FOLDER ...] [options]"),
        ("compare", "compare BEFORE AFTER [options]"),
    ],
)
def test_usage_tells_what_may_be_left_out(name: str, usage: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse([name, "--help"])
    assert capsys.readouterr().out.startswith(f"usage: kubechain {usage}\n")


def test_every_setting_of_a_run_is_an_option_or_is_internal() -> None:
    offered = {option.name for model in commands().values() for option in options(model)}
    settings = {info.alias or name for name, info in Settings.model_fields.items()}
    assert settings - offered == {"also", "join", "rehearsal"}
    assert all(option.meaning for model in commands().values() for option in options(model))


def test_closed_pipe_is_no_error() -> None:
    argv = [sys.executable, "-m", "kubechain", "list", "--format", "json"]
    with subprocess.Popen(argv, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert (process.stderr.read(), process.wait(timeout=30)) == (b"", 0)


@pytest.mark.parametrize("words", ["completion bash", "--help", "--version", "run --help", "doctor"])
def test_what_a_full_disk_does_not_take_is_an_error(words: str) -> None:
    argv = [sys.executable, "-m", "kubechain", *words.split()]
    with Path("/dev/full").open("w") as disk:
        done = subprocess.run(argv, cwd=ROOT, env=ENVIRONMENT, stdout=disk, stderr=subprocess.PIPE, text=True, check=False)
    said = "kubechain: standard output: No space left on device: what was printed is not complete\n"
    assert (done.returncode, done.stderr) == (ExitCode.DISK, said)


def test_path_that_the_user_may_not_look_at_is_a_usage_error() -> None:
    """As of a folder that may not be entered, whose exit code must not be that of a broken chain."""
    ended = command("history", "x" * 300)
    assert (ended.returncode, ended.stdout) == (ExitCode.USAGE, "")
    assert ended.stderr == f"kubechain: {'x' * 300}: cannot be used: File name too long\n"


def test_document_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="settings: begin"):
        reference.document("# Reference")


def completed(words: list[str]) -> list[str]:
    """Return what bash proposes for the last of the words."""
    script = (
        f'{completion.script("bash")}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _kubechain; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_commands_options_and_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert completed(["kubechain", "re"]) == ["report"]
    assert completed(["kubechain", "run", "--le"]) == ["--level"]
    assert completed(["kubechain", "run", "--level", ""]) == ["quick", "full"]
    assert completed(["kubechain", "upgrade", "b"]) == ["before"]
    assert completed(["kubechain", "clean", "--images"]) == ["--images-too"]
    (tmp_path / "snapshot.json").touch()
    monkeypatch.chdir(tmp_path)
    assert completed(["kubechain", "upgrade", "after", "--snapshot", "sn"]) == ["snapshot.json"]


def test_zsh_completes_every_option() -> None:
    said = completion.script("zsh")
    assert said.startswith("#compdef kubechain\n")
    for name, model in commands().items():
        line = next(line for line in said.splitlines() if line.startswith(f"    {name}) _arguments "))
        assert [flag for option in options(model) for flag in option.flags if flag not in line] == []


def test_clean_has_a_flag_for_each_removal() -> None:
    found = parsed("clean", "--images-too", "--cache-too", "--engine", "--kept")
    assert isinstance(found, CleanCommand)
    assert (found.images_too, found.cache_too, found.engine, found.kept) == (True, True, True, True)
