"""The faults that are injected on the terrains: three on each, of different links, which the suite must find there, too."""

from __future__ import annotations

import re

from kubechain.core.errors import ExitCode
from kubechain.faults.catalogue import selection
from kubechain.faults.fault import Fault
from tests.terrains.catalogue import TERRAINS
from tests.terrains.terrain import Ended, Terrain, Unfit

COUNT = 3
# They take effect and end within seconds, by the API or on the Nodes; no component is restarted.
IDS = (
    "target-port-changed",
    "endpointslice-rights-lost",
    "dns-gone",
    "never-ready",
    "proxies-frozen",
    "replica-set-stuck",
    "deployment-status-rights-lost",
    "node-port-dropped",
    "variable-wrong",
    "selector-changed",
    "replicaset-status-rights-lost",
    "api-proxy-dropped",
    "crash-loop",
    "foreign-address",
)
_BY_ID = {fault.id: fault for fault in selection.ALL}
FAULTS = tuple(_BY_ID[each] for each in IDS)
# On these terrains the chain must hold, so that a fault can be seen.
HEALTHY = tuple(terrain for terrain in TERRAINS if terrain.code == ExitCode.HOLDS)


def unfit(terrain: Terrain, fault: Fault) -> str:
    """Return why a fault does not fit a terrain, "" if it does."""
    for each in terrain.unfit:
        if fault.id in each.faults:
            return each.why
    skipped = {claim for skip in terrain.skips for claim in skip.claims}
    return f"{', '.join(fault.claims)} skipped" if set(fault.claims) <= skipped else ""


def chosen(terrain: Terrain) -> tuple[Fault, ...]:
    """Return the faults of a terrain, each of another link; each terrain begins where the one before it has ended."""
    if terrain not in HEALTHY:
        return ()
    start = COUNT * HEALTHY.index(terrain) % len(FAULTS)
    fitting = [fault for fault in (*FAULTS[start:], *FAULTS[:start]) if not unfit(terrain, fault)]
    of_links = {fault.at: fault for fault in reversed(fitting)}
    return tuple(fault for fault in fitting if of_links[fault.at] is fault)[:COUNT]


def problems(fault: Fault, ended: Ended, seconds: float) -> list[str]:
    """Return what is wrong with the end of a run under a fault, which must be found within `seconds`."""
    found: list[str] = []
    if ended.code != ExitCode.CHAIN_BROKEN or ended.link != fault.at:
        said = f"{ended.link or 'no link'} (exit code {ended.code}): {ended.verdict}"
        found.append(f"expected {fault.at} to be called broken, got {said}")
    elif not re.search(fault.symptom, ended.verdict):
        found.append(f"expected {fault.symptom!r} in the verdict, got {ended.verdict}")
    if ended.seconds > seconds:
        found.append(f"expected a verdict within {seconds:.0f} s, got it after {ended.seconds:.1f} s")
    return found


def differing(fast: Ended, whole: Ended) -> list[str]:
    """Return what is wrong if a run with --fail-fast names another link than one without."""
    if fast.link == whole.link:
        return []
    without = f"{whole.link or 'no link'}: {whole.verdict}"
    return [f"expected the same link with and without --fail-fast, got {fast.link or 'no link'} and {without}"]


def left_out() -> list[tuple[Terrain, Unfit]]:
    """Return the faults that do not fit, by the records of the terrains."""
    return [(terrain, each) for terrain in HEALTHY for each in terrain.unfit]
