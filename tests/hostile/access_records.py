"""All ways to an API server, and what the document says of them."""

from __future__ import annotations

from tests.hostile import (
    access_certificates,
    access_contexts,
    access_credentials,
    access_environment,
    access_handshakes,
    access_kubeconfigs,
    access_plugins,
)
from tests.hostile.access_way import Way

MODULES = (
    access_certificates,
    access_handshakes,
    access_credentials,
    access_plugins,
    access_kubeconfigs,
    access_contexts,
    access_environment,
)
WAYS: tuple[Way, ...] = tuple(way for module in MODULES for way in module.WAYS)
HEAD = """## Ways to the API server

{count} kubeconfigs and environments that lead to a cluster which does nothing wrong, or lead nowhere. `kubechain doctor` goes
each way (a run, where it says so); its exit code is the one stated, it says why in one line, shows no secret, and leaves neither
temporary files nor processes. Where kubectl differs, the last column says so.

| way | what is special | exit code | kubectl |
|---|---|---|---|
"""


def section() -> str:
    """Return the section of the document about the ways."""
    return HEAD.format(count=len(WAYS)) + "".join(map(_row, WAYS))


def _row(way: Way) -> str:
    name = f"{way.id}{' *short*' if way.short else ''}{' (run)' if way.whole else ''}"
    connects = way.code == 0
    kubectl = "" if connects == way.kubectl else "connects" if way.kubectl else "does not connect"
    return f"| {name} | {way.text.replace('|', chr(92) + '|')} | {int(way.code)} | {kubectl} |\n"
