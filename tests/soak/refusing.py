"""The API server of a busy control plane: it refuses some requests for a moment, as priority and fairness or a restart do."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field

from tests.api_proxy import Answers, Refusal


@dataclass
class Refusing(Answers):
    """Refuses every so-many-th request, whatever it asks for."""

    name: str
    every: int
    status: int
    reason: str
    retry_after: int | None
    """Seconds of the header Retry-After; None: it is not sent."""
    refused: int = 0
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def refusal(self, method: str, path: str, authorization: str) -> Refusal | None:  # noqa: ARG002
        """Refuse this request if it is its turn."""
        if next(self._numbers) % self.every:
            return None
        self.refused += 1
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": self.status, "reason": self.reason}
        return Refusal(self.status, json.dumps({**status, "message": f"refused by the proxy: {self.reason}"}), self.retry_after)


def modes() -> dict[str, Refusing]:
    """Return the modes by name, each with its own count."""
    throttled = Refusing("throttled", every=7, status=429, reason="TooManyRequests", retry_after=1)
    unavailable = Refusing("unavailable", every=11, status=503, reason="ServiceUnavailable", retry_after=None)
    return {mode.name: mode for mode in (throttled, unavailable)}
