"""The names of namespaces, checked before one becomes part of a path of the API."""

from __future__ import annotations

import re

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


def namespace_name(name: str) -> str:
    """Return the name of a namespace, or ""; ValueError if no namespace can have it."""
    if name and not NAME.fullmatch(name):
        raise ValueError("expected the name of a namespace: lower case letters, digits and -, at most 63")
    return name
