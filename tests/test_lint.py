"""Rules of the project that no linter checks."""

import ast
import functools
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubechain.core.bundle import ROOT

PARTS = ("kubechain", "fixtures", "suites", "reports")
CLOCK = Path("kubechain/observe/clock.py")
CLIENTS = {"kubernetes", "requests", "urllib3", "socket", "http", "subprocess", "websocket"}
BORDER = (
    "kubechain.kube.client",
    "kubechain.core.process",
    "kubechain.observe",
    "kubechain.probes",
    "kubechain.workload",
    "kubechain.cluster",
)
# Earlier names: each of them now has a standard term of Kubernetes or Python.
OLD_NAMES = {
    "Baseline", "ByStory", "Follower", "Ground", "Inside", "Judgement", "Lab", "Observer", "Passage", "Pulled",
    "STORIES", "Waiting", "Workshop", "crowd", "deadlines", "doomed", "faultlist", "follower", "ground", "judge",
    "judged", "neighbour", "repeating", "runjson", "unserved", "vantage", "workshop",
}  # fmt: skip
OLD_MODULES = {
    "addresses", "admitted", "alive", "answers", "baseline", "command", "deadlines", "entry", "faultlist", "follow",
    "given", "hop", "inner", "isolation", "judge", "judgement", "kinds", "kit", "lab", "leftovers", "marks", "matrix",
    "means", "measure", "observer", "orphans", "passing", "peer", "peering", "probing", "provide", "quiet", "refusal",
    "repeating", "runjson", "starting", "store", "story", "upgrade_picture", "variables", "watching", "way", "wire",
    "workshop",
}  # fmt: skip
# Classes whose name has one meaning: the folders that may use it.
ONE_MEANING = {"Outage": ("kubechain/upgrade", "reports"), "Snapshot": ("kubechain/upgrade", "kubechain/pytest")}
FIXTURE_DECORATORS = {"pytest.fixture", "scenario"}


def sources(*parts: str) -> Iterator[tuple[Path, str]]:
    for part in parts:
        for path in sorted((ROOT / part).rglob("*.py")):
            yield path.relative_to(ROOT), path.read_text()


@functools.cache
def identifiers(text: str) -> frozenset[str]:
    """Return the names of variables, attributes, parameters, functions and classes; strings and comments do not count."""
    return frozenset(
        token.string for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type == tokenize.NAME
    )


def test_nothing_sleeps_outside_the_clock() -> None:
    sleeping = [str(path) for path, text in sources(*PARTS) if path != CLOCK and re.search(r"\bsleep\(|import sleep\b", text)]
    assert sleeping == []


def test_old_names_do_not_come_back() -> None:
    assert {str(path): sorted(old) for path, text in sources(*PARTS) if (old := identifiers(text) & OLD_NAMES)} == {}


def test_old_module_names_do_not_come_back() -> None:
    assert [str(path) for path, _ in sources(*PARTS) if path.stem in OLD_MODULES] == []


@pytest.mark.parametrize("name", ONE_MEANING)
def test_name_has_one_meaning(name: str) -> None:
    users = [str(path) for path, text in sources(*PARTS) if name in identifiers(text)]
    assert users
    assert [user for user in users if not user.startswith(ONE_MEANING[name])] == []


def test_identifiers_are_neither_strings_nor_comments() -> None:
    assert identifiers('judge(a.vantage, ground="text")  # comment') == {"judge", "a", "vantage", "ground"}


def imported(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_conditions_import_no_client_and_no_module_with_one() -> None:
    clients = [
        f"{path}: {name}"
        for path, text in sources("kubechain/conditions")
        for name in imported(text)
        if name.partition(".")[0] in CLIENTS or name.startswith(BORDER)
    ]
    assert clients == []


def condition_names() -> Iterator[str]:
    for path, text in sources("kubechain/conditions"):
        for node in ast.parse(text).body:
            if not isinstance(node, ast.FunctionDef) or not node.returns:
                continue
            # A function with a parameter `check` is a template of other conditions, which have tests.
            is_template = any(argument.arg == "check" for argument in node.args.args)
            if ast.unparse(node.returns).startswith("Condition") and not is_template:
                yield f"{path.stem}.{node.name}"


def test_every_condition_has_a_test() -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests").glob("test_conditions_*.py"))
    assert [name for name in condition_names() if not re.search(rf"\b{name.partition('.')[2]}\(", tests)] == []


def test_files_are_short() -> None:
    assert [str(path) for path, text in sources(*PARTS, "tests") if text.count("\n") >= 300] == []


def test_fixtures_are_short_in_all() -> None:
    assert sum(text.count("\n") for _, text in sources("fixtures")) < 800


def decorator_name(node: ast.expr) -> str:
    return ast.unparse(node.func if isinstance(node, ast.Call) else node)


def test_fixtures_holds_only_fixtures() -> None:
    others = [
        f"{path}: {node.name}"
        for path, text in sources("fixtures")
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not {decorator_name(decorator) for decorator in node.decorator_list} & FIXTURE_DECORATORS
    ]
    assert others == []


def pins(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE))


def test_lock_for_development_holds_every_pin_of_the_lock_for_use() -> None:
    assert pins("requirements.lock").items() <= pins("requirements-dev.lock").items()
