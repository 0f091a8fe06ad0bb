"""The suite under one fault: the fault injected, the suite run, the fault healed, the chain seen whole again."""

from __future__ import annotations

from collections.abc import Callable

from kubechain.conditions import timeouts
from kubechain.conditions.condition import Condition, Result, met, unmet
from kubechain.core.errors import Blocked, HarnessError, Unmet
from kubechain.faults.fault import Fault
from kubechain.faults.injections import StaticPod
from kubechain.faults.records import FaultSeconds, Score
from kubechain.faults.scoring import score
from kubechain.faults.testbed import SERVER, Testbed
from kubechain.faults.upstream import setup
from kubechain.faults.upstream.run import UpstreamTests
from kubechain.nested import suite_run
from kubechain.observe.clock import Clock

# Kinds of which some faults leave the cluster without leaders for a while.
LEADERLESS = ("control plane", "harmless")


def run(lab: Testbed, fault: Fault, upstream: UpstreamTests | None, clock: Clock) -> Score:
    """Inject a fault, run the suite (and upstream's tests) under it, heal it, see the chain whole again; return the score.

    Raises:
        HarnessError: the fault did not take, or the chain is not whole afterwards.

    """
    start = clock.now()
    injected = start
    out = lab.folder / "faults" / fault.id
    try:
        if fault.kind == "upgrade":
            found = suite_run.rehearsal(lab.folder, out, fault.selected, lambda: inject(lab, fault), clock)
        else:
            inject(lab, fault)
            injected = clock.now()
            found = suite_run.verdict_of(lab.folder, out, fault.selected, fault.patience)
        ran = clock.now()
        compared = upstream.under(fault, out / "upstream", clock) if upstream else None
        began = clock.now()
    except Unmet as unmet:
        raise HarnessError(f"the fault did not take: {unmet}") from unmet
    finally:
        left = heal(lab, fault) or (tidied(lab, fault) if upstream else "")
    if left:
        raise HarnessError(f"the chain is not whole after {fault.id}: {left}")
    seconds = FaultSeconds(inject=injected - start, verdict=ran - injected, heal=clock.now() - began)
    return score(fault, found, seconds, compared)


def inject(lab: Testbed, fault: Fault) -> None:
    """Inject a fault and wait until it is seen to have taken, and nothing else has; Unmet if it does not."""
    fault.injection.inject(lab)
    lab.until(f"fault {fault.id}", Condition[Testbed](fault.title, fault.injection.took), timeouts.INJECTED)
    if fault.kind == "control plane" and fault.at != "unreachable":
        lab.require_led()
        if takes_api_away(fault):
            lab.restart_clients()
        lab.require_kubelets()


def heal(lab: Testbed, fault: Fault) -> str:
    """Heal a fault and wait until the chain is whole; return "" or why it is not.

    What mends the cluster goes through the API, which may itself be on its way back.
    """
    mending = Condition[Testbed]("mended", lambda lab: attempt(lambda: fault.injection.heal(lab)))
    gone = Condition[Testbed]("gone", lambda lab: has_gone(fault, lab))
    whole = Condition[Testbed]("whole", lambda lab: attempt(lab.require_whole))
    try:
        lab.until(f"fault {fault.id}", mending, timeouts.HEALED)
        lab.until(f"fault {fault.id}", gone, timeouts.HEALED)
        if fault.kind in LEADERLESS or takes_api_away(fault):
            lab.require_led()
        if takes_api_away(fault):
            lab.restart_clients()
        # Each look makes a chain and deletes it: too many would keep the controllers from anything else.
        lab.until(f"chain after {fault.id}", whole, timeouts.HEALED, interval=3.0)
    except (HarnessError, Unmet) as error:
        return str(error)
    return ""


def takes_api_away(fault: Fault) -> bool:
    """Whether the API server was away under a fault, or was restarted by it."""
    server = isinstance(fault.injection, StaticPod) and fault.injection.component == SERVER
    return server or fault.at == "unreachable"


def tidied(lab: Testbed, fault: Fault) -> str:
    """Remove what upstream's tests have left; return "" or why that is not possible."""
    try:
        setup.tidy(lab, fault)
    except (HarnessError, Unmet) as error:
        return str(error)
    return ""


def has_gone(fault: Fault, lab: Testbed) -> Result:
    """Say whether nothing is left of a fault; where the cluster cannot be asked yet, something is."""
    if not fault.lasting:
        return met()
    try:
        left = fault.injection.took(lab)
    except HarnessError as error:
        return unmet(str(error))
    return unmet("it is still there") if left.met else met()


def attempt(what: Callable[[], None]) -> Result:
    """Do something that may not work yet, and say whether it did."""
    try:
        what()
    except (HarnessError, Unmet, Blocked) as error:
        return unmet(str(error))
    return met()
