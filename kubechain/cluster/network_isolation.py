"""Keeping the traffic of an engine that we started on this machine."""

from __future__ import annotations

import re

from kubechain.core.errors import ExitCode
from kubechain.core.process import check, run

COMMAND_SECONDS = 20.0
# Where nodes, Pods and Services live: a probe to one that is gone must not leave through the default gateway.
NETWORKS = ("172.16.0.0/12", "10.244.0.0/16", "10.96.0.0/16")
# Behind every real route, so that it only takes what nothing else does.
METRIC = "4000000000"


def uplink(routes: str) -> str | None:
    """Return the device of the default route, from the text of `ip route`; None if there is none."""
    found = re.search(r"^default .*\bdev (\S+)", routes, re.MULTILINE)
    return found[1] if found else None


def rules(device: str) -> list[tuple[str, str, list[str]]]:
    """Return (program, chain, rule) for each rule that keeps forwarded traffic from leaving by `device`."""
    rule = ["-o", device, "-j", "REJECT"]
    # Docker never touches what it finds in DOCKER-USER, which it passes first; for IPv6 it may not make that chain.
    return [("iptables", "DOCKER-USER", rule), ("ip6tables", "FORWARD", rule)]


def apply() -> None:
    """Reject forwarding out of the machine and make the cluster's networks unreachable but for real routes."""
    for network in NETWORKS:
        _check(["ip", "route", "replace", "unreachable", network, "metric", METRIC])
    for program, chain, rule in _rules():
        run([program, "-N", chain], timeout=COMMAND_SECONDS)
        if run([program, "-C", chain, *rule], timeout=COMMAND_SECONDS).status != 0:
            _check([program, "-I", chain, *rule])


def remove() -> None:
    """Take back what `apply` did."""
    for network in NETWORKS:
        run(["ip", "route", "del", "unreachable", network, "metric", METRIC], timeout=COMMAND_SECONDS)
    for program, chain, rule in _rules():
        run([program, "-D", chain, *rule], timeout=COMMAND_SECONDS)


def _rules() -> list[tuple[str, str, list[str]]]:
    device = uplink(_check(["ip", "route"]))
    return rules(device) if device else []


def _check(command: list[str]) -> str:
    return check(command, timeout=COMMAND_SECONDS, code=ExitCode.ENGINE, doing=f"keeping traffic here ({command[0]})")
