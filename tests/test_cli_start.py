"""How a command starts pytest, and the settings that it refuses before."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kubechain.cli import run
from kubechain.cli.commands import DuringCommand, FaultsCommand, RunCommand, UpgradeCommand
from kubechain.cli.parser import parse
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.id_lists import ids
from kubechain.core.settings import Settings
from kubechain.pytest.session import checked_name
from tests import loopback


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]  # used by pytest
    """Remove the settings from the environment."""
    for name in os.environ:
        if name.startswith("KUBECHAIN_") or name == "KUBECONFIG":
            monkeypatch.delenv(name)


@dataclass
class Started:
    """The command line of each start of pytest, and its environment."""

    words: list[list[str]] = field(default_factory=list[list[str]])
    environments: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    def main(self, words: list[str]) -> int:
        """Record a start in place of pytest, with the exit code CLUSTER."""
        self.words.append(words)
        self.environments.append({name: value for name, value in os.environ.items() if name.startswith("KUBECHAIN_")})
        return int(ExitCode.CLUSTER)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Started:
    """The starts of pytest, which is replaced; results and builds go to tmp_path."""
    starts = Started()
    monkeypatch.setattr(run.pytest, "main", starts.main)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setenv("KUBECHAIN_OUT", str(tmp_path / "out"))
    monkeypatch.setenv("KUBECHAIN_CACHE", str(tmp_path / "cache"))
    return starts


def parsed(*words: str) -> Any:
    return parse(words)


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "cluster": (("run", "--context", "c", "--cluster", "x"), "--cluster=x: not with --context=c"),
    "keep": (("run", "--context", "c", "--keep"), "--keep=true: not with --context=c"),
    "version": (("run", "--context", "c", "--k8s", "1.37"), "--k8s=1.37: not with --context=c"),
    "images": (("run", "--context", "c", "--images", "pull"), "--images=pull: not with --context=c"),
    "kubeconfig": (("run", "--kubeconfig", "x"), "--kubeconfig=x: needs a context"),
    "unknown version": (("run", "--k8s", "1.2"), "1.2: unknown version"),
    "unknown fault": (("faults", "--faults", "x"), "--faults=x: no such fault: x"),
    "unknown mutant": (
        ("faults", "--mutants", "--faults", "dns-gone"),
        "no such mutant: dns-gone; `kubechain docs mutants` lists them",
    ),
    "drawn faults": (("faults", "--drawn"), "faults: --drawn and --cover are about mutants: add --mutants"),
    "pulled mutants": (("faults", "--mutants", "--images", "pull"), "--images=pull: mutants are built from source"),
    "bad expression": (("run", "--claims=-x"), "--claims=-x: not an expression"),
    "no hop": (("upgrade",), "--from is missing"),
    "downgrade": (("upgrade", "--from", "1.37", "--to", "1.36"), "a downgrade"),
    "upgrade of a context": (("upgrade", "--from", "1.36", "--context", "c"), "--context=c: not with an upgrade without"),
    "snapshot without a phase": (("upgrade", "--from", "1.36", "--snapshot", "s"), "s: not with an upgrade without"),
    "phase without context": (("upgrade", "before", "--snapshot", "s"), "upgrade before: --context is missing"),
    "phase without snapshot": (("upgrade", "after", "--context", "c"), "upgrade after: --snapshot is missing"),
    "phase with drain": (("upgrade", "during", "--drain"), "--drain=true: not with upgrade during"),
    "phase with cluster": (("upgrade", "during", "--cluster", "x"), "--cluster=x: not with upgrade during"),
}
REFUSED["change without context"] = (("during", "--for", "30m"), "during: --context is missing")
START = {DuringCommand: run.during, RunCommand: run.claims, FaultsCommand: run.faults, UpgradeCommand: run.upgrade}


@pytest.mark.parametrize("name", REFUSED)
def test_contradicting_options_are_refused_before_the_run(name: str, started: Started, tmp_path: Path) -> None:
    words, what = REFUSED[name]
    found = parsed(*words)
    with pytest.raises(SetupError) as raised:
        START[type(found)](found)
    assert what in str(raised.value)
    assert "\n" not in str(raised.value)
    assert raised.value.code == ExitCode.USAGE
    assert started.words == []
    assert list(tmp_path.iterdir()) == []


def test_unknown_context_is_refused_before_the_run(started: Started, tmp_path: Path) -> None:
    kubeconfig = loopback.kubeconfig(tmp_path, "http://127.0.0.1:1")
    before = list(tmp_path.iterdir())
    with pytest.raises(SetupError, match=r"--context=prod: not in .*, whose contexts are test") as raised:
        run.claims(parsed("run", "--context", "prod", "--kubeconfig", str(kubeconfig)))
    assert raised.value.code == ExitCode.USAGE
    assert (started.words, list(tmp_path.iterdir())) == ([], before)


def test_kubeconfig_is_the_option_else_the_variable_else_the_users(
    started: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = loopback.kubeconfig(tmp_path, "http://127.0.0.1:1")
    bare, named = parsed("run", "--context", "test"), parsed("run", "--context", "test", "--kubeconfig", str(here))
    monkeypatch.setenv("KUBECONFIG", str(here))
    run.claims(bare)
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/none:{here}")
    run.claims(bare)
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/none")
    run.claims(named)
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".kube").mkdir()
    here.rename(tmp_path / ".kube" / "config")
    run.claims(bare)
    assert [[word for word in words if "kubeconfig" in word] for words in started.words] == [[], [], [f"--kubeconfig={here}"], []]


def test_run_starts_pytest_on_the_suites_with_its_options(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECHAIN_PHASE", "before")
    monkeypatch.setenv("KUBECHAIN_JOIN", "elsewhere")
    code = run.claims(parsed("run", "-n", "2", "-k", "dns or env", "--cluster", "a-b", "--keep", "--level", "full"))
    (words,) = started.words
    assert code == ExitCode.CLUSTER
    assert words[:3] == [f"{ROOT}/suites/chain", f"{ROOT}/suites/lifecycle", f"{ROOT}/suites/walkthrough"]
    assert words[3:] == [
        f"--rootdir={ROOT}", "-c", f"{ROOT}/pyproject.toml", "-p", "no:cacheprovider", *run.UNUSED, "-W", run.ALREADY_IMPORTED,
        "--cluster-name=a-b", "--keep-cluster", "-k", "dns or env", "-rE", "-n", "2",
    ]  # fmt: skip
    (handed,) = started.environments
    assert (handed["KUBECHAIN_LEVEL"], handed["KUBECHAIN_PHASE"], handed["KUBECHAIN_JOIN"]) == ("full", "", "")
    assert {f"KUBECHAIN_{(info.alias or name).upper()}" for name, info in Settings.model_fields.items()} <= set(handed)


def test_faults_and_upgrades_start_with_their_fixed_settings(started: Started, tmp_path: Path) -> None:
    kubeconfig = loopback.kubeconfig(tmp_path, "http://127.0.0.1:1")
    where = ("--context", "test", "--kubeconfig", str(kubeconfig), "--snapshot", "my file.json")
    faults, own = parsed("faults", "--short"), parsed("upgrade", "--from", "1.36", "--to", "1.37")
    before = parsed("upgrade", "before", *where)
    run.faults(faults)
    run.upgrade(own)
    run.upgrade(before)
    assert [words[0].removeprefix(f"{ROOT}/suites/") for words in started.words] == [
        "faults",
        "upgrade",
        "upgrade/test_1_before.py",
    ]
    of_faults, of_own, of_before = started.environments
    assert (of_faults["KUBECHAIN_LEVEL"], of_faults["KUBECHAIN_SHORT"]) == ("full", "true")
    assert (of_own["KUBECHAIN_K8S"], of_own["KUBECHAIN_TO"], of_own["KUBECHAIN_PHASE"]) == ("1.36", "1.37", "")
    assert (of_before["KUBECHAIN_PHASE"], of_before["KUBECHAIN_SNAPSHOT"]) == ("before", str(Path.cwd() / "my file.json"))


def test_later_phase_without_its_snapshot_is_refused_before_the_run(started: Started, tmp_path: Path) -> None:
    kubeconfig = loopback.kubeconfig(tmp_path, "http://127.0.0.1:1")
    where = ("--context", "test", "--kubeconfig", str(kubeconfig), "--snapshot", str(tmp_path / "none"))
    with pytest.raises(SetupError, match="No such file") as raised:
        run.upgrade(parsed("upgrade", "after", *where))
    assert (raised.value.code, started.words) == (ExitCode.SNAPSHOT, [])


@pytest.mark.parametrize("name", ["out", "cache"])
def test_unwritable_folder_is_a_usage_error_that_names_the_option(name: str, started: Started, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match=f"^--{name}={tmp_path}/file/x: cannot be written .*--{name}$") as raised:
        run.claims(parsed("run", f"--{name}={tmp_path}/file/x"))
    assert (raised.value.code, started.words) == (ExitCode.USAGE, [])


def test_snapshot_that_cannot_be_written_is_refused_before_witnesses_are_made(started: Started, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    kubeconfig = str(loopback.kubeconfig(tmp_path, "http://127.0.0.1:1"))
    words = ("upgrade", "before", "--context", "test", "--kubeconfig", kubeconfig, "--snapshot", str(tmp_path / "file" / "x"))
    with pytest.raises(SetupError, match=f"^--snapshot={tmp_path}/file: cannot be written") as raised:
        run.work(parsed(*words))
    assert (raised.value.code, started.words) == (ExitCode.USAGE, [])


def test_name_of_a_cluster_that_pytest_is_given_is_checked_too() -> None:
    assert checked_name("dev-1.37") == "dev-1.37"
    with pytest.raises(SetupError, match=r"--cluster-name=\.\./x: expected the name of a kind cluster") as raised:
        checked_name("../x")
    assert raised.value.code == ExitCode.USAGE


def test_path_that_begins_with_a_tilde_is_below_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell expands `--out ~/x`, and leaves `--out=~/x` as it is: results went to one folder, and checks to another."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KUBECHAIN_CACHE", "~/cache")
    found = parsed("run", "--out=~/x", "--waivers=~/w", "--history=~/h", "--pull-secret=~nobody-has-this-name/p")
    assert (found.out, found.waivers, found.history) == (tmp_path / "x", tmp_path / "w", tmp_path / "h")
    assert (found.cache, str(found.pull_secret)) == (tmp_path / "cache", "~nobody-has-this-name/p")
    assert parsed("upgrade", "after", "--snapshot=~/s").snapshot == tmp_path / "s"


def test_blanks_in_a_list_of_ids_do_not_count() -> None:
    assert ids(" pods-gone, dns-gone ,") == {"pods-gone", "dns-gone"}
    assert ids("") == frozenset()


def test_change_starts_with_the_claims_of_all_phases_and_those_of_before_that_concern_any_change(
    started: Started, tmp_path: Path
) -> None:
    kubeconfig = loopback.kubeconfig(tmp_path, "http://127.0.0.1:1")
    run.during(parsed("during", "--context", "test", "--kubeconfig", str(kubeconfig), "--for", "2m", "--", "sh", "-c", "a b"))
    (words,), (handed,) = started.words, started.environments
    assert [word.removeprefix(f"{ROOT}/suites/upgrade/") for word in words[:3]] == [
        "test_1_before.py::test_chain_holds_before",
        "test_2_during.py",
        "test_3_after.py",
    ]
    assert (handed["KUBECHAIN_FOR"], handed["KUBECHAIN_COMMAND"]) == ("120.0", "sh -c 'a b'")
    assert (handed["KUBECHAIN_PHASE"], handed["KUBECHAIN_CONTEXT"]) == ("", "test")


def test_change_by_a_command_that_does_not_exist_is_refused_before_the_run(started: Started, tmp_path: Path) -> None:
    kubeconfig = loopback.kubeconfig(tmp_path, "http://127.0.0.1:1")
    command = parsed("during", "--context", "test", "--kubeconfig", str(kubeconfig), "--", "no-such-program", "x")
    with pytest.raises(SetupError, match="during: no such program: no-such-program") as raised:
        run.during(command)
    assert (raised.value.code, started.words) == (ExitCode.TOOLS, [])
