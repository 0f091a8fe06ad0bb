"""What no linter knows of the project."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

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


def sources(*parts: str) -> Iterator[tuple[Path, str]]:
    for part in parts:
        for path in sorted((ROOT / part).rglob("*.py")):
            yield path.relative_to(ROOT), path.read_text()


def test_nothing_sleeps_outside_the_clock() -> None:
    found = [str(path) for path, text in sources(*PARTS) if path != CLOCK and re.search(r"\bsleep\(|import sleep\b", text)]
    assert found == []


def imported(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_conditions_import_no_client_and_nothing_that_has_one() -> None:
    found = [
        f"{path}: {name}"
        for path, text in sources("kubechain/conditions")
        for name in imported(text)
        if name.partition(".")[0] in CLIENTS or name.startswith(BORDER)
    ]
    assert found == []


def condition_names() -> Iterator[str]:
    for path, text in sources("kubechain/conditions"):
        for node in ast.parse(text).body:
            if not isinstance(node, ast.FunctionDef) or not node.returns:
                continue
            # One that is handed its judgement is a form for others, which are tested.
            is_form = any(argument.arg == "check" for argument in node.args.args)
            if ast.unparse(node.returns).startswith("Condition") and not is_form:
                yield f"{path.stem}.{node.name}"


def test_every_condition_has_a_test() -> None:
    tested = "".join(path.read_text() for path in (ROOT / "tests").glob("test_conditions_*.py"))
    assert [name for name in condition_names() if not re.search(rf"\b{name.partition('.')[2]}\(", tested)] == []


def test_files_are_short() -> None:
    assert [str(path) for path, text in sources("tests") if text.count("\n") >= 300] == []
