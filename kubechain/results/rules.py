"""The rules of --gate, read from a YAML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from kubechain.claims import requirements
from kubechain.core import yaml_files

OPTION = "--gate"
# Reasons of skipped claims that are no requirement.
RIGHTS, ADMISSION, OTHER = "rights", "admission", "other"
# A requirement of rights alone has its id as its text, and is never named: the message lists the rights.
REQUIREMENTS = tuple(requirement for requirement in requirements.ALL if requirement.text != requirement.id)
REASONS = (*(requirement.id for requirement in REQUIREMENTS), RIGHTS, ADMISSION, OTHER)
Count = Annotated[int, Field(strict=True, ge=0)]
Seconds = Annotated[float, Field(gt=0)]


class Bounds(BaseModel):
    """The most seconds that a hand-over may take, by percentile."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    p50: Seconds | None = None
    p90: Seconds | None = None
    p99: Seconds | None = None
    max: Seconds | None = None


class Rules(BaseModel):
    """The rules of a file, None where it has no such rule; numbers are the most that is allowed, of `passed` the least."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    failed: Count | None = None
    knownIssues: Count | None = None  # noqa: N815  # as in the file
    blocked: Count | None = None
    inconclusive: Count | None = None
    passed: Count | None = None
    skips: Sequence[str] | None = None
    handOvers: dict[str, Bounds] | None = None  # noqa: N815
    noRegression: Annotated[str, Field(min_length=1)] | None = None  # noqa: N815


@dataclass(frozen=True)
class Gate:
    """The rules, and the history folder of `noRegression`, None without that rule."""

    rules: Rules
    history: Path | None


def read(path: Path, made: Path | None = None) -> Gate:
    """Read the file of --gate. `made` is a history folder that the run makes if it does not exist.

    Raises:
        SetupError: the file cannot be read, has no rule or an unknown one, or names a folder that does not exist (exit code
            USAGE); the message has the line.

    """
    file = yaml_files.read(OPTION, path)
    if not file.content:
        file.refuse((), "no rules; `kubechain docs results`, The gate, lists them")
    rules = file.validated(Rules, file.content)
    for number, reason in enumerate(rules.skips or ()):
        if reason not in REASONS:
            file.refuse(("skips", number), f"skips: {reason}: expected one of {', '.join(REASONS)}")
    for what, bounds in (rules.handOvers or {}).items():
        if not bounds.model_dump(exclude_none=True):
            file.refuse(("handOvers", what), f"handOvers: {what}: expected p50, p90, p99 or max")
    empty = [name for name, value in file.content.items() if value is None]
    if empty:
        file.refuse((empty[0],), f"{empty[0]}: no value")
    history = (path.parent / Path(rules.noRegression).expanduser()).absolute() if rules.noRegression else None
    if history and not history.is_dir() and history != (made.absolute() if made else None):
        file.refuse(("noRegression",), f"noRegression: {history}: no such folder")
    return Gate(rules, history)
