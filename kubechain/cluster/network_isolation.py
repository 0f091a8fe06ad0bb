"""Network isolation of an engine that kubechain started: no traffic of its containers leaves this machine.

A record on disk holds the commands that undo it. A command is recorded before its change is made, and only if the change was
not there already, so that exactly what was changed is undone, also by another process, and also if the engine has died.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kubechain.core.errors import ExitCode
from kubechain.core.process import check, run

COMMAND_SECONDS = 20.0
# Networks of nodes, Pods and Services: a probe to a deleted address must not leave through the default gateway.
NETWORKS = ("172.16.0.0/12", "10.244.0.0/16", "10.96.0.0/16")
# The first is the one that kind gives its network of nodes, unless another network has it.
IPV6_NETWORKS = ("fc00:f853:ccd:e793::/64", "fd00:10:244::/56", "fd00:10:96::/112")
# The lowest priority: every real route precedes the unreachable route.
METRIC = "4000000000"
# The bridges of Docker's networks. What comes from them may go nowhere else, whichever default route, VPN or local network that
# is, also a later one.
BRIDGES = ("br-+", "docker0")
CHAIN = "DOCKER-USER"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
IPV6 = Path("/proc/sys/net/ipv6")


@dataclass(frozen=True)
class Change:
    """A route or rule: `find` prints something or succeeds if it is there, `make` adds it, `undo` removes it."""

    find: tuple[str, ...]
    make: tuple[str, ...]
    undo: tuple[str, ...]

    def is_there(self) -> bool:
        """Whether the route or rule exists."""
        done = run(self.find, timeout=COMMAND_SECONDS)
        return done.status == 0 and (self.find[0] != "ip" or bool(done.stdout.strip()))


def changes() -> list[Change]:
    """Return the routes and rules of the isolation."""
    # Docker evaluates DOCKER-USER first and never changes its rules.
    chains = [("iptables", CHAIN), *([("ip6tables", _chain_of_ipv6())] if IPV6.is_dir() else [])]
    networks = [*NETWORKS, *(IPV6_NETWORKS if IPV6.is_dir() else ())]
    return [*map(_route, networks), *(_rule(*chain, bridge) for chain in chains for bridge in BRIDGES)]


def apply(record: Path) -> None:
    """Reject traffic that is forwarded out of the networks of the engine; add unreachable routes to the networks of clusters.

    Raises:
        SetupError: a command fails (exit code ENGINE); what was changed before is in the record.

    """
    run(["iptables", "-w", "-N", CHAIN], timeout=COMMAND_SECONDS)
    undo = _recorded(record)
    for change in changes():
        if not change.is_there():
            undo.append(list(change.undo))
            record.write_text(json.dumps({"boot": _boot(), "undo": undo}, indent=2), encoding="utf-8")
            doing = f"network isolation ({' '.join(change.make[:4])})"
            check(change.make, timeout=COMMAND_SECONDS, code=ExitCode.ENGINE, doing=doing)


def undo(record: Path) -> None:
    """Undo what the record says, ignore what is gone already, and remove the record.

    After a restart of the machine nothing is left of the changes, so that only the record is removed.
    """
    for command in reversed(_recorded(record)):
        run(command, timeout=COMMAND_SECONDS)
    record.unlink(missing_ok=True)


def adopt_earlier(record: Path) -> None:
    """Write a record of what earlier versions changed, which kept none: the same routes, and a rule for one device."""
    found = re.search(r"^default .*\bdev (\S+)", run(["ip", "route"], timeout=COMMAND_SECONDS).stdout, re.MULTILINE)
    rule = ["-o", found[1], "-j", "REJECT"] if found else []
    rules = [["iptables", "-w", "-D", CHAIN, *rule], ["ip6tables", "-w", "-D", "FORWARD", *rule]] if rule else []
    commands = [*(list(_route(network).undo) for network in NETWORKS), *rules]
    record.write_text(json.dumps({"boot": _boot(), "undo": commands}, indent=2), encoding="utf-8")


def _route(network: str) -> Change:
    words = ("unreachable", network, "metric", METRIC)
    found = ("route", "show", "type", "unreachable", "exact", network, "metric", METRIC)
    # Without -6, `ip route show` shows no route of IPv6.
    program = ("ip", "-6") if ":" in network else ("ip",)
    return Change((*program, *found), (*program, "route", "add", *words), (*program, "route", "del", *words))


def _rule(program: str, chain: str, bridge: str) -> Change:
    rule = ("-i", bridge, "!", "-o", bridge, "-j", "REJECT")
    find, make, undo = ((program, "-w", option, chain, *rule) for option in ("-C", "-I", "-D"))
    return Change(find, make, undo)


def _chain_of_ipv6() -> str:
    """Return DOCKER-USER if Docker manages the firewall of IPv6, whose rules precede those of FORWARD, else FORWARD."""
    managed = run(["ip6tables", "-w", "-n", "-L", CHAIN], timeout=COMMAND_SECONDS).status == 0
    return CHAIN if managed else "FORWARD"


def _recorded(record: Path) -> list[Sequence[str]]:
    """Return the commands of a record of this boot, [] if there is none."""
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return content["undo"] if content["boot"] == _boot() else []


def _boot() -> str:
    return BOOT_ID.read_text(encoding="utf-8").strip()
