"""Compares what the suite found under a fault with what it must find. Pure functions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import get_args

from kubechain.claims.claim import Outcome
from kubechain.claims.records import ClaimRecord, RunRecord
from kubechain.claims.verdict import ALSO
from kubechain.core.errors import ExitCode
from kubechain.faults.fault import Component, Fault
from kubechain.faults.records import Comparison, FaultSeconds, Result, Score
from kubechain.workload.gates import used

# One broken hand-over is one failed claim; two more may see it before its gate is shut.
MOST_FAILED = 3
INCONCLUSIVE_CODES = {ExitCode.UNREACHABLE, ExitCode.HARNESS, ExitCode.CLUSTER}


def score(fault: Fault, run: RunRecord, seconds: FaultSeconds, upstream: Comparison | None = None) -> Score:
    """Return the score of the suite for its run under a fault, with the outcomes of upstream's tests."""
    result, why = _result(fault, run)
    return Score(
        fault=fault.id,
        kind=fault.kind,
        title=fault.title,
        result=result,
        why=why,
        expected=fault.at,
        first_broken_link=run.first_broken_link,
        verdict=run.verdict,
        outcomes={claim.id: claim.outcome for claim in run.claims},
        seconds=seconds,
        upstream=upstream,
    )


def unreached(scored: Score) -> Score:
    """Return the score of a mutant to whose code no program came: what failed under it, it did not make fail."""
    results: dict[Result, Result] = {"killed": "misattributed"}
    if scored.expected == "anywhere":
        results = {"killed": "misattributed", "survived": "not reached", "equivalent": "not reached"}
    result = results.get(scored.result, scored.result)
    return scored.model_copy(update={"result": result, "why": f"no program came to the changed code: {scored.why}"})


def _result(fault: Fault, run: RunRecord) -> tuple[Result, str]:
    if fault.at is None:
        return ("green", "") if run.holds else ("false alarm", run.verdict)
    if fault.at == "anywhere":
        return _anywhere(fault, run)
    if run.holds:
        return "survived", run.verdict
    if fault.at in {"unreachable", "refused"}:
        said = re.search(fault.symptom, run.verdict) and run.exit_code == ExitCode.REFUSED
        rightly = said if fault.at == "refused" else run.exit_code in INCONCLUSIVE_CODES
        return ("killed" if rightly and run.first_broken_link is None else "misattributed"), run.verdict
    if run.first_broken_link != fault.at:
        return "misattributed", f"{run.first_broken_link} is called broken, not {fault.at}: {run.verdict}"
    return _by_symptom(fault, run)


def _anywhere(fault: Fault, run: RunRecord) -> tuple[Result, str]:
    """Return the result for what may break any link: killed if a link is called broken, or the cluster has no working API."""
    if run.holds:
        return ("equivalent", fault.equivalent) if fault.equivalent else ("survived", run.verdict)
    if fault.equivalent:
        return "misattributed", f"it is called equivalent, and noticed: {run.verdict}"
    noticed = run.first_broken_link is not None or run.exit_code in INCONCLUSIVE_CODES - {ExitCode.HARNESS} | {ExitCode.REFUSED}
    return ("killed" if noticed else "misattributed"), run.verdict


def _by_symptom(fault: Fault, run: RunRecord) -> tuple[Result, str]:
    """Return "killed" if a claim says what is broken with a message that contains the symptom, else "misattributed", and why."""
    said = [(claim.id, claim.message or "") for claim in run.claims if _says(fault, claim)]
    named = [f"{claim}: {message}" for claim, message in said if re.search(fault.symptom, message)]
    if named:
        wrong = "" if fault.kind == "upgrade" else _unsaid(fault, run) or _excess(fault, run)
        return ("misattributed", wrong) if wrong else ("killed", named[0])
    if said:
        return "misattributed", f"no message names the symptom /{fault.symptom}/: {said[0][1]}"
    if not fault.claims:
        return "misattributed", f"no claim is blocked by {fault.at}"
    return "misattributed", f"none of {', '.join(fault.claims)} failed"


def _says(fault: Fault, claim: ClaimRecord) -> bool:
    """Whether a claim says what a fault breaks: an expected one that failed.

    Where there is none, or it may have passed before the fault was injected, it is one that is blocked by the broken link.
    """
    if claim.id in fault.claims and claim.outcome == Outcome.FAILED:
        return True
    return (not fault.claims or fault.midway is not None) and claim.waits_for == fault.at


def _unsaid(fault: Fault, run: RunRecord) -> str:
    """Return which links of `also` the line of the verdict does not call broken; "" if it names all."""
    named = ALSO.search(run.verdict)
    said = named["links"].split(", ") if named else []
    missing = [link for link in fault.also if link not in said]
    return f"{', '.join(missing)} not called broken, too: {run.verdict}" if missing else ""


def _excess(fault: Fault, run: RunRecord) -> str:
    """Return why more claims failed than the fault explains: too many, or claims that do not use what it breaks; "" if none."""
    failed = [claim for claim in run.claims if claim.outcome == Outcome.FAILED]
    broken = {fault.at, *fault.breaks, *fault.also}
    strange = [claim.id for claim in failed if not broken & {claim.link, *used(claim.link, claim.after)}]
    if strange:
        return f"{', '.join(strange)} failed, and {_do(strange)} not use what the fault breaks ({', '.join(map(str, broken))})"
    if len(failed) > MOST_FAILED:
        return f"{len(failed)} claims failed, not one and at most {MOST_FAILED}: {', '.join(claim.id for claim in failed)}"
    return ""


def _do(subjects: Sequence[str]) -> str:
    return "does" if len(subjects) == 1 else "do"


def verdict_line(scores: Sequence[Score], wanted: int) -> tuple[bool, str]:
    """Return whether all `wanted` faults have a score and all scores are good, and the line that a run ends with."""
    faults = [each for each in scores if each.expected is not None]
    harmless = [each for each in scores if each.expected is None]
    drawn = [each for each in faults if each.expected == "anywhere"]
    killed, green = sum(each.good for each in faults), sum(each.good for each in harmless)
    noun = "mutants" if faults and all(each.kind in get_args(Component) for each in faults) else "faults"
    line = f"{noun}: {killed} of {len(faults)} killed at the right link, {green} of {len(harmless)} harmless changes green"
    if drawn:
        line = _drawn(drawn)
    bad = [f"{each.fault} ({each.result})" for each in scores if not each.good]
    missing = wanted - len(scores)
    rest = [*([f"wrong: {', '.join(bad)}"] if bad else []), *([f"{missing} without a score"] if missing else [])]
    return not rest and wanted > 0, "; ".join([line, *rest, *_compared(faults, harmless, noun)])


def _drawn(scores: Sequence[Score]) -> str:
    """Return the score of mutants that are drawn: of those that a program came to, how many the suite noticed."""
    counts = Counter(each.result for each in scores)
    reached = len(scores) - counts["not reached"]
    share = f" ({100 * counts['killed'] / reached:.0f} %)" if reached else ""
    rest = [f"{counts[result]} {result}" for result in ("survived", "equivalent", "misattributed")]
    line = f"drawn mutants: {counts['killed']} of {reached} killed{share}, {', '.join(rest)}"
    return f"{line}; {counts['not reached']} of {len(scores)} not reached"


def _compared(faults: Sequence[Score], harmless: Sequence[Score], noun: str) -> list[str]:
    """Return what upstream's tests noticed, if they were compared; faults noticed by timeouts alone are counted too."""
    broken = [each.upstream for each in faults if each.upstream]
    whole = [each.upstream for each in harmless if each.upstream]
    if not broken and not whole:
        return []
    reached = [each for each in broken if each.reached]
    noticed = sum(each.noticing > 0 for each in reached)
    unreached = len(broken) - len(reached)
    notes = [_by_timeout(reached), f"{unreached} do not reach it" if unreached else ""]
    alarms = sum(each.noticing > 0 for each in whole)
    line = f"upstream noticed {noticed} of {len(reached)} {noun}{_bracketed(notes)}"
    return [f"{line}, {alarms} false alarms on harmless{_bracketed([_by_timeout(whole)])}"]


def _bracketed(notes: Sequence[str]) -> str:
    return f" ({', '.join(filter(None, notes))})" if any(notes) else ""


def _by_timeout(comparisons: Sequence[Comparison]) -> str:
    """Return in how many of these no test failed, but some were stopped at their time limit."""
    count = sum(each.count("timeout") > 0 and not each.count("failed") for each in comparisons)
    return f"{count} by timeouts alone" if count else ""
