"""docs/COVERAGE.md: conformance tests of Kubernetes and steps of the walkthrough, and the claims that cover them."""

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
# The list of conformance tests in the Go module of Kubernetes.
LISTED = "test/conformance/testdata/conformance.yaml"


@dataclass(frozen=True)
class Row:
    """A conformance test or a step: its name, the ids of the claims that cover it, and what no claim covers ("": nothing)."""

    name: str
    claims: tuple[str, ...]
    gap: str = ""


@dataclass(frozen=True)
class Coverage:
    """The content of coverage.toml; `kubernetes` is the version whose test names `upstream` and `also_named` have."""

    kubernetes: str
    also_named: tuple[str, ...]
    upstream: tuple[Row, ...]
    walkthrough: tuple[Row, ...]


def load(source: Path = SOURCE) -> Coverage:
    """Read coverage.toml.

    Raises:
        SetupError: the file cannot be read or does not have the form of Coverage (exit code USAGE).

    """

    def rows(entries: list[dict[str, Any]]) -> tuple[Row, ...]:
        return tuple(Row(entry.pop("name"), tuple(entry.pop("claims")), **entry) for entry in entries)

    try:
        content: dict[str, Any] = tomllib.loads(source.read_text(encoding="utf-8"))
        sections = {name: rows(content.pop(name)) for name in ("upstream", "walkthrough")}
        return Coverage(**sections, also_named=tuple(content.pop("also_named")), **content)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SetupError(f"{source}: {type(error).__name__}: {error}", ExitCode.USAGE) from error


def upstream_names(version: str) -> frozenset[str] | None:
    """Return the names of the conformance tests of a Kubernetes version; None if its Go module is not in the module cache."""
    gopath = os.environ.get("GOPATH", "").split(os.pathsep)[0] or Path.home() / "go"
    cache = Path(os.environ.get("GOMODCACHE") or Path(gopath) / "pkg" / "mod")
    path = cache / "k8s.io" / f"kubernetes@v{version}" / LISTED
    return frozenset(test["testname"] for test in yaml.safe_load(path.read_text(encoding="utf-8"))) if path.is_file() else None


def problems(coverage: Coverage, claims: Sequence[Claim], known: Collection[str] | None) -> list[str]:
    """Return what is wrong: unknown ids and names, rows without claims and gap, claims that are not listed.

    `known` are the names of all conformance tests, None if they are not available.
    """
    ids, named = {claim.id for claim in claims}, {claim.upstream for claim in claims}
    rows = [*coverage.upstream, *coverage.walkthrough]
    listed = [row.name for row in coverage.upstream] + list(coverage.also_named)
    by_name = {row.name: row for row in coverage.upstream}
    wrong = [f"{row.name}: no claim {claim_id}" for row in rows for claim_id in row.claims if claim_id not in ids]
    wrong += [f"{row.name}: neither claims nor a gap" for row in rows if not row.claims and not row.gap]
    wrong += [f"{name}: listed {count} times" for name, count in Counter(listed).items() if count > 1]
    if known is not None:
        unknown = [name for name in listed if name not in known]
        wrong += [f"{name}: no conformance test of Kubernetes {coverage.kubernetes}{_closest(name, known)}" for name in unknown]
    wrong += [f"{name}: in also_named, but no claim names it" for name in coverage.also_named if name not in named]
    for claim in claims:
        if claim.upstream and claim.upstream not in listed:
            wrong.append(f"{claim.id}: its upstream test {claim.upstream!r} is not listed{_closest(claim.upstream, listed)}")
        elif claim.upstream in by_name and claim.id not in by_name[claim.upstream].claims:
            wrong.append(f"{claim.id}: names {claim.upstream!r}, which does not list it")
    return wrong


def _closest(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f" (closest: {close[0]!r})" if close else ""


def document(claims: Sequence[Claim]) -> str:
    """Return docs/COVERAGE.md.

    Raises:
        SetupError: coverage.toml and the claims do not agree (exit code USAGE); the message has a line for each problem.

    """
    coverage = load()
    wrong = problems(coverage, claims, upstream_names(coverage.kubernetes))
    if wrong:
        lines = "\n  ".join(wrong)
        raise SetupError(f"{SOURCE.relative_to(ROOT)} does not agree with the claims:\n  {lines}", ExitCode.USAGE)
    return markdown(coverage, claims)


def markdown(coverage: Coverage, claims: Sequence[Claim]) -> str:
    """Return the coverage as Markdown."""
    also = [(name, [claim.id for claim in claims if claim.upstream == name]) for name in coverage.also_named]
    about = (
        f"The {len(coverage.upstream)} tests of the conformance suite of Kubernetes {coverage.kubernetes} that are closest to "
        f"the chain, by their `Testname`: {_count(coverage.upstream)}. A claim beside a test checks the same behaviour; it "
        "does not replace the test."
    )
    parts = [
        "# Coverage",
        "Generated from coverage.toml and the claims by `make catalogue`; `make lint` fails if it is stale.",
        "[CATALOGUE.md](CATALOGUE.md) has the sentence of each claim.",
        "## Upstream conformance",
        about,
        _table("upstream test", coverage.upstream),
        "Other tests that single claims name:",
        _table("upstream test", [Row(name, tuple(ids)) for name, ids in also], gaps=False),
        "## The walkthrough",
        f"The steps of a walkthrough by hand: {_count(coverage.walkthrough)}.",
        _table("step", coverage.walkthrough),
    ]
    return "\n\n".join(parts) + "\n"


def _count(rows: Sequence[Row]) -> str:
    whole = sum(bool(row.claims) and not row.gap for row in rows)
    none = sum(not row.claims for row in rows)
    return f"{whole} covered, {len(rows) - whole - none} in part, {none} not covered"


def _table(first: str, rows: Sequence[Row], *, gaps: bool = True) -> str:
    heads = [first, "claims", *(["not covered"] if gaps else [])]
    lines = [[row.name, ", ".join(row.claims) or "none", *([row.gap] if gaps else [])] for row in rows]
    table = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in line] for line in lines)]
    return "\n".join(f"| {' | '.join(line)} |" for line in table)
