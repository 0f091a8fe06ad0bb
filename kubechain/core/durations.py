"""Durations as people write them: 90s, 15m, 2h."""

from __future__ import annotations

import re

FORM = re.compile(r"([1-9]\d{0,5})(s|m|h)", re.ASCII)
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def duration(text: str) -> str:
    """Return a duration; ValueError if it is none."""
    if not FORM.fullmatch(text):
        raise ValueError("expected a duration such as 90s, 15m or 2h")
    return text


def seconds_of(text: str) -> float:
    """Return the seconds of a duration."""
    found = FORM.fullmatch(duration(text))
    return int(found[1]) * UNITS[found[2]] if found else 0.0
