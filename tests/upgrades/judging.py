"""Whether a run says of its upgrade what was done: each loss on its path, for its seconds, and no other. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kubechain.claims.claim import Outcome
from kubechain.claims.records import RunRecord
from kubechain.upgrade.documents import OutageRecord, RouteRecord, UpgradeDocument
from tests.upgrades.records import JudgedLoss, Loss, UpgradeRun

TOLERANCE = 0.2
# A request on a kept connection that is sent in the last 0.9 s of a loss may be answered in time after it.
KEPT_TOLERANCE = 0.9 + TOLERANCE
# An outage begins with a sample, and ends with one: within the interval of its route, and of a busy machine.
MARGIN = 1.0
LEAST_SAMPLES = 5000
DATA_PLANE = ("NodePort", "ClusterIP", "DNS")
DOWN = re.compile(r"down for ([\d.]+) s")


def judged(number: int, way: str, document: UpgradeDocument, run: RunRecord, losses: Sequence[Loss]) -> UpgradeRun:
    """Return the record of an upgrade: what the run says in `document` and `run`, against the losses that were made."""
    made = [judged_loss(loss, document, run) for loss in losses]
    others = strays(document, losses)
    problems = [f"{route.name}: {outage.lost} lost at {outage.start:.1f} s without a loss" for route, outage in others]
    expected = {loss.claim for loss in losses}
    problems += [
        f"{claim.id} {claim.outcome.value}: {claim.message}"
        for claim in run.claims
        if claim.outcome not in (Outcome.PASSED, Outcome.SKIPPED) and claim.id not in expected
    ]
    stay = [route for route in document.routes if route.kind in DATA_PLANE and _is_there_throughout(route, document)]
    samples = min((route.samples for route in stay), default=0)
    if samples < LEAST_SAMPLES:
        problems.append(f"a path has {samples:,} samples, expected at least {LEAST_SAMPLES:,}")
    if bool(losses) == (run.exit_code == 0):
        problems.append(f"exit code {run.exit_code} with {len(losses)} losses")
    away = max((each.unavailable for each in document.routes if each.kind == "API server"), key=lambda each: each.seconds)
    return UpgradeRun(
        number=number,
        way=way,
        exit_code=run.exit_code,
        verdict=document.verdict,
        seconds=document.seconds,
        samples=samples,
        lost=sum(outage.lost for _, outage in others),
        away=f"{away.seconds:.1f} s (+-{away.error:.1f})",
        losses=made,
        problems=problems,
    )


def judged_loss(loss: Loss, document: UpgradeDocument, run: RunRecord) -> JudgedLoss:
    """Return what a run says of a loss."""
    routes = {route.name: route for route in document.routes}
    problems = [f"{name} was not sampled" for name in loss.routes if name not in routes]
    within = {name: _amid(routes[name], loss, document) for name in loss.routes if name in routes}
    problems += [text for name, found in within.items() if (text := _wrong(routes[name], found, loss))]
    main = within.get(loss.routes[0], [])
    claim = next((each for each in run.claims if each.id == loss.claim), None)
    message = (claim.message or "") if claim and claim.outcome is Outcome.FAILED else ""
    if not message:
        problems.append(f"{loss.claim} is {claim.outcome.value if claim else 'not in run.json'}")
    elif loss.routes[0] not in message:
        problems.append(f"{loss.claim} does not name {loss.routes[0]}: {message}")
    else:
        down = [float(seconds) for seconds in DOWN.findall(message)]
        if not any(abs(seconds - loss.seconds) <= TOLERANCE for seconds in down):
            problems.append(f"{loss.claim} does not name {loss.seconds:.1f} s: {message}")
    return JudgedLoss(
        loss=loss,
        reported=[outage.seconds for outage in main],
        error=max((outage.error for outage in main), default=0.0),
        message=message,
        problems=problems,
    )


def strays(document: UpgradeDocument, losses: Sequence[Loss]) -> list[tuple[RouteRecord, OutageRecord]]:
    """Return the outages of the data plane that no loss explains, each with its route; not those within an allowance."""
    found: list[tuple[RouteRecord, OutageRecord]] = []
    for route in document.routes:
        if route.kind not in DATA_PLANE or route.allowed.seconds:
            continue
        own = [loss for loss in losses if route.name in (*loss.routes, *loss.also)]
        explained = [outage for loss in own for outage in _amid(route, loss, document)]
        found += [(route, outage) for outage in route.outages if outage not in explained]
    return found


def _amid(route: RouteRecord, loss: Loss, document: UpgradeDocument) -> list[OutageRecord]:
    """Return the outages of a route in the time of a loss."""
    start = loss.start - document.began.timestamp()
    first, last = start - MARGIN, start + loss.seconds + MARGIN
    return [outage for outage in route.outages if first <= outage.start and outage.end <= last]


def _wrong(route: RouteRecord, found: Sequence[OutageRecord], loss: Loss) -> str:
    if len(found) != 1:
        return f"{route.name}: {len(found)} outages, expected one of {loss.seconds:.2f} s"
    tolerance = TOLERANCE if route.connections == "new" else KEPT_TOLERANCE
    if abs(found[0].seconds - loss.seconds) > tolerance:
        return f"{route.name}: {found[0].seconds:.2f} s, expected {loss.seconds:.2f} s (+-{tolerance:.1f})"
    return ""


def _is_there_throughout(route: RouteRecord, document: UpgradeDocument) -> bool:
    """Whether a route counts from the beginning to the end: its Nodes neither go nor come."""
    windows = route.windows
    return not windows or (windows[0].start <= MARGIN and windows[-1].end >= document.seconds - MARGIN)
