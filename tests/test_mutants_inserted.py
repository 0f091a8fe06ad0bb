"""Guards are inserted into a module; its program is as before without the files of the mutants, and wrong with them."""

from __future__ import annotations

import os
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from kubechain.core.build_cache import BuildCache
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.process import check
from kubechain.core.progress import Progress
from kubechain.images import golang, mutation
from kubechain.images.mutation import (
    Change,
    Guard,
    after,
    always,
    at_once,
    begin,
    constant,
    enter,
    negate,
    never,
    replaced,
    skip,
    swapped,
)

TOY = Path(__file__).parent / "data" / "toy"
MODULE = "example.test/toy"
SHAPES = f"{MODULE}/shapes"
RIGHT = {"area": "9", "grown": "17", "kind": "small", "notes": "first,second", "checked": "6 <nil>"}
RIGHT["marks"] = "[false true true false] 3"
# id of a mutant -> function, change, and the line that is wrong.
WRONG: dict[str, tuple[str, Change, str, str]] = {
    "returns-at-once": ("Square.Area", at_once(), "area", "0"),
    "zeros-of-all-results": ("Checked", at_once(), "checked", "0 <nil>"),
    "begins-with": ("Square.Area", begin("if s.Side == 3 { return 1 }"), "area", "1"),
    "negated": ("Kind", negate("Limit"), "kind", "large"),
    "second-of-two": ("Kind", always("side", 2, 2), "kind", "none"),
    "never-taken": ("Checked", never("new"), "checked", "7 <nil>"),
    "skipped": ("Notes", skip("add"), "notes", "second"),
    "after-a-call": ("Notes", after("add", 'notes = append(notes, "more")'), "notes", "first,more,second"),
    "literal": ("Notes", replaced('"second"', '"another"'), "notes", "first,another"),
    "typed": ("Kind", replaced("Limit", "1", of="int32"), "kind", "large"),
    "operator": ("Square.Area", replaced("s.Side * s.Side", "s.Side + s.Side"), "area", "6"),
    "inner-of-operator": ("Square.Area", replaced("s.Side", "10", 2, 2, of="int32"), "area", "30"),
    "exchanged": ("Square.Grown", swapped("grow", 1, 2), "grown", "11"),
    "any-condition": ("Checked", negate(""), "checked", "7 <nil>"),
    "constant-of-a-condition": ("Checked", constant(1, 2), "checked", "7 <nil>"),
    "constant-of-a-return": ("Checked", constant(2, 2), "checked", "7 <nil>"),
    "number-in-a-call": ("Marks", constant(1, 6), "marks", "[false false true false] 3"),
    "truth-in-a-call": ("Marks", constant(2, 6), "marks", "[false false true false] 3"),
    "skipped-call": ("Marks", skip("mark"), "marks", "[false false true false] 3"),
    "number-of-a-target": ("Marks", constant(3, 6), "marks", "[false true false false] 3"),
    "truth-that-is-set": ("Marks", constant(4, 6), "marks", "[false true false false] 3"),
    "number-beside-a-value": ("Marks", constant(6, 6), "marks", "[false true true false] 4"),
    "truth-beside-a-mask": ("Marks", constant(5, 6), "marks", "[false true true true] 3"),
    "zeros-of-named-results": ("Marks", at_once(), "marks", "[false false false false] 0"),
}
# What notes the first call of a function.
NOTED = "noted"
NOTES = ("Square.Area", "Kind", "Notes")


@dataclass(frozen=True)
class Toy:
    """A program with all mutants of WRONG, and the folder of its switches."""

    program: Path
    switches: Path

    def lines(self, *on: str) -> dict[str, str]:
        """Return what the program prints while these mutants are on: first word -> the rest."""
        self.switches.mkdir(exist_ok=True)
        for old in self.switches.iterdir():
            old.unlink()
        for mutant in on:
            (self.switches / mutant).touch()
        env = {**os.environ, mutation.VARIABLE: str(self.switches)}
        printed = subprocess.run([self.program], env=env, capture_output=True, text=True, check=True, timeout=20).stdout
        return {line.partition(" ")[0]: line.partition(" ")[2] for line in printed.splitlines()}


def guards(changes: dict[str, tuple[str, Change]]) -> list[Guard]:
    return [Guard(name, SHAPES, function, change) for name, (function, change) in changes.items()]


def inserted(folder: Path, wanted: list[Guard]) -> Path:
    """Return the folder of the module with these guards."""
    mutation.insert(wanted, {MODULE: TOY}, folder / "modules", BuildCache(folder / "builds"), Progress())
    return folder / "modules" / MODULE


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    folder = tmp_path_factory.mktemp("toy")
    store = BuildCache(folder / "builds")
    wrong = guards({name: (function, change) for name, (function, change, _, _) in WRONG.items()})
    module = inserted(folder, [*wrong, *(Guard(NOTED, SHAPES, name, enter(f"{SHAPES}.{name}")) for name in NOTES)])
    mutation.replace(module, [], folder / "modules", store, Progress())
    go = golang.toolchain(store, Progress())
    check([go, "build", "-o", folder / "program", "."], timeout=600, cwd=module, env=golang.PLAIN)
    return Toy(folder / "program", folder / "switches")


def test_program_is_as_before_while_no_mutant_is_on(toy: Toy) -> None:
    assert toy.lines() == RIGHT
    assert toy.lines("a-mutant-of-another-program") == RIGHT


@pytest.mark.parametrize("mutant", WRONG)
def test_program_is_wrong_in_one_line_while_its_mutant_is_on(toy: Toy, mutant: str) -> None:
    _, _, line, value = WRONG[mutant]
    assert toy.lines(mutant) == {**RIGHT, line: value}


def test_mutant_that_is_reached_leaves_a_file_that_says_so(toy: Toy) -> None:
    toy.lines("negated", "a-mutant-of-another-program")
    assert sorted(path.name for path in toy.switches.iterdir() if path.name.endswith(".reached")) == ["negated.reached"]


def test_functions_are_noted_once_and_by_the_program_that_calls_them(toy: Toy) -> None:
    assert toy.lines(NOTED) == RIGHT
    noted = (toy.switches / f"{NOTED}.program.reached").read_text()
    assert noted == "".join(f"{SHAPES}.{name}\n" for name in NOTES)
    toy.lines()
    assert not list(toy.switches.iterdir())


def test_program_that_runs_on_says_again_that_code_is_reached_once_that_is_forgotten(toy: Toy) -> None:
    toy.lines()
    (toy.switches / "negated").touch()
    file = toy.switches / "negated.reached"
    env = {**os.environ, mutation.VARIABLE: str(toy.switches)}
    with subprocess.Popen([toy.program, "again"], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdin
        assert program.stdout
        for _ in range(2):
            read = [program.stdout.readline() for _ in RIGHT]
            assert "kind large\n" in read
            assert file.exists()
            file.unlink()
            # The program looks into the folder ten times a second at most.
            threading.Event().wait(0.2)
            program.stdin.write("\n")
            program.stdin.flush()
        program.stdin.close()


def test_what_can_be_changed_by_rule_is_listed(tmp_path: Path) -> None:
    found = mutation.candidates([SHAPES], {MODULE: TOY}, BuildCache(tmp_path / "builds"), Progress())
    listed = {each.function: (each.conditions, each.among, each.constants) for each in found}
    # A name that a file for another system also has counts once.
    assert listed == {
        "Checked": ((1,), 1, 2),
        "Kind": ((1, 2), 2, 1),
        "Marks": ((), 0, 6),
        "Notes": ((), 0, 0),
        "Square.Area": ((), 0, 0),
        "Square.Grown": ((), 0, 0),
        "add": ((), 0, 0),
        "grow": ((), 0, 0),
        "mark": ((), 0, 0),
    }
    assert list(listed) == sorted(listed)
    assert {each.name for each in found} >= {f"{SHAPES}.Square.Area", f"{SHAPES}.Kind"}


def test_functions_of_an_unknown_package_cannot_be_listed(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="circles: no such package"):
        mutation.candidates([f"{MODULE}/circles"], {MODULE: TOY}, BuildCache(tmp_path / "builds"), Progress())


def test_program_without_the_folder_is_as_before(toy: Toy) -> None:
    env = {**os.environ, mutation.VARIABLE: str(toy.switches / "missing")}
    printed = subprocess.run([toy.program], env=env, capture_output=True, text=True, check=True, timeout=20).stdout
    assert "area 9\n" in printed


@pytest.mark.parametrize(
    ("function", "change", "why"),
    [
        ("Square.Circumference", at_once(), "expected one such function, got 0"),
        ("Kind", negate("side"), "expected an if with side 1 times, got 2"),
        ("Kind", negate("side", 3, 2), "expected an if with side 2 times, got 2"),
        ("Kind", skip("append"), "expected a statement with append 1 times, got 0"),
        ("Checked", replaced("new", "1"), "expected new 1 times, got 2"),
        ("Square.Grown", swapped("grow", 1, 3), "expected two of the 3 arguments, got 1 and 3"),
        ("Square.Area", begin("return ("), "return ("),
        ("Square.Area", replaced("s.Side", "1 +", 1, 2), "1 +"),
    ],
)
def test_guard_that_does_not_fit_is_an_error_that_names_it(tmp_path: Path, function: str, change: Change, why: str) -> None:
    with pytest.raises(SetupError) as caught:
        inserted(tmp_path, guards({"unfit": (function, change)}))
    assert caught.value.code == ExitCode.IMAGES
    assert f"mutant unfit: {SHAPES} {function}: {why}" in str(caught.value)
    assert not any("kubechain" in path.read_text() for path in (tmp_path / "modules" / MODULE).rglob("*.go"))


def test_guard_of_an_unknown_package_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no such package"):
        inserted(tmp_path, [Guard("unfit", f"{MODULE}/circles", "Kind", at_once())])


def test_files_without_a_guard_are_copied_unchanged(tmp_path: Path) -> None:
    module = inserted(tmp_path, guards({"one": ("Square.Area", at_once())}))
    for path in TOY.rglob("*"):
        copied = module / path.relative_to(TOY)
        if path.is_file() and path.name != "shapes.go":
            assert copied.read_bytes() == path.read_bytes()
    text = (module / "shapes" / "shapes.go").read_text()
    # Nothing moves to another line, so that a stack trace names the lines of the module.
    assert len(text.splitlines()) == len((TOY / "shapes" / "shapes.go").read_text().splitlines())
