"""What must be true of an upgrade: how long each route may be down, and which versions may meet. Pure functions."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from kubechain.conditions.condition import Condition, Result, expect, met, undecided, unmet
from kubechain.conditions.text import some
from kubechain.core.errors import HarnessError
from kubechain.upgrade import outages
from kubechain.upgrade.allowances import allowed
from kubechain.upgrade.model import Allowance, Kind, RouteSamples, UpgradeRecord, Versions
from kubechain.upgrade.phases import After
from kubechain.upgrade.routes import spaced
from kubechain.upgrade.versions import minor

# For so long a path may be unknown before nothing can be said of it; longer where it is asked less often.
KNOWN_SECONDS = 2.0
# https://kubernetes.io/releases/version-skew-policy/
KUBELET_BEHIND = 3


def paths_of(record: UpgradeRecord, kind: Kind) -> list[RouteSamples]:
    """Return what was seen of each path of a kind.

    Raises:
        HarnessError: there is none.

    """
    found = [seen for seen in record.routes if seen.route.kind == kind]
    if not found:
        raise HarnessError(f"no {kind} was asked")
    return found


def require_known(record: UpgradeRecord, seen: RouteSamples) -> None:
    """HarnessError if nothing can be said of a path."""
    if unclear(record, seen):
        longest = longest_unknown(seen, record.began, record.ended)
        error = max((each.error for each in outages.outages(seen.tally)), default=0.0)
        known = f"no known sample for {longest:.1f} s, and its outages are known to +-{error:.1f} s"
        raise undecided(f"{seen.route.name} to be up", known)


def unclear(record: UpgradeRecord, seen: RouteSamples) -> bool:
    """Whether a path was unknown all the time, or for so long that it may have been away for longer than it may be."""
    if seen.tally.unknown == len(seen.tally.samples):
        return True
    bound, limit = known_seconds(record, seen), limit_of(record, seen).seconds
    found = outages.outages(seen.tally)
    unknown = [each for each in unknown_stretches(seen, record.began, record.ended) if each > bound]
    most = sum(each.seconds + each.error for each in found) + sum(unknown)
    return most > limit and (bool(unknown) or any(each.error > bound for each in found))


def known_seconds(record: UpgradeRecord, seen: RouteSamples) -> float:
    """Return for how long a path may be unknown: on many Nodes, the samplers in Pods ask less often (paths.plan)."""
    nodes = {each.route.place for each in record.routes} - {""}
    return spaced(KNOWN_SECONDS, len(nodes)) if seen.route.place else KNOWN_SECONDS


def longest_unknown(seen: RouteSamples, began: float, ended: float) -> float:
    """Return the longest time in seconds in which nothing is known of a path."""
    return max(unknown_stretches(seen, began, ended))


def unknown_stretches(seen: RouteSamples, began: float, ended: float) -> list[float]:
    """Return the times in seconds in which nothing is known of a path.

    What is unknown beside an outage widens its bounds instead. At the edges, a path that was not asked is not known.
    """
    taken = seen.tally.samples
    if not taken:
        return [ended - began]
    known = [(sample.sent, sample.state == "down") for sample in taken if sample.state != "unknown"]
    pairs = itertools.pairwise([(began, False), *known, (ended, False)])
    between = [later - earlier for (earlier, lost), (later, lost_too) in pairs if not (lost or lost_too)]
    return [taken[0].sent - began, ended - taken[-1].sent, *between]


def kept_up(kind: Kind) -> Condition[UpgradeRecord]:
    """No path of a kind was away for longer than it may be; where it may not be at all, no request was lost.

    What one path lost stands, whatever is not known of others: nothing is said of those only if none was away for too long.
    """

    def check(record: UpgradeRecord) -> Result:
        found = paths_of(record, kind)
        for seen in found:
            limit = limit_of(record, seen)
            lost = too_long_away(seen, limit)
            if lost:
                bound = f"at most {limit.seconds:g} s down" if limit.seconds else "no request lost"
                return unmet(lost, f"{bound} on {seen.route.name} ({limit.reason})")
        for seen in found:
            require_known(record, seen)
        return met()

    return Condition(f"every {kind} route to stay up as long as required", check)


def limit_of(record: UpgradeRecord, seen: RouteSamples) -> Allowance:
    """Return for how long a path may be away in all hops together, and why."""
    each = allowed(seen.route.kind, record.control_planes, reuse=seen.route.reuse)
    return Allowance(each.seconds * max(1, len(record.hops) - 1), each.reason)


def too_long_away(seen: RouteSamples, limit: Allowance) -> str:
    """Say what was lost of a path that was certainly down for too long, "" else; without an allowance any loss is."""
    seconds, error = outages.away(seen.tally)
    if not seen.tally.lost or (limit.seconds and seconds - error <= limit.seconds):
        return ""
    return f"{seen.tally}; down for {seconds:.1f} s (+-{error:.1f} s)"


def skew_allowed() -> Condition[UpgradeRecord]:
    """At no moment was a kubelet or kube-proxy newer than the API server, or more than KUBELET_BEHIND minors older."""

    def check(record: UpgradeRecord) -> Result:
        if not any(minor(each.server) >= 0 and each.kubelets for each in record.versions):
            raise HarnessError("no version of the API server was seen together with one of a kubelet")
        wrong = next((skew for each in record.versions if (skew := skewed(each))), "")
        return expect(not wrong, wrong)

    return Condition(f"kubelets and kube-proxies no newer than the API server and at most {KUBELET_BEHIND} minors older", check)


def skewed(versions: Versions) -> str:
    """Say which component is too new or too old for the API server, "" if none is."""
    server = minor(versions.server)
    for what, found in (("kubelet", versions.kubelets), ("kube-proxy", versions.proxies)):
        for node, version in found.items():
            behind = server - minor(version)
            if version and minor(version) >= 0 and server >= 0 and not 0 <= behind <= KUBELET_BEHIND:
                return f"{what} of {node} {version}, API server {versions.server}"
    return ""


def too_old(kubelets: Mapping[str, str], server: str) -> dict[str, str]:
    """Return the Nodes (name -> kubelet version) that an API server of that version would not support."""
    return {node: version for node, version in kubelets.items() if minor(server) - minor(version) > KUBELET_BEHIND}


def kubelets_as_wanted() -> Condition[After]:
    """The API server and every kubelet have the wanted version; where none was named, all are of one minor version."""

    def check(after: After) -> Result:
        if not after.kubelets:
            raise HarnessError("the cluster shows no Node")
        found = {"API server": after.server, **{f"kubelet of {node}": version for node, version in after.kubelets.items()}}
        if after.wanted:
            wrong = [f"{what} {version}" for what, version in found.items() if version != after.wanted]
            return expect(not wrong, some(wrong), f"API server and every kubelet at {after.wanted}")
        wrong = [f"{what} {version}" for what, version in found.items() if minor(version) != minor(after.server)]
        return expect(not wrong, some(wrong), f"every kubelet at the minor version of the API server, {after.server}")

    return Condition("API server and every kubelet at the wanted version", check)


def proxies_as_wanted() -> Condition[After]:
    """Every kube-proxy that runs as a Pod is of the API server's minor version."""

    def check(after: After) -> Result:
        wrong = [
            f"{version or 'no version'} on {node}"
            for node, version in after.proxies.items()
            if minor(version) != minor(after.server)
        ]
        return expect(not wrong, some(wrong), f"every kube-proxy at the minor version of the API server, {after.server}")

    return Condition("every kube-proxy at the minor version of the API server", check)
