"""make passes each variable of its command line unchanged, and no other, through the environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kubechain.cli import reference
from kubechain.core.bundle import ROOT

# Replaces Python: writes its arguments and its environment to a file.
STUB = """#!{python} -S
import json, os, sys
passed = {{name: value for name, value in os.environ.items() if name.startswith("KUBE")}}
json.dump([sys.argv[1:], passed], open("passed.json", "w"))
"""
HOSTILE = {
    "dollar": "prod$x",
    "braces": "${HOME}$(HOME)$$",
    "make function": "$(shell touch pwned)",
    "quotes": 'x"; touch pwned; "\'',
    "single quotes": "'; touch pwned; '",
    "backticks": "`touch pwned`",
    "substitution": "$$(touch pwned)",
    "semicolon": "a; touch pwned",
    "lines": "a\ntouch pwned\n",
    "spaces": "my  file.json  ",
    "dashes": "--help",
    "hash": "a # b",
    "comma": "a,b)",
    "backslash": "a\\",
    "percent": "%",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout with a Makefile and the reference, but without a Python environment."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "REFERENCE.md", tmp_path / "docs")
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "venv.sh").touch()
    stub = tmp_path / "python"
    stub.write_text(STUB.format(python=sys.base_prefix + "/bin/python3"))
    stub.chmod(0o755)
    return tmp_path


def make(folder: Path, *words: str, **environment: str) -> tuple[list[str], dict[str, str]]:
    """Return the arguments with which make starts Python, and the environment variables with a value."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "MAKE", "MFLAGS"))}
    command = ["make", f"PYTHON={folder / 'python'}", *words]
    done = subprocess.run(
        command, cwd=folder, env={**kept, **environment}, capture_output=True, text=True, check=False, timeout=20
    )
    assert (done.returncode, done.stderr) == (0, "")
    arguments, passed = json.loads((folder / "passed.json").read_text())
    return arguments, {name: value for name, value in passed.items() if value}


@pytest.mark.parametrize("name", HOSTILE)
def test_value_is_passed_unchanged_and_runs_nothing(folder: Path, name: str) -> None:
    value = HOSTILE[name]
    words, passed = make(folder, "e2e", f"CLAIMS={value}", f"CONTEXT={value}", f"SNAPSHOT={value}")
    assert words == ["-m", "kubechain", "run"]
    assert passed == {"KUBECHAIN_CLAIMS": value, "KUBECHAIN_CONTEXT": value, "KUBECHAIN_SNAPSHOT": value}
    assert not (folder / "pwned").exists()


def test_variable_that_a_target_asks_for_is_in_no_list(folder: Path) -> None:
    makefile = folder / "Makefile"
    makefile.write_text(makefile.read_text().replace("e2e: env", "e2e: export KUBE_NEW := $(call given,NEW)\ne2e: env", 1))
    assert make(folder, "e2e", "NEW=a $b")[1] == {"KUBE_NEW": "a $b"}


@pytest.mark.parametrize("name", ["LEVLE", "context", "KUBECHAIN_JOIN"])
def test_unknown_variable_is_refused_and_runs_nothing(folder: Path, name: str) -> None:
    words = ["make", f"PYTHON={folder / 'python'}", "e2e", f"{name}=$(shell touch pwned)"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 2
    assert f"{name}: no such variable; `make help` lists them" in done.stderr
    assert not {"pwned", "passed.json"} & {path.name for path in folder.iterdir()}


def test_environment_of_make_is_ignored(folder: Path) -> None:
    names = [*reference.variables(), "KUBECONFIG"]
    inherited = {**dict.fromkeys(names, "x"), **dict.fromkeys(reference.variables().values(), "y")}
    assert make(folder, "clean", **inherited, KUBECHAIN_JOIN="z", KUBECHAIN_PHASE="after", KUBECHAIN_OWNER="1-1")[1] == {
        "KUBECHAIN_OWNER": "1-1"
    }


def test_every_variable_is_passed_under_its_name(folder: Path) -> None:
    given = {make: f"value of {make}" for make in reference.variables()}
    _, passed = make(folder, "clean", *(f"{name}={value}" for name, value in given.items()))
    assert passed == {reference.variables()[name]: value for name, value in given.items()}


TARGETS = {
    "e2e": ["run"],
    "faults": ["faults"],
    "mutants": ["faults", "--mutants"],
    "upgrade": ["upgrade"],
    "upgrade-before": ["upgrade", "before"],
    "upgrade-during": ["upgrade", "during"],
    "upgrade-after": ["upgrade", "after"],
    "list": ["list"],
    "report": ["report"],
    "compare": ["compare"],
    "history": ["history"],
    "gate": ["gate"],
    "clean": ["clean"],
}


@pytest.mark.parametrize("target", TARGETS)
def test_target_calls_the_command_with_fixed_words(folder: Path, target: str) -> None:
    assert make(folder, target, "LEVEL=full")[0] == ["-m", "kubechain", *TARGETS[target]]


def test_help_needs_no_python_and_lists_every_target_and_variable(folder: Path) -> None:
    done = subprocess.run(["make", "help", "PYTHON=none"], cwd=folder, capture_output=True, text=True, check=True, timeout=20)
    lines = done.stdout.splitlines()
    assert done.stderr == ""
    assert [name for name in TARGETS if not any(line.startswith(f"  make {name} ") for line in lines)] == []
    assert [name for name in reference.variables() if not any(line.split()[:1] == [name] for line in lines)] == []
    assert "`" not in "".join(line for line in lines if line.startswith("  LEVEL"))
