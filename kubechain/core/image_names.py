"""Names of images, checked before a cluster is asked to pull one.

https://github.com/distribution/reference has the grammar.
"""

from __future__ import annotations

import re

PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
HOST = (
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
)
TAG, DIGEST = r"[\w][\w.-]{0,127}", r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
IMAGE = re.compile(rf"(?:{HOST}/)?{PART}(?:/{PART})*(?::{TAG})?(?:@{DIGEST})?", re.ASCII)
MIRROR = re.compile(rf"{HOST}(?:/{PART})*/?", re.ASCII)
ARCHITECTURE = re.compile(r"[a-z0-9]+", re.ASCII)
FORM = "expected an image such as registry.example.org/team/nginx:1.29, without blanks, capitals only in host and tag"


def image(name: str) -> str:
    """Return the name of an image, or ""; ValueError if it is no name of an image."""
    if name and not IMAGE.fullmatch(name):
        raise ValueError(FORM)
    return name


def architectures(names: str) -> str:
    """Return names of architectures separated by commas, without blanks, or ""; ValueError if one is none."""
    found = [name.strip() for name in names.split(",") if name.strip()]
    if not all(map(ARCHITECTURE.fullmatch, found)):
        raise ValueError("expected architectures as in the label kubernetes.io/arch, such as amd64,arm64")
    return ",".join(found)


def mirror(name: str) -> str:
    """Return the host and path of a registry, or ""; ValueError if it is none."""
    if name and not MIRROR.fullmatch(name):
        raise ValueError(
            "expected a registry such as registry.example.org/mirror, without a scheme, blanks or capitals in its path"
        )
    return name
