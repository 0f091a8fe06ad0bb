"""The rows of rounds of a watch in a file: one that is killed, and begun again, goes on counting."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from pathlib import Path

from kubechain.claims.claim import Link
from kubechain.core import files
from kubechain.core.records import JsonRecord
from kubechain.results.rounds import Rounds


class KeptRounds(JsonRecord):
    """The rows of rounds on a context, written `at` a time (Unix seconds); the other fields are those of Rounds."""

    context: str
    at: float
    decided: float
    without_verdict: int
    broken: dict[Link, int]


def read(file: Path, context: str, now: float, most: float) -> Rounds:
    """Return the rounds of a watch that begins now, after those on the same context that were kept within `most` seconds."""
    rounds = Rounds(now)
    try:
        kept = KeptRounds.model_validate_json(file.read_bytes())
    except (OSError, ValueError):
        return rounds
    if kept.context == context and 0 <= now - kept.at < most:
        rounds.decided, rounds.without_verdict, rounds.broken = kept.decided, kept.without_verdict, Counter(kept.broken)
    return rounds


def write(rounds: Rounds, file: Path, context: str, now: float, *, begun: bool) -> None:
    """Keep the rows. A round that has `begun` is one without a verdict until it ends: the watch may be killed in it."""
    kept = KeptRounds(
        context=context,
        at=now,
        decided=rounds.decided,
        without_verdict=rounds.without_verdict + begun,
        broken=dict(rounds.broken),
    )
    # A full disk ends no watch.
    with contextlib.suppress(OSError):
        files.write(file, json.dumps(kept.as_json()))
