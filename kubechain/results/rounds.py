"""What rounds of a watch say one after another: a round without a verdict changes nothing that is known. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from kubechain.claims.claim import Link
from kubechain.claims.records import RunRecord
from kubechain.results.fleet import State, state_of


@dataclass
class Rounds:
    """The rounds so far.

    `ended` is the end of the last round, at first the begin of the watch, and `decided` that of the last one with a verdict (0:
    there was none), in Unix seconds. `broken` is link -> number of rounds with a verdict in a row, up to the last one, in which
    the chain was first broken there; `without_verdict` is the number of rounds in a row without one.
    """

    ended: float
    last: RunRecord | None = None
    results: Counter[State] = field(default_factory=Counter[State])
    broken: Counter[Link] = field(default_factory=Counter[Link])
    without_verdict: int = 0
    decided: float = 0.0

    def add(self, run: RunRecord | None, ended: float) -> State:
        """Add a round that ended then, None if it has no result; return what it says."""
        state: State = state_of(run) if run else "undecided"
        self.results[state] += 1
        self.ended, self.last = ended, run or self.last
        if state == "undecided" or run is None:
            self.without_verdict += 1
            return state
        self.without_verdict, self.decided = 0, ended
        link = run.first_broken_link
        self.broken = Counter({link: self.broken[link] + 1} if link else {})
        return state
