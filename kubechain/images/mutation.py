"""Programs with mutants: guards that change a function while a file of the mutant's name is on the node.

The guards are inserted by the Go program in images/mutants, which describes the kinds of changes, into a copy of the modules.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from kubechain.core.build_cache import BuildCache, key
from kubechain.core.errors import ExitCode
from kubechain.core.process import check
from kubechain.core.progress import Progress
from kubechain.images import golang, pins

HERE = pins.FOLDER / "mutants"
SWITCH = "kubechain.test/mutant"
# The folder on a node with a file for each mutant that is on, and the file with the ids of all that are built in.
SWITCHES = "/etc/kubechain/mutants"
# The environment variable that names another folder to a program.
VARIABLE = "KUBECHAIN_MUTANTS_FOLDER"
BUILT_IN = "/etc/kubechain/built-in-mutants"
INSERT_SECONDS = 600.0
Kind = Literal["begin", "return", "negate", "always", "never", "skip", "after", "replace", "swap", "constant", "enter"]


@dataclass(frozen=True)
class Change:
    """What a mutant changes in a function; the kinds and their fields are described in images/mutants/changes.go."""

    kind: Kind
    name: str = ""
    nth: int = 1
    among: int = 1
    text: str = ""
    type: str = ""
    first: int = 0
    second: int = 0


@dataclass(frozen=True)
class Guard:
    """Where a mutant is: the import path of a Go package, a function or Type.Method in it, and the change."""

    id: str
    package: str
    function: str
    change: Change

    @property
    def module(self) -> str:
        """The path of the Go module of the package."""
        return module_of(self.package)

    @property
    def component(self) -> str:
        """The component whose go.mod has the module, as in images/go."""
        return "coredns" if self.module == "github.com/coredns/coredns" else "kubernetes"


@dataclass(frozen=True)
class Candidate:
    """A function of a package that can be changed by rule, as images/mutants/places.go finds it.

    `conditions` are its ifs that can be negated, counted from 1 `among` all of them; `constants` is how many can be changed.
    """

    package: str
    function: str
    conditions: tuple[int, ...]
    among: int
    constants: int

    @property
    def name(self) -> str:
        """The name of the function with its package."""
        return f"{self.package}.{self.function}"


def module_of(package: str) -> str:
    """Return the path of the Go module of a package."""
    parts = package.split("/")
    return "/".join(parts[: 3 if parts[0] == "github.com" else 2])


def tools(
    component: str,
    version: str,
    guards: Sequence[Guard],
    store: BuildCache,
    progress: Progress,
    *,
    linker_flags: str = "",
) -> Path:
    """Return the folder with a component's programs that have those of the guards that are for it, built if necessary.

    Raises:
        SetupError: a guard does not fit the pinned version, or the build fails (exit code IMAGES).

    """
    own = [guard for guard in guards if guard.component == component]
    if not own:
        return golang.tools(component, version, store, progress, linker_flags=linker_flags)
    module = pins.module(component, version)
    inputs = key(module / "go.mod", module / "go.sum", linker_flags, key_of(own))

    def build(folder: Path) -> None:
        with store.scratch() as scratch:
            sources = {path: golang.source(component, version, path, store, progress) for path in {each.module for each in own}}
            insert(own, sources, scratch / "modules", store, progress)
            for name in ("go.mod", "go.sum"):
                shutil.copyfile(module / name, scratch / name)
            replace(scratch, sources, scratch / "modules", store, progress)
            what = f"{component} {version} with {len(own)} mutants"
            golang.compile_tools(scratch, folder, what, store, progress, linker_flags=linker_flags)

    return store.artifact(f"{component}-{version}-mutants", inputs, build, needs_gib=golang.needed_gib(component))


def key_of(guards: Sequence[Guard]) -> str:
    """Return a key over guards and the program that inserts them."""
    return key(HERE, json.dumps([asdict(guard) for guard in guards], sort_keys=True))


def insert(guards: Sequence[Guard], sources: dict[str, Path], folder: Path, store: BuildCache, progress: Progress) -> None:
    """Copy modules (path -> folder) to folder/path with the guards inserted, and the package of the switch beside them.

    Raises:
        SetupError: a guard does not fit: the message names the mutant, and what was expected and found (exit code IMAGES).

    """
    folder.mkdir(parents=True)
    plan = {"modules": sources, "guards": [asdict(guard) for guard in guards]}
    _run(plan, folder, [folder], "inserting mutants", store, progress)


def candidates(packages: Sequence[str], sources: dict[str, Path], store: BuildCache, progress: Progress) -> list[Candidate]:
    """Return the functions of these packages that can be changed by rule, in the order of their names.

    `sources` are the modules that have the packages, path -> folder.

    Raises:
        SetupError: a module has no such package, or its source cannot be read (exit code IMAGES).

    """
    with store.scratch() as scratch:
        listed = _run({"modules": sources, "packages": packages}, scratch, [], "listing functions", store, progress)
    found: list[dict[str, Any]] = json.loads(listed)
    return [
        Candidate(each["package"], each["function"], tuple(each["conditions"]), each["among"], each["constants"])
        for each in found
    ]


def _run(plan: Mapping[str, Any], folder: Path, words: Sequence[Path], doing: str, store: BuildCache, progress: Progress) -> str:
    """Run the program in images/mutants on a plan, which is written to `folder`; return its output."""
    file = folder / "plan.json"
    file.write_text(json.dumps(plan, default=str), encoding="utf-8")
    command = [golang.toolchain(store, progress), "run", ".", file, *words]
    return check(command, timeout=INSERT_SECONDS, cwd=HERE, env=golang.PLAIN, code=ExitCode.IMAGES, doing=doing)


def replace(module: Path, paths: Iterable[str], folder: Path, store: BuildCache, progress: Progress) -> None:
    """Let the go.mod in the folder `module` take the modules of these paths, and the package of the switch, from `folder`."""
    words = ["mod", "edit", f"-require={SWITCH}@v0.0.0", *(f"-replace={path}={folder / path}" for path in (*paths, SWITCH))]
    check([golang.toolchain(store, progress), *words], timeout=60, cwd=module, code=ExitCode.IMAGES)


def begin(text: str) -> Change:
    """Return the change that the function runs these statements first."""
    return Change("begin", text=text)


def at_once() -> Change:
    """Return the change that the function returns its zero values at once."""
    return Change("return")


def negate(name: str, nth: int = 1, among: int = 1) -> Change:
    """Return the change that the condition of an `if` which mentions a name is negated."""
    return Change("negate", name, nth, among)


def always(name: str, nth: int = 1, among: int = 1) -> Change:
    """Return the change that the condition of an `if` which mentions a name is true."""
    return Change("always", name, nth, among)


def never(name: str, nth: int = 1, among: int = 1) -> Change:
    """Return the change that the condition of an `if` which mentions a name is false."""
    return Change("never", name, nth, among)


def skip(name: str, nth: int = 1, among: int = 1) -> Change:
    """Return the change that the statement which calls a name is left out."""
    return Change("skip", name, nth, among)


def after(name: str, text: str, nth: int = 1, among: int = 1) -> Change:
    """Return the change that statements run after the one which calls or sets a name."""
    return Change("after", name, nth, among, text)


def replaced(name: str, text: str, nth: int = 1, among: int = 1, *, of: str = "") -> Change:
    """Return the change that an expression written `name` has another value; `of` is its type, which constants need."""
    return Change("replace", name, nth, among, text, of)


def swapped(name: str, first: int, second: int, nth: int = 1, among: int = 1) -> Change:
    """Return the change that two arguments of the call of a name are exchanged, counted from 0."""
    return Change("swap", name, nth, among, first=first, second=second)


def constant(nth: int, among: int) -> Change:
    """Return the change that a decimal number is one greater, or a truth value is the other one."""
    return Change("constant", nth=nth, among=among)


def enter(name: str) -> Change:
    """Return the change that notes the first call of the function by this name, and does nothing else."""
    return Change("enter", text=name)
