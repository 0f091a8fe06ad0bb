"""Network isolation of an engine that kubechain started: no traffic of its containers leaves this machine."""

from __future__ import annotations

import re

from kubechain.core.errors import ExitCode
from kubechain.core.process import check, run

COMMAND_SECONDS = 20.0
# Networks of nodes, Pods and Services: a probe to a deleted address must not leave through the default gateway.
NETWORKS = ("172.16.0.0/12", "10.244.0.0/16", "10.96.0.0/16")
# The lowest priority: every real route precedes the unreachable route.
METRIC = "4000000000"


def uplink(routes: str) -> str | None:
    """Return the device of the default route, from the text of `ip route`; None if there is none."""
    match = re.search(r"^default .*\bdev (\S+)", routes, re.MULTILINE)
    return match[1] if match else None


def rules(device: str) -> list[tuple[str, str, list[str]]]:
    """Return (program, chain, rule) of each rule that rejects forwarded traffic to `device`."""
    rule = ["-o", device, "-j", "REJECT"]
    # Docker evaluates DOCKER-USER first and never changes its rules; for IPv6 it may not create that chain.
    return [("iptables", "DOCKER-USER", rule), ("ip6tables", "FORWARD", rule)]


def apply() -> None:
    """Reject traffic that is forwarded out of the machine; add unreachable routes to the networks of clusters."""
    for network in NETWORKS:
        _check(["ip", "route", "replace", "unreachable", network, "metric", METRIC])
    for program, chain, rule in _rules():
        run([program, "-N", chain], timeout=COMMAND_SECONDS)
        if run([program, "-C", chain, *rule], timeout=COMMAND_SECONDS).status != 0:
            _check([program, "-I", chain, *rule])


def remove() -> None:
    """Remove the rules and routes of `apply`; ignore those that are missing."""
    for network in NETWORKS:
        run(["ip", "route", "del", "unreachable", network, "metric", METRIC], timeout=COMMAND_SECONDS)
    for program, chain, rule in _rules():
        run([program, "-D", chain, *rule], timeout=COMMAND_SECONDS)


def _rules() -> list[tuple[str, str, list[str]]]:
    device = uplink(_check(["ip", "route"]))
    return rules(device) if device else []


def _check(command: list[str]) -> str:
    return check(command, timeout=COMMAND_SECONDS, code=ExitCode.ENGINE, doing=f"network isolation ({' '.join(command[:3])})")
