"""The requests that an API server did not carry out, for the evidence on a claim."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus

from kubechain.kube.paths import request_of

# Of the whole process; the oldest are forgotten.
MOST = 200


@dataclass(frozen=True)
class Refusal:
    """One request: when (monotonic seconds), its verb and resource, its path, its HTTP status, and the redacted answer."""

    at: float
    request: str
    path: str
    status: int
    answer: str


@dataclass
class Refusals:
    """Those of this process, the last ones at the end."""

    kept: deque[Refusal] = field(default_factory=lambda: deque[Refusal](maxlen=MOST))

    def add(self, method: str, path: str, status: int, answer: str) -> None:
        """Keep a request that was answered with a status from 400 on; that an object does not exist is no refusal."""
        if status != HTTPStatus.NOT_FOUND:
            verb, resource = request_of(method, path)
            self.kept.append(Refusal(time.monotonic(), f"{verb} {resource}", path.partition("?")[0], status, answer))

    def since(self, at: float) -> list[Refusal]:
        """Return those since a moment."""
        # Another thread may add one.
        return [each for each in tuple(self.kept) if each.at >= at]


REFUSALS = Refusals()
