"""Proxies of the environment."""

from __future__ import annotations

from collections.abc import MutableMapping

LOOPBACK = ("127.0.0.1", "localhost", "::1")
PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def spare_loopback(environment: MutableMapping[str, str]) -> None:
    """Add loopback to NO_PROXY if there is a proxy, as client-go does, for this process and the programs that it starts."""
    if not any(name.lower() in PROXIES and value for name, value in environment.items()):
        return
    # Programs differ in which spelling they read; Go and Python prefer different ones.
    for name in ("NO_PROXY", "no_proxy"):
        known = [word.strip() for word in (environment.get(name) or environment.get(name.swapcase(), "")).split(",")]
        environment[name] = ",".join(filter(None, [*known, *(host for host in LOOPBACK if host not in known)]))
