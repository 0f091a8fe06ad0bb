"""Conditions of an upgrade: how long a route may be down, and which versions may run together. Pure functions."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from kubechain.conditions.condition import Condition, Result, expect, met, undecided, unmet
from kubechain.conditions.target_version import KUBELET_BEHIND
from kubechain.conditions.text import some
from kubechain.core.errors import HarnessError
from kubechain.probes.load import Tally
from kubechain.upgrade import outages
from kubechain.upgrade.allowances import allowed
from kubechain.upgrade.model import Allowance, Kind, RouteSamples, UpgradeRecord, Versions
from kubechain.upgrade.phases import After
from kubechain.upgrade.routes import scaled
from kubechain.upgrade.versions import minor

# How long the state of a route may be unknown before its claim is undecided; scaled for routes with a longer interval.
KNOWN_SECONDS = 2.0
# A Node that dies with the Pod from which others are asked is known to be lost after about a minute; another Pod asks then.
MOST_UNASKED_SECONDS = 120.0


def routes_of(record: UpgradeRecord, kind: Kind) -> list[RouteSamples]:
    """Return the samples of each route of a kind.

    Raises:
        HarnessError: no route of this kind was sampled.

    """
    routes = [samples for samples in record.routes if samples.route.kind == kind]
    if not routes:
        raise HarnessError(f"no {kind} route was sampled")
    return routes


def require_known(record: UpgradeRecord, samples: RouteSamples) -> None:
    """Raise HarnessError if the samples cannot show whether a change took a route down for too long."""
    if not samples.answered:
        raise undecided(f"{samples.route.name} to answer before the change", f"no answer then; later {samples.tally}")
    if undecidable(record, samples):
        longest = longest_unknown(samples, record.began, record.ended)
        error = max((outage.error for outage in outages.outages(*samples.parts)), default=0.0)
        known = f"no known sample for {longest:.1f} s, and its outages are known to +-{error:.1f} s"
        raise undecided(f"{samples.route.name} to be up", known)


def require_asked(record: UpgradeRecord, routes: Sequence[RouteSamples]) -> None:
    """Raise HarnessError if nobody asked the nodePort of a Node for too long while it served.

    Where Pods alone reach the Nodes, one of them asks for all; its routes end with its own Node, and another Pod goes on.
    """
    asked: dict[str, list[tuple[float, float]]] = {}
    for samples in routes:
        asked.setdefault(samples.route.nodes[0] if samples.route.nodes else "", []).extend([*samples.windows, *samples.unseen])
    for span in record.nodes:
        last, longest = span.start, 0.0
        for start, end in [*sorted(asked.get(span.uid, [(span.start, span.end)])), (span.end, span.end)]:
            longest = max(longest, min(start, span.end) - last)
            last = max(last, end)
        if longest > MOST_UNASKED_SECONDS:
            raise undecided(f"the nodePort of {span.name} to be asked while it serves", f"not asked for {longest:.0f} s")


def undecidable(record: UpgradeRecord, samples: RouteSamples) -> bool:
    """Return whether the samples cannot show whether a change took a route down for too long.

    The route did not answer before, all samples are unknown, or they are for so long that it may have been down for too long.
    """
    if not samples.answered or samples.tally.unknown == samples.tally.requests:
        return True
    bound, limit = known_seconds(record, samples), limit_of(record, samples).seconds
    found = outages.outages(*samples.parts)
    unknown = [seconds for seconds in unknown_times(samples, record.began, record.ended) if seconds > bound]
    most = sum(outage.seconds + outage.error for outage in found) + sum(unknown)
    return most > limit and (bool(unknown) or any(outage.error > bound for outage in found))


def known_seconds(record: UpgradeRecord, samples: RouteSamples) -> float:
    """Return for how many seconds a route may be unknown: with many Nodes, the samplers in Pods send less often (routes.plan)."""
    nodes = {each.route.place for each in record.routes} - {""}
    return scaled(KNOWN_SECONDS, len(nodes)) if samples.route.place else KNOWN_SECONDS


def longest_unknown(samples: RouteSamples, began: float, ended: float) -> float:
    """Return the longest time in seconds without a known state of a route."""
    return max(unknown_times(samples, began, ended))


def unknown_times(samples: RouteSamples, began: float, ended: float) -> list[float]:
    """Return the durations in seconds without a known state of a route, also before its first and after its last sample.

    A duration next to an outage is left out, because it is part of the outage's error bound.
    """
    windows = samples.windows or ((began, ended),)
    return [
        seconds for (start, end), part in zip(windows, samples.parts, strict=True) for seconds in _unknown_times(part, start, end)
    ]


def _unknown_times(part: Tally, began: float, ended: float) -> list[float]:
    taken = part.samples
    if not taken:
        return [ended - began]
    known = [(sample.sent, sample.state == "down") for sample in taken if sample.state != "unknown"]
    pairs = itertools.pairwise([(began, False), *known, (ended, False)])
    between = [later - earlier for (earlier, lost), (later, lost_too) in pairs if not (lost or lost_too)]
    return [taken[0].sent - began, ended - taken[-1].sent, *between]


def kept_up(kind: Kind) -> Condition[UpgradeRecord]:
    """No route of a kind was down for longer than allowed; where nothing is allowed, no request was lost.

    A route that was down for too long makes the condition unmet, even if other routes are undecidable.
    """

    def check(record: UpgradeRecord) -> Result:
        routes = routes_of(record, kind)
        for samples in routes:
            limit = limit_of(record, samples)
            lost = excess(samples, limit)
            if lost:
                bound = f"at most {limit.seconds:g} s down" if limit.seconds else "no request lost"
                return unmet(lost, f"{bound} on {samples.route.name} ({limit.reason})")
        for samples in routes:
            require_known(record, samples)
        if kind == "NodePort":
            require_asked(record, routes)
        return met()

    return Condition(f"every {kind} route to stay up as long as required", check)


def limit_of(record: UpgradeRecord, samples: RouteSamples) -> Allowance:
    """Return the allowance of a route for all hops together."""
    if samples.route.kind == "URL":
        return Allowance(record.ask_allowance, "the setting --ask-allowance")
    per_hop = allowed(samples.route.kind, record.control_planes, reuse=samples.route.reuse)
    return Allowance(per_hop.seconds * max(1, len(record.hops) - 1), per_hop.reason)


def excess(samples: RouteSamples, limit: Allowance) -> str:
    """Return what a route lost if a change certainly took it down longer than allowed, else "".

    Without an allowance any loss counts; of a route that did not answer before the change, none does.
    """
    if not samples.answered:
        return ""
    seconds, error = outages.downtime(*samples.parts)
    if not samples.tally.lost or (limit.seconds and seconds - error <= limit.seconds):
        return ""
    return f"{samples.tally}; down for {seconds:.1f} s (+-{error:.1f} s)"


def skew_allowed() -> Condition[UpgradeRecord]:
    """At no time was a kubelet or kube-proxy newer than the API server, or more than KUBELET_BEHIND minor versions older."""

    def check(record: UpgradeRecord) -> Result:
        if not any(minor(each.server) >= 0 and each.kubelets for each in record.versions):
            raise HarnessError("no version of the API server is known together with one of a kubelet")
        wrong = next((skew for each in record.versions if (skew := skewed(each))), "")
        return expect(not wrong, wrong)

    return Condition(f"kubelets and kube-proxies no newer than the API server and at most {KUBELET_BEHIND} minors older", check)


def skewed(versions: Versions) -> str:
    """Return the first component that is too new or too old for the API server, "" if there is none."""
    server = minor(versions.server)
    for component, by_node in (("kubelet", versions.kubelets), ("kube-proxy", versions.proxies)):
        for node, version in by_node.items():
            behind = server - minor(version)
            if version and minor(version) >= 0 and server >= 0 and not 0 <= behind <= KUBELET_BEHIND:
                return f"{component} of {node} {version}, API server {versions.server}"
    return ""


def kubelets_as_wanted() -> Condition[After]:
    """The API server and every kubelet have the wanted version; if it is unknown, all have the same minor version."""

    def check(after: After) -> Result:
        if not after.kubelets:
            raise HarnessError("the cluster shows no Node")
        versions = {"API server": after.server, **{f"kubelet of {node}": version for node, version in after.kubelets.items()}}
        if after.wanted:
            wrong = [f"{what} {version}" for what, version in versions.items() if version != after.wanted]
            return expect(not wrong, some(wrong), f"API server and every kubelet at {after.wanted}")
        wrong = [f"{what} {version}" for what, version in versions.items() if minor(version) != minor(after.server)]
        return expect(not wrong, some(wrong), f"every kubelet at the minor version of the API server, {after.server}")

    return Condition("API server and every kubelet at the wanted version", check)


def nodes_ready() -> Condition[After]:
    """Every Node is Ready, but those that were not before."""
    return Condition(
        "every Node that was Ready before, or is new, to be Ready",
        lambda after: expect(not after.unready, f"{some(after.unready)} not Ready"),
    )


def proxies_as_wanted() -> Condition[After]:
    """Every kube-proxy that runs as a Pod has the minor version of the API server."""

    def check(after: After) -> Result:
        wrong = [
            f"{version or 'no version'} on {node}"
            for node, version in after.proxies.items()
            if minor(version) != minor(after.server)
        ]
        return expect(not wrong, some(wrong), f"every kube-proxy at the minor version of the API server, {after.server}")

    return Condition("every kube-proxy at the minor version of the API server", check)
