"""Records of creations, changes and deletions: they fail, or their answers do not arrive."""

from __future__ import annotations

from kubechain.core.errors import ExitCode
from tests.hostile.acts import (
    failing,
    failing_after,
    lost,
    on,
    rule,
    slow,
    truncated,
    with_body,
)
from tests.hostile.exchange import Exchange, Request
from tests.hostile.records import HOLDS, UNDECIDED, UNREACHABLE, Ending, Record

WRITES = {"namespace": "Namespace", "Deployment": "Deployment", "Service": "Service", "Pod": "Pod"}


def _is_write(request: Request) -> bool:
    return request.verb in ("create", "delete") and request.place.kind in WRITES.values() and not request.place.sub


ONCE_FAILING = tuple(
    Record(
        f"{verb.upper()}-{kind.upper()}-{status}",
        f"answers the first {verb} of a {kind} with {status}",
        rule(on(verb, kind), failing(status), times=1),
    )
    for verb, kind, statuses in (
        ("create", "Namespace", (500, 503, 504)),
        ("create", "Deployment", (500, 503, 504)),
        ("create", "Service", (500, 504)),
        ("create", "Pod", (500,)),
        ("create", "ConfigMap", (503,)),
        ("delete", "Namespace", (500, 504)),
        ("list", "Node", (500, 503)),
        ("list", "Pod", (503,)),
    )
    for status in statuses
)
LOST = tuple(
    Record(
        f"LOST-{verb.upper()}-{kind.upper()}",
        f"executes the first {verb} of a {kind} and closes the connection without an answer",
        rule(on(verb, kind), lost, times=1),
    )
    for verb, kind in (
        ("create", "Namespace"),
        ("create", "Deployment"),
        ("create", "Service"),
        ("create", "Pod"),
        ("create", "ServiceAccount"),
        ("create", "ConfigMap"),
        ("delete", "Namespace"),
    )
)
EITHER = (HOLDS, UNDECIDED)
RECORDS = (
    *ONCE_FAILING,
    *LOST,
    Record(
        "LOST-DELETE-DEPLOYMENT",
        "deletes the Deployment and closes the connection without an answer",
        rule(on("delete", "Deployment"), lost, times=1),
    ),
    Record(
        "LOST-DELETE-SERVICE",
        "deletes the first Service and closes the connection without an answer",
        rule(on("delete", "Service"), lost, times=1),
    ),
    Record(
        "DELETE-DEPLOYMENT-503",
        "answers the first delete of a Deployment with 503",
        rule(on("delete", "Deployment"), failing(503), times=1),
    ),
    Record(
        "PATCH-SERVICE-500",
        "answers the first patch of a Service with 500",
        rule(on("patch", "Service"), failing(500), times=1),
    ),
    Record("PATCH-NAMESPACE-500", "answers every patch of a Namespace with 500", rule(on("patch", "Namespace"), failing(500))),
    Record(
        "EXECUTED-504",
        "executes every tenth create and delete, and answers them with 504",
        rule(lambda request: _is_write(request) and hash(request.path) % 3 == 0, failing_after(504), times=3),
        EITHER,
    ),
    Record(
        "THROTTLED-ONCE",
        "answers the first create of a Deployment with 429 without Retry-After",
        rule(on("create", "Deployment"), failing(429), times=1),
    ),
    Record(
        "THROTTLED-WRITES",
        "answers every create in a namespace with 429",
        rule(lambda request: request.verb == "create" and bool(request.place.namespace), failing(429)),
        (UNDECIDED, UNREACHABLE),
        says="429",
        seconds=300,
    ),
    Record(
        "FAILING-WRITES",
        "answers every create in a namespace with 503",
        rule(lambda request: request.verb == "create" and bool(request.place.namespace) and not request.place.sub, failing(503)),
        (UNDECIDED, UNREACHABLE),
        says="503",
        seconds=300,
    ),
    Record(
        "UNAUTHORIZED-ONCE",
        "answers the first create of a Deployment with 401",
        rule(on("create", "Deployment"), failing(401), times=1),
        (HOLDS, UNDECIDED, Ending(ExitCode.RIGHTS, "no verdict")),
        says="",
    ),
    Record(
        "SLOW-ONCE",
        "answers the first create of a Deployment after 11 s",
        rule(on("create", "Deployment"), slow(11), times=1),
        EITHER,
        seconds=90,
    ),
    Record(
        "TRUNCATED-CREATE",
        "answers the first create of a Deployment with half of its JSON",
        rule(on("create", "Deployment"), with_body(truncated), times=1),
    ),
    Record(
        "EMPTY",
        "answers the first create of a Service with 200 and no body",
        rule(on("create", "Service"), with_body(lambda _: b""), times=1),
    ),
    Record(
        "RESET-CREATE",
        "resets the connection of the first create of a Deployment",
        rule(on("create", "Deployment"), Exchange.reset, times=1),
    ),
)
