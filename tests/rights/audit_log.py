"""Reads the audit log of an API server: one event a line (https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from kubechain.claims.claim import Claim
from kubechain.claims.requirements import EVENTS, LISTED, rights_of
from kubechain.claims.rights import CORE
from kubechain.kube.rights import MANAGER, Right

# With an upgrade to a websocket, the API server checks the right to create besides that to get.
UPGRADED = {"pods/exec", "pods/portforward"}
REVIEW = "selfsubjectaccessreviews"
# What every authenticated user may read: ClusterRoles system:discovery and system:public-info-viewer.
PUBLIC = ("/api", "/apis", "/version", "/readyz", "/openapi")


@dataclass
class Uses:
    """What one user did: the rights that it used -> the claims in whose requests, and the requests that were refused."""

    rights: dict[Right, set[str]] = field(default_factory=lambda: defaultdict[Right, set[str]](set))
    refused: list[str] = field(default_factory=list[str])
    requests: int = 0


def uses(lines: Iterable[str], user: str) -> Uses:
    """Return what a user did, from the lines of an audit log at level Metadata."""
    found = Uses()
    for line in lines:
        if user not in line:
            continue
        event: dict[str, Any] = json.loads(line)
        if event["user"]["username"] != user or event["stage"] == "RequestReceived":
            continue
        reference: dict[str, str] = event.get("objectRef", {})
        if reference.get("resource") == REVIEW:
            continue
        found.requests += 1
        status = event.get("responseStatus", {})
        if status.get("code") in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            found.refused.append(f"{event['verb']} {event['requestURI'][:120]}: {status.get('message', '')}")
            continue
        for right in _rights(event, reference):
            found.rights[right].add(_claim(event.get("userAgent", "")))
    return found


def _rights(event: dict[str, Any], reference: dict[str, str]) -> Iterable[Right]:
    if not reference:
        path = event["requestURI"].partition("?")[0]
        if not path.startswith(PUBLIC):
            yield Right("", path, event["verb"])
        return
    resource = "/".join(filter(None, [reference["resource"], reference.get("subresource")]))
    group, verbs = reference.get("apiGroup", ""), [event["verb"]]
    if resource in UPGRADED and event.get("responseStatus", {}).get("code") == HTTPStatus.SWITCHING_PROTOCOLS:
        verbs.append("create")
    for verb in verbs:
        # A right in all namespaces, and in this one.
        yield Right(group, resource, verb)
        yield Right(group, resource, verb, reference.get("namespace", ""))


def _claim(agent: str) -> str:
    """Return the claim in the User-Agent of a request, "" if it names none."""
    return agent.removeprefix(f"{MANAGER}/") if agent.startswith(f"{MANAGER}/") else ""


def idle(claim: Claim, found: Uses) -> list[Right]:
    """Return the rights that a claim itself states and did not use, if its requests are in the log; its fixtures do not count.

    The Nodes are listed once for all claims, Events are watched for all; programs such as kubectl name no claim.
    """
    seen = set[str]().union(*found.rights.values())
    stated = rights_of(claim.requirements) - CORE.rights - LISTED.rights - EVENTS.rights
    return sorted(right for right in stated if claim.id in seen and claim.id not in found.rights[right])
