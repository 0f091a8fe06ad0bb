"""Durations as people write them: 90s, 15m, 1.5h."""

from __future__ import annotations

import re

# More hours than these are no time for which a process can wait.
FORM = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)([smh]?)", re.ASCII)
UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(value: object) -> float:
    """Return the seconds of a duration such as "90s", "15m", "1.5h" or "90", to the millisecond; ValueError if it is none."""
    found = FORM.fullmatch(str(value).strip())
    if not found:
        raise ValueError("expected a duration such as 90s, 15m or 2h")
    return round(float(found[1]) * UNITS[found[2]], 3)


def some_time(text: str) -> str:
    """Return a duration as it is written; ValueError if it is none, or is 0."""
    if not seconds(text):
        raise ValueError("expected a duration of more than 0, such as 90s, 15m or 2h")
    return text
