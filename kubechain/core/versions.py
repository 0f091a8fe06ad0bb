"""Read versions from the output of programs and servers."""

from __future__ import annotations

import re

from packaging.version import Version

# Providers append suffixes that packaging.version does not accept: "v1.34.4-gke.100".
RELEASE = re.compile(r"\d+(?:\.\d+)+")


def find(text: str) -> Version | None:
    """Return the first version in a text, 1.26.8 for "go version go1.26.8 linux/amd64"; None if there is no version."""
    match = RELEASE.search(text)
    return Version(match[0]) if match else None


def minor(version: str) -> int:
    """Return the minor version of a Kubernetes version, 37 for "v1.37.2"; -1 if the text has no version."""
    release = find(version)
    return release.minor if release else -1
