"""The trial of the suite under one fault: inject the fault, run the suite, heal the fault, check that a chain works again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kubechain.conditions import timeouts
from kubechain.conditions.condition import Condition, Result, met, unmet
from kubechain.core.errors import Blocked, HarnessError, Unmet
from kubechain.core.run_settings import processes_of_machine
from kubechain.faults.fault import Fault
from kubechain.faults.injections import StaticPod
from kubechain.faults.mutants.mutant import Switched
from kubechain.faults.records import Comparison, FaultSeconds, Score
from kubechain.faults.scoring import score, unreached
from kubechain.faults.testbed import SERVER, Testbed
from kubechain.faults.upstream import setup
from kubechain.faults.upstream.run import UpstreamTests
from kubechain.nested import suite_run
from kubechain.observe.clock import Clock

# Some faults of these kinds leave the cluster without a leading scheduler or controller manager for some seconds.
LEADERLESS = ("control plane", "harmless")


def run(testbed: Testbed, fault: Fault, upstream: UpstreamTests | None, clock: Clock) -> Score:
    """Inject a fault, run the suite (and upstream's tests) under it, heal it, check that a chain works; return the score.

    Raises:
        HarnessError: the fault does not take effect, or no chain works after it is healed.

    """
    start = clock.now()
    injected = start
    out = testbed.folder / "faults" / fault.id
    # What an earlier one broke for good must not count as noticed.
    if fault.at == "anywhere" and not (works := attempt(testbed.require_working_chain)).met:
        raise HarnessError(f"no chain works before fault {fault.id}: {works.got}")
    try:
        given = {"KUBECHAIN_LEVEL": "quick", "KUBECHAIN_ALSO": ",".join(fault.claims), **fault.given}
        if fault.ahead:
            inject(testbed, fault)
            injected = clock.now()
            record = suite_run.before_upgrade(testbed.folder, out, fault.claims)
        elif fault.kind == "upgrade":
            record = suite_run.rehearsal(testbed.folder, out, fault.upgrade_claims, lambda: inject(testbed, fault), clock)
        elif fault.midway:
            record = suite_run.disrupted(testbed.folder, out, given, fault.midway, lambda: inject(testbed, fault), clock)
        else:
            inject(testbed, fault)
            injected = clock.now()
            # As `kubechain run` tries the claims of a kind cluster.
            record = suite_run.verdict_of(testbed.folder, out, given, processes=processes_of_machine())
        ran = clock.now()
        reached = not isinstance(fault.injection, Switched) or fault.injection.reached(testbed)
        compared = compare(testbed, fault, upstream, out / "upstream", clock) if upstream else None
        began = clock.now()
    except Unmet as unmet:
        raise HarnessError(f"fault {fault.id} not injected: {unmet}") from unmet
    finally:
        left = heal(testbed, fault) or (tidy_or_why(testbed, fault) if upstream else "")
    if left:
        raise HarnessError(f"testbed not healed after fault {fault.id}: {left}")
    seconds = FaultSeconds(inject=injected - start, verdict=ran - injected, heal=clock.now() - began)
    scored = score(fault, record, seconds, compared)
    return scored if reached else unreached(scored)


def compare(testbed: Testbed, fault: Fault, upstream: UpstreamTests, folder: Path, clock: Clock) -> Comparison:
    """Run upstream's tests under a fault; for a mutant, say whether a program came to the changed code meanwhile."""
    if not isinstance(fault.injection, Switched):
        return upstream.under(fault, folder, clock)
    fault.injection.forget(testbed)
    compared = upstream.under(fault, folder, clock)
    return compared.model_copy(update={"code_reached": fault.injection.reached(testbed)})


def inject(testbed: Testbed, fault: Fault) -> None:
    """Inject a fault and wait until it is in effect, and the rest of the control plane works.

    Raises:
        Unmet: that does not happen in time.

    """
    fault.injection.inject(testbed)
    testbed.until(
        f"fault {fault.id}",
        Condition[Testbed](f"the fault ({fault.title}) to take effect", fault.injection.in_effect),
        timeouts.INJECTED,
    )
    if fault.kind == "control plane" and fault.at != "unreachable":
        testbed.require_leaders()
        if disrupts_api_server(fault):
            testbed.restart_clients()
            testbed.require_kubelets()


def heal(testbed: Testbed, fault: Fault) -> str:
    """Heal a fault and wait until a chain works; return "", or why none does.

    Healing goes through the API server, which may still be starting: every step is repeated until it succeeds.
    """
    healed = Condition[Testbed]("the injection to be reverted", lambda testbed: attempt(lambda: fault.injection.heal(testbed)))
    ended = Condition[Testbed]("the fault to end", lambda testbed: no_longer_in_effect(fault, testbed))
    restarted = Condition[Testbed]("programs to run again", lambda testbed: attempt(testbed.restart_ended))
    works = Condition[Testbed]("a new chain to work", lambda testbed: attempt(testbed.require_working_chain))
    try:
        testbed.until(f"fault {fault.id}", healed, timeouts.HEALED)
        testbed.until(f"fault {fault.id}", ended, timeouts.HEALED)
        if fault.at == "anywhere":
            testbed.until(f"fault {fault.id}", restarted, timeouts.HEALED)
        if fault.kind in LEADERLESS or disrupts_api_server(fault):
            testbed.require_leaders()
        if disrupts_api_server(fault):
            testbed.restart_clients()
            testbed.require_kubelets()
        # Each check creates and deletes a chain: checks in quick succession would overload the controllers.
        testbed.until(f"chain after {fault.id}", works, timeouts.HEALED, interval=3.0)
    except (HarnessError, Unmet) as error:
        return str(error)
    return ""


def disrupts_api_server(fault: Fault) -> bool:
    """Whether a fault stops or restarts the API server."""
    server = isinstance(fault.injection, StaticPod) and fault.injection.component == SERVER
    return server or (fault.kind == "control plane" and fault.at == "unreachable")


def tidy_or_why(testbed: Testbed, fault: Fault) -> str:
    """Delete the namespaces that upstream's tests leave; return "", or why they are still there."""
    try:
        setup.tidy(testbed, fault)
    except (HarnessError, Unmet) as error:
        return str(error)
    return ""


def no_longer_in_effect(fault: Fault, testbed: Testbed) -> Result:
    """Return whether a fault has ended; unmet while the cluster cannot be read."""
    if not fault.lasting:
        return met()
    try:
        effect = fault.injection.in_effect(testbed)
    except HarnessError as error:
        return unmet(str(error))
    return unmet("the fault still in effect") if effect.met else met()


def attempt(action: Callable[[], None]) -> Result:
    """Run an action that may not succeed yet; return whether it did."""
    try:
        action()
    except (HarnessError, Unmet, Blocked) as error:
        return unmet(str(error))
    return met()
