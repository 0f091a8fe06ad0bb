"""The names of kind clusters, checked before one becomes the name of a lock file and of containers.

https://github.com/kubernetes-sigs/kind has the grammar; a Node with the name and "-control-plane2" has at most 63 characters.
"""

from __future__ import annotations

import re

NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,46}[a-z0-9])?", re.ASCII)


def cluster_name(name: str) -> str:
    """Return the name of a kind cluster, or ""; ValueError if no kind cluster can have it."""
    if name and not NAME.fullmatch(name):
        raise ValueError("expected the name of a kind cluster: lower case letters, digits, - and ., at most 48")
    return name
