"""Ids in options."""

from __future__ import annotations


def ids(text: str) -> frozenset[str]:
    """Return the ids of a list that commas separate; blanks around them do not count."""
    return frozenset(filter(None, map(str.strip, text.split(","))))
