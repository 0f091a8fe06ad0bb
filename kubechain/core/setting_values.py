"""Checks of the values of settings."""

from __future__ import annotations

import re
import shlex
from urllib.parse import urlsplit

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def seconds(value: object) -> float:
    """Return a duration such as "90s", "30m", "1.5h" or "90" in seconds; ValueError if it is none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", str(value).strip())
    if not found:
        raise ValueError("expected a duration such as 90s, 30m or 2h")
    return float(found[1]) * UNITS[found[2]]


def urls(text: str) -> str:
    """Return URLs separated by commas; ValueError if one is none of HTTP, or has a password: it would be in results."""
    for url in filter(None, text.split(",")):
        parts = urlsplit(url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not a URL of HTTP: {url.strip()}")
        if parts.username or parts.password:
            raise ValueError("a URL with a name or a password")
    return text


def words_of_shell(command: str) -> str:
    """Return a command whose words a shell would tell apart; ValueError if a quotation is not closed."""
    try:
        shlex.split(command)
    except ValueError as error:
        raise ValueError(f"not a command: {error}") from error
    return command
