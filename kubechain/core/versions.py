"""Versions in the texts by which programs and servers name them."""

from __future__ import annotations

import re

from packaging.version import Version

# Providers and builds put what they like behind it, which is often no version of Python: "v1.34.4-gke.100".
RELEASE = re.compile(r"\d+(?:\.\d+)+")


def find(text: str) -> Version | None:
    """Return the first release in a text, 1.26.8 for "go version go1.26.8 linux/amd64"; None if there is none."""
    found = RELEASE.search(text)
    return Version(found[0]) if found else None


def minor(version: str) -> int:
    """Return the minor version of a Kubernetes version, 37 for "v1.37.2"; -1 if there is none to be read."""
    found = find(version)
    return found.minor if found else -1
