"""All faults, and the short form: one of each kind."""

from __future__ import annotations

from kubechain.faults.catalogue import admission, control_plane, dns, harmless, nodes, upgrade
from kubechain.faults.fault import Fault

ALL: tuple[Fault, ...] = (
    *control_plane.FAULTS,
    *admission.FAULTS,
    *nodes.FAULTS,
    *dns.FAULTS,
    *upgrade.FAULTS,
    *harmless.FAULTS,
)
SHORT = (
    "endpointslice-rights-lost",
    "selector-changed",
    "workers-cordoned",
    "hairpin-broken",
    "dns-wrong-address",
    "page-wrong",
    "upgrade-dns-away",
    "labels-added",
)


def chosen(*, short: bool, only: frozenset[str]) -> list[Fault]:
    """Return the faults of a run: those of `only` if there are any, else the short form, else all.

    Raises:
        ValueError: `only` names one that does not exist.

    """
    unknown = only - {fault.id for fault in ALL}
    if unknown:
        raise ValueError(f"no such fault: {', '.join(sorted(unknown))}")
    return [fault for fault in ALL if (fault.id in only if only else not short or fault.id in SHORT)]
