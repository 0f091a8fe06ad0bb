"""chain.html: the chain of a run as one page without scripts, made from run.json's records and the evidence alone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from pathlib import Path

from kubechain.claims.claim import Outcome
from kubechain.claims.records import RunRecord
from kubechain.core import redact
from kubechain.core.errors import ExitCode
from kubechain.kube import traffic

from . import chain_view, evidence_view, process_view, trend_view
from .chain_view import State
from .templates import MOST_AT_TOP, environment, size

# Bytes of evidence as HTML: of one claim, and of the page.
MOST_OF_CLAIM, MOST_OF_PAGE = 90_000, 450_000
SLOWEST, LONGEST = 8, 10
# They are not known yet when the page is made, which run.json can make again.
OWN_PHASES = ("chain page", "HTML report")
SYMBOLS = {
    State.HOLDS: "✓",
    State.BROKEN: "✗",
    State.BLOCKED: "⊘",
    State.INCONCLUSIVE: "?",
    State.KNOWN: "!",
    State.NOT_RUN: "○",
    State.SKIPPED: "-",
    State.NO_CLAIMS: "·",
    Outcome.PASSED: "✓",
    Outcome.FAILED: "✗",
}
# A known issue that no longer fails is red too: its waiver hides the next failure.
RED = (ExitCode.CHAIN_BROKEN, ExitCode.WAIVERS)


def page(run: RunRecord, evidence: Mapping[str, str], earlier: Sequence[RunRecord] = ()) -> str:
    """Return the page of a run; `evidence` is id of a claim -> text, `earlier` are the runs before it. All must be redacted."""
    kept = bounded(evidence)
    known = [claim for claim in run.claims if claim.known]
    unexcused = [claim for claim in run.claims if not claim.known]
    head, _, rest = run.verdict.partition(": ")
    return (
        environment()
        .get_template("chain.html.j2")
        .render(
            run=run,
            title=head[:1].upper() + head[1:],
            rest=rest,
            tone="good" if run.holds else "bad" if run.exit_code in RED else "unknown",
            broken=chain_view.first(run, kept),
            links=chain_view.links(run),
            last=chain_view.LAST,
            symbols=SYMBOLS,
            known=known,
            outcomes={outcome.name: [claim for claim in unexcused if claim.outcome == outcome] for outcome in Outcome},
            groups={outcome.name: chain_view.by_message(c for c in run.claims if c.outcome == outcome) for outcome in Outcome},
            message_of=chain_view.message_of,
            evidence=kept,
            parts_of=evidence_view.parts,
            waterfalls=chain_view.waterfalls(run),
            trend=trend_view.trend(run, earlier),
            slowest=_slowest(run),
            lanes=process_view.lanes(run),
            causes=process_view.causes(run),
            waits=sorted(((c, wait) for c in run.claims for wait in c.waits), key=lambda each: -each[1].seconds)[:LONGEST],
            slo=next((each for each in run.hand_overs if each.slo is not None), None),
            phases=[phase for phase in run.phases if phase.phase not in OWN_PHASES],
            load=traffic.line(run.load, next((p.seconds for p in run.phases if p.phase == "claims"), 0.0)) if run.load else "",
            since=chain_view.SINCE,
            most_at_top=MOST_AT_TOP,
        )
    )


def published(run: RunRecord, folder: Path, earlier: Sequence[RunRecord] = ()) -> str:
    """Return the page of a run whose files are in `folder`, with all texts redacted before they become HTML.

    `earlier` are the runs before it, as they were published.
    """
    clean = RunRecord.model_validate(redact.tree(run.as_json()))
    texts = {name: redact.text(text) for name, text in evidence_in(folder / "evidence", clean).items()}
    return page(clean, texts, earlier)


def evidence_in(folder: Path, run: RunRecord) -> dict[str, str]:
    """Return id of a claim -> its evidence, for each claim of a run with a file in `folder`."""
    files = {claim.id: folder / f"{claim.id}.txt" for claim in run.claims}
    return {name: file.read_text(encoding="utf-8", errors="replace") for name, file in files.items() if file.is_file()}


def bounded(evidence: Mapping[str, str]) -> dict[str, str]:
    """Return the evidence, cut so that one claim takes MOST_OF_CLAIM bytes of the page and all together take MOST_OF_PAGE."""
    kept: dict[str, str] = {}
    left = MOST_OF_PAGE
    for name, text in evidence.items():
        most = min(MOST_OF_CLAIM, left)
        # A quotation mark takes six bytes, a letter of many scripts three. No character takes none.
        fits = bisect_right(range(min(len(text), most) + 1), most, key=lambda length: size(text[:length])) - 1
        cut = f"\n... {len(text) - fits:,} more characters are in evidence/{name}.txt" if len(text) > fits else ""
        kept[name] = text[:fits] + cut
        left -= size(text[:fits])
    return kept


def _slowest(run: RunRecord) -> list[tuple[float, str, str]]:
    """Return the slowest hand-overs of all chains: seconds, what, namespace."""
    taken = [(step.seconds, step.what, chain.namespace) for chain in run.chains for step in chain.steps]
    return sorted(taken, reverse=True)[:SLOWEST]
