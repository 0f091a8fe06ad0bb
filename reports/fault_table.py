"""faults.md: what was found under each fault or mutant, and by whom, as tables. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Literal, get_args

from kubechain.faults.records import Comparison, Result, Score

Noticed = Literal["failure", "time-out", "unnoticed", "not reached"]
UPSTREAM = """
Upstream's tests under the same: noticed by the failure of a test, or by none but one that was given up after its time; passed by
all of them (unnoticed); or aimed at this suite alone, or at code that no program came to meanwhile (not reached).
"""


def noticed(compared: Comparison) -> Noticed:
    """Return how upstream's tests noticed a fault, if they did."""
    if not compared.reached:
        return "not reached"
    if compared.count("failed"):
        return "failure"
    return "time-out" if compared.count("timeout") else "unnoticed"


def markdown(scores: Sequence[Score], line: str) -> str:
    """Return the tables: the results by kind, what upstream's tests noticed, and every fault."""
    compared = [score.upstream for score in scores if score.upstream]
    seconds = [score.seconds.total for score in scores]
    time = f"{sum(seconds) / 60:.1f} min for {len(scores)}: median {median(seconds):.1f} s, longest {max(seconds):.1f} s"
    parts = [f"# {line}\n", f"Trials, without the cluster and what is built: {time}.\n", _by_kind(scores)]
    if compared:
        counts = Counter(noticed(each) for each in compared)
        parts += [UPSTREAM, _table(get_args(Noticed), [[counts[way] for way in get_args(Noticed)]])]
    head = ["id", "kind", "what", "result", "first broken link", "seconds", *(["upstream"] if compared else [])]
    return "\n".join([*parts, _table(head, [_row(score, compared=bool(compared)) for score in scores])])


def _by_kind(scores: Sequence[Score]) -> str:
    kinds = dict.fromkeys(score.kind for score in scores)
    results = [result for result in get_args(Result) if any(score.result == result for score in scores)]
    rows = list[list[object]]()
    for kind in kinds:
        own = [score for score in scores if score.kind == kind]
        counts = Counter(score.result for score in own)
        seconds = f"{median(score.seconds.total for score in own):.1f}"
        rows.append([kind, *(counts[result] for result in results), seconds])
    return _table(["kind", *results, "seconds (median)"], rows)


def _row(score: Score, *, compared: bool) -> list[object]:
    what = score.title.replace("|", r"\|")
    upstream = noticed(score.upstream) if score.upstream else ""
    cells = [score.fault, score.kind, what, score.result, score.first_broken_link or "-", f"{score.seconds.total:.1f}"]
    return [*cells, *([upstream] if compared else [])]


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    return "".join(f"| {' | '.join(map(str, cells))} |\n" for cells in (head, ["---"] * len(head), *rows))
