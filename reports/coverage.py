"""What upstream's conformance suite and the walkthrough ask for, and which claims answer: docs/COVERAGE.md."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kubechain.claims.claim import Claim
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, SetupError

SOURCE = ROOT / "docs" / "coverage.toml"
# In the Go module of Kubernetes: the list of its conformance tests.
LISTED = "test/conformance/testdata/conformance.yaml"


@dataclass(frozen=True)
class Row:
    """Something that is asked for: its name, the ids of the claims that answer, and what none of them tries."""

    name: str
    claims: tuple[str, ...]
    gap: str = ""


@dataclass(frozen=True)
class Coverage:
    """What coverage.toml says; `kubernetes` is the version whose names the upstream rows and `also_named` have."""

    kubernetes: str
    also_named: tuple[str, ...]
    upstream: tuple[Row, ...]
    walkthrough: tuple[Row, ...]


def load(source: Path = SOURCE) -> Coverage:
    """Read coverage.toml.

    Raises:
        SetupError: it is not of the form above (exit code USAGE).

    """

    def rows(entries: list[dict[str, Any]]) -> tuple[Row, ...]:
        return tuple(Row(entry.pop("name"), tuple(entry.pop("claims")), **entry) for entry in entries)

    try:
        found: dict[str, Any] = tomllib.loads(source.read_text(encoding="utf-8"))
        sections = {name: rows(found.pop(name)) for name in ("upstream", "walkthrough")}
        return Coverage(**sections, also_named=tuple(found.pop("also_named")), **found)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SetupError(f"{source}: {type(error).__name__}: {error}", ExitCode.USAGE) from error


def upstream_names(version: str) -> frozenset[str] | None:
    """Return the names of all conformance tests of a Kubernetes version; None if its Go module is not on this machine."""
    gopath = os.environ.get("GOPATH", "").split(os.pathsep)[0] or Path.home() / "go"
    cache = Path(os.environ.get("GOMODCACHE") or Path(gopath) / "pkg" / "mod")
    path = cache / "k8s.io" / f"kubernetes@v{version}" / LISTED
    return frozenset(test["testname"] for test in yaml.safe_load(path.read_text(encoding="utf-8"))) if path.is_file() else None


def problems(coverage: Coverage, claims: Sequence[Claim], known: Collection[str] | None) -> list[str]:
    """Say what is wrong: ids and names that do not exist, rows that say nothing, claims that are not listed.

    `known` are the names of all upstream tests, None where they cannot be looked up.
    """
    ids, named = {claim.id for claim in claims}, {claim.upstream for claim in claims}
    rows = [*coverage.upstream, *coverage.walkthrough]
    listed = [row.name for row in coverage.upstream] + list(coverage.also_named)
    by_name = {row.name: row for row in coverage.upstream}
    found = [f"{row.name}: there is no claim {each}" for row in rows for each in row.claims if each not in ids]
    found += [f"{row.name}: neither claims nor a gap" for row in rows if not row.claims and not row.gap]
    found += [f"{name}: there {count} times" for name, count in Counter(listed).items() if count > 1]
    if known is not None:
        missing = [name for name in listed if name not in known]
        found += [f"{name}: no conformance test of Kubernetes {coverage.kubernetes}{_closest(name, known)}" for name in missing]
    found += [f"{name}: in also_named, but named by no claim" for name in coverage.also_named if name not in named]
    for claim in claims:
        if claim.upstream and claim.upstream not in listed:
            found.append(f"{claim.id}: its upstream test {claim.upstream!r} is not listed{_closest(claim.upstream, listed)}")
        elif claim.upstream in by_name and claim.id not in by_name[claim.upstream].claims:
            found.append(f"{claim.id}: names {claim.upstream!r}, and is not listed under it")
    return found


def _closest(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f" (closest: {close[0]!r})" if close else ""


def document(claims: Sequence[Claim]) -> str:
    """Return docs/COVERAGE.md.

    Raises:
        SetupError: coverage.toml and the claims do not agree (exit code USAGE); the message lists how, line by line.

    """
    coverage = load()
    wrong = problems(coverage, claims, upstream_names(coverage.kubernetes))
    if wrong:
        lines = "\n  ".join(wrong)
        raise SetupError(f"{SOURCE.relative_to(ROOT)} does not agree with the claims:\n  {lines}", ExitCode.USAGE)
    return markdown(coverage, claims)


def markdown(coverage: Coverage, claims: Sequence[Claim]) -> str:
    """Return the coverage as a document."""
    also = [(name, [claim.id for claim in claims if claim.upstream == name]) for name in coverage.also_named]
    about = (
        f"The {len(coverage.upstream)} tests of the conformance suite of Kubernetes {coverage.kubernetes} that are closest to "
        f"the chain, by their `Testname`: {_count(coverage.upstream)}. A claim next to a test is about the same behaviour; it "
        "is not that test, and does not replace it."
    )
    parts = [
        "# Coverage",
        "Generated from coverage.toml and the claims by `make catalogue`; `make lint` fails if it is stale.",
        "What each claim states is in [CATALOGUE.md](CATALOGUE.md).",
        "## Upstream conformance",
        about,
        _table("upstream test", coverage.upstream),
        "Tests farther away, next to single claims:",
        _table("upstream test", [Row(name, tuple(ids)) for name, ids in also], gaps=False),
        "## The walkthrough",
        f"What one does and sees by hand, step by step: {_count(coverage.walkthrough)}.",
        _table("step", coverage.walkthrough),
    ]
    return "\n\n".join(parts) + "\n"


def _count(rows: Sequence[Row]) -> str:
    whole = sum(bool(row.claims) and not row.gap for row in rows)
    none = sum(not row.claims for row in rows)
    return f"{whole} covered, {len(rows) - whole - none} in part, {none} not"


def _table(first: str, rows: Sequence[Row], *, gaps: bool = True) -> str:
    heads = [first, "claims", *(["not tried"] if gaps else [])]
    lines = [[row.name, ", ".join(row.claims) or "none", *([row.gap] if gaps else [])] for row in rows]
    table = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in line] for line in lines)]
    return "\n".join(f"| {' | '.join(line)} |" for line in table)
