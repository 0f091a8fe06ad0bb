"""Checks of the values of settings."""

from __future__ import annotations

import re
import shlex

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def seconds(value: object) -> float:
    """Return a duration such as "90s", "30m", "1.5h" or "90" in seconds; ValueError if it is none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", str(value).strip())
    if not found:
        raise ValueError("expected a duration such as 90s, 30m or 2h")
    return float(found[1]) * UNITS[found[2]]


def words_of_shell(command: str) -> str:
    """Return a command whose words a shell would tell apart; ValueError if a quotation is not closed."""
    try:
        shlex.split(command)
    except ValueError as error:
        raise ValueError(f"not a command: {error}") from error
    return command
