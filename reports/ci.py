"""What a CI system gets of the published results, where its environment variables ask for it: GitHub Actions and prow."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from kubechain.claims.claim import Outcome
from kubechain.claims.records import ClaimRecord, RunRecord
from kubechain.core import redact

# GitHub shows ten errors of a step, and takes a summary of a MiB.
MOST_ANNOTATIONS = 10
MOST_SUMMARY = 1 << 20
# Files of a run -> their names in $ARTIFACTS: prow reads junit*.xml, and shows pages.
ARTIFACTS = {"junit.xml": "junit_kubechain.xml", "chain.html": "chain.html"}
CUT = "\n\n(cut off: the whole text is in summary.md)\n"


def errors(run: RunRecord) -> list[str]:
    """Return workflow commands of GitHub: an error for each claim that failed or is inconclusive, or for the verdict alone."""
    told = [claim for claim in run.claims if claim.outcome in (Outcome.FAILED, Outcome.INCONCLUSIVE) and not claim.known]
    lines = [_error(f"{claim.id} ({claim.link}) {claim.outcome}", _text(claim)) for claim in _most_telling(told)]
    return lines or ([] if run.holds else [_error("kubechain", run.verdict)])


def _most_telling(claims: Iterable[ClaimRecord]) -> list[ClaimRecord]:
    return sorted(claims, key=lambda claim: claim.outcome != Outcome.FAILED)[:MOST_ANNOTATIONS]


def _text(claim: ClaimRecord) -> str:
    return f"{claim.must}\n{claim.message}"


def _error(title: str, text: str) -> str:
    """Return the command with its characters escaped as actions/toolkit does (packages/core/src/command.ts)."""
    data = redact.text(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    name = title.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A").replace(":", "%3A").replace(",", "%2C")
    return f"::error title={name}::{data}"


def write(folder: Path, environment: Mapping[str, str]) -> list[str]:
    """Hand the published files in a folder on, as the environment asks; return one line for each thing that failed."""
    failed: list[str] = []
    if artifacts := environment.get("ARTIFACTS"):
        try:
            Path(artifacts).mkdir(parents=True, exist_ok=True)
            for name, there in ARTIFACTS.items():
                shutil.copyfile(folder / name, Path(artifacts) / there)
        except OSError as error:
            failed.append(f"not all of {', '.join(ARTIFACTS.values())} in $ARTIFACTS ({artifacts}): {error.strerror}")
    if summary := environment.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(_bounded((folder / "summary.md").read_text(encoding="utf-8")))
        except OSError as error:
            failed.append(f"no summary in $GITHUB_STEP_SUMMARY ({summary}): {error.strerror}")
    return failed


def _bounded(text: str) -> str:
    """Return a text that GitHub takes; a longer one is cut off, because GitHub would drop it as a whole."""
    content = text.encode()
    if len(content) <= MOST_SUMMARY:
        return text
    return content[: MOST_SUMMARY - len(CUT.encode())].decode(errors="ignore") + CUT
