"""What somebody may have meant by a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

WORDS = 0.8
# Ids that differ in a number alone are as alike as 0.89, and each is as likely as the other.
IDS = 0.9


def suggestion(name: str, names: Iterable[str], alike: float = WORDS) -> str:
    """Return " (did you mean NAME?)" with the closest of the names, without regard to case; "" if none is alike enough."""
    folded = {each.casefold(): each for each in names}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=alike)
    return f" (did you mean {folded[close[0]]}?)" if close else ""
