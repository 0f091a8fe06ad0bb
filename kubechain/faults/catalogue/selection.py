"""All faults, and which of them a run tries."""

from __future__ import annotations

from kubechain.faults.catalogue import admission, control_plane, dns, harmless, in_passing, midway, nodes, partly, status, upgrade
from kubechain.faults.fault import Fault

ALL: tuple[Fault, ...] = (
    *control_plane.FAULTS,
    *admission.FAULTS,
    *nodes.FAULTS,
    *dns.FAULTS,
    *in_passing.FAULTS,
    *status.FAULTS,
    *partly.FAULTS,
    *midway.FAULTS,
    *upgrade.FAULTS,
    *harmless.FAULTS,
)


def chosen(*, short: bool, only: frozenset[str]) -> list[Fault]:
    """Return the faults of a run: those with an id in `only`; if it is empty all, or with `short` the short form.

    Raises:
        ValueError: `only` has an id that no fault has.

    """
    unknown = only - {fault.id for fault in ALL}
    if unknown:
        raise ValueError(f"no such fault: {', '.join(sorted(unknown))}")
    return [fault for fault in ALL if (fault.id in only if only else fault.short or not short)]
