"""The last answers of what a chain was asked, as evidence on a claim."""

from __future__ import annotations

from dataclasses import dataclass, field

# Sources of which the last answer is kept.
MOST = 12


@dataclass(frozen=True)
class LastAnswers:
    """What was asked -> the last answer; the newest is the last."""

    kept: dict[str, object] = field(default_factory=dict[str, object])

    def keep(self, what: str, answer: object) -> None:
        """Keep the answer of a source, and forget the source that was asked longest ago."""
        self.kept.pop(what, None)
        self.kept[what] = answer
        while len(self.kept) > MOST:
            del self.kept[next(iter(self.kept))]
