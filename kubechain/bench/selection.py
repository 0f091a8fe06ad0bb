"""What is compared: tests of upstream, and the claims that cover them without those that docs/bench.toml leaves out."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from kubechain.bench.records import LeftOut, SpecRecord
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, SetupError

SOURCE = ROOT / "docs" / "bench.toml"


@dataclass(frozen=True)
class Selection:
    """What both sides run; `without_claims` are the names of tests that neither side runs."""

    specs: Sequence[SpecRecord]
    without_claims: Sequence[str]
    left_out: Sequence[LeftOut]

    @property
    def claims(self) -> list[str]:
        """The ids of all claims, each once."""
        return sorted({claim for spec in self.specs for claim in spec.claims})


def read(source: Path = SOURCE) -> list[LeftOut]:
    """Read what is left out; SetupError (exit code USAGE) if the file does not have that form."""
    try:
        content = tomllib.loads(source.read_text(encoding="utf-8"))
        return [LeftOut.model_validate(entry) for entry in content["left_out"]]
    except (OSError, ValueError, KeyError, ValidationError) as error:
        raise SetupError(f"{source}: {' '.join(str(error).split())}", ExitCode.USAGE) from error


def select(rows: Iterable[tuple[str, Collection[str]]], left_out: Sequence[LeftOut]) -> Selection:
    """Return what is compared; `rows` are the tests of upstream with the claims that cover them.

    Raises:
        SetupError: what is left out covers no test, or a test has no claim left (exit code USAGE).

    """
    covering = {name: set(claims) for name, claims in rows}
    unknown = {claim for entry in left_out for claim in entry.claims} - set[str]().union(*covering.values())
    if unknown:
        raise SetupError(f"{SOURCE.name}: {', '.join(sorted(unknown))}: no claim that covers a test of upstream", ExitCode.USAGE)
    specs = [SpecRecord(spec=name, claims=_measured(claims, left_out)) for name, claims in covering.items() if claims]
    if bare := [spec.spec for spec in specs if not spec.claims]:
        raise SetupError(
            f"{SOURCE.name}: nothing is left to compare with {', '.join(bare)}: name claims in `instead`", ExitCode.USAGE
        )
    return Selection(specs, [name for name, claims in covering.items() if not claims], left_out)


def _measured(claims: Collection[str], left_out: Sequence[LeftOut]) -> list[str]:
    measured = set(claims)
    for entry in left_out:
        if measured & set(entry.claims):
            measured = (measured - set(entry.claims)) | set(entry.instead)
    return sorted(measured)
