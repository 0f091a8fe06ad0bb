"""All faults and mutants, and which of them a run tries."""

from __future__ import annotations

from kubechain.core.near_misses import IDS, suggestion
from kubechain.faults.catalogue import (
    admission,
    control_plane,
    dns,
    harmless,
    in_passing,
    midway,
    nodes,
    obstacles,
    partly,
    status,
    upgrade,
    upgrade_events,
    witnesses,
)
from kubechain.faults.fault import Fault
from kubechain.faults.mutants import catalogue, covering
from kubechain.faults.mutants import drawn as by_rule

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
    *witnesses.FAULTS,
    *obstacles.FAULTS,
    *upgrade_events.FAULTS,
    *harmless.FAULTS,
)
MUTANTS: tuple[Fault, ...] = tuple(mutant.fault for mutant in catalogue.ALL)


DRAWN: tuple[Fault, ...] = tuple(mutant.fault for mutant in by_rule.ALL)


def chosen(
    *, short: bool, only: frozenset[str], mutants: bool = False, dual: bool = False, drawn: bool = False, cover: bool = False
) -> list[Fault]:
    """Return the faults of a run: those with an id in `only`; if it is empty all, or with `short` the short form.

    With `mutants` they are the mutants, or with `drawn` those that are drawn by rule, or with `cover` what notes the functions
    from which they are drawn. Those for two IP families are left out unless `dual`: the cluster has IPv4 and IPv6.

    Raises:
        ValueError: `only` has an id that none of them has, or that of one which is left out; or there are none to choose from.

    """
    if (drawn or cover) and not mutants:
        raise ValueError("--drawn and --cover are about mutants: add --mutants")
    if drawn and not DRAWN:
        raise ValueError("no mutants are drawn yet: run `make draw`")
    known = (covering.FAULT,) if cover else DRAWN if drawn else MUTANTS if mutants else ALL
    unknown = only - {fault.id for fault in known}
    if unknown:
        hint = suggestion(min(unknown), (fault.id for fault in known), IDS)
        raise ValueError(f"no such {'mutant' if mutants else 'fault'}: {', '.join(sorted(unknown))}{hint}")
    left_out = [fault.id for fault in known if fault.id in only and fault.dual and not dual]
    if left_out:
        raise ValueError(f"needs a cluster with two IP families (--ip-family=dual): {', '.join(left_out)}")
    return [fault for fault in known if (fault.id in only if only else fault.short or not short) and (dual or not fault.dual)]
