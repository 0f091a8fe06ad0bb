"""Errors of requests to the API server: refused, unavailable, failed."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus

import urllib3

from kubechain.core import redact
from kubechain.core.errors import ExitCode, HarnessError, Transient
from kubechain.kube import reasons
from kubechain.kube.objects import Json

OF_THE_ACCOUNT = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
REJECTED = "; it does not accept the credentials in the kubeconfig: renew them"


class ApiRefused(HarnessError):
    """The API server refused a request; `status` is the HTTP status, `reason` and `detail` come from the Status object."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        self.status = status
        hint = REJECTED if status == HTTPStatus.UNAUTHORIZED else ""
        code = ExitCode.RIGHTS if self.of_the_account else ExitCode.HARNESS
        super().__init__(f"API server: {status} {reason}: {message}{hint}", code)
        self.reason = reason
        self.detail = message

    @property
    def of_the_account(self) -> bool:
        """Whether the account was refused (401, 403): the request itself was not judged."""
        return self.status in OF_THE_ACCOUNT


class ApiUnavailable(Transient):
    """The API server cannot be reached, or answered 429 or 5xx."""


class ApiFailed(ApiUnavailable):
    """The API server answered 500: it is reachable, and the next attempt may fail as well."""


@contextmanager
def starting_up() -> Generator[None]:
    """Raise ApiUnavailable for a 403 in the body, where the rights are known to exist and the API server has just started.

    It serves requests before it has loaded the roles, and answers them with 403
    (https://kubernetes.io/docs/reference/access-authn-authz/rbac/).
    """
    try:
        yield
    except ApiRefused as refused:
        if refused.status != HTTPStatus.FORBIDDEN:
            raise
        raise ApiUnavailable(str(refused), ExitCode.RIGHTS) from refused


def refusal(status: int, text: str) -> HarnessError:
    """Return the error for a status from 400 on and the body of its response; ApiUnavailable for 429 and 5xx."""
    try:
        answer: Json = json.loads(text)
        # Redacted here: an assertion of a claim shows a long message only in parts.
        reason, message = answer.get("reason", ""), redact.text(str(answer.get("message", "")))
    except (ValueError, AttributeError):
        reason, message = "", redact.beginning(" ".join(text.split()), 200)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return ApiFailed(f"API server: {status} {reason}: {message}", ExitCode.UNREACHABLE)
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ApiUnavailable(f"API server: {status} {reason}: {message}", ExitCode.UNREACHABLE)
    return ApiRefused(status, reason, message)


def status_error(status: Json) -> HarnessError:
    """Return the error for a Status object in a watch; one without a code is Gone if its reason says so, else a failure."""
    code, reason = status.get("code"), status.get("reason")
    if not isinstance(code, int):
        code = HTTPStatus.GONE if reason in ("Expired", "Gone") else HTTPStatus.INTERNAL_SERVER_ERROR
    return refusal(code, json.dumps(status))


@contextmanager
def network_errors(server: str = "") -> Generator[None]:
    """Raise ApiUnavailable in place of every exception of a failed connection; `server` is the address, and its proxy."""
    where = f"API server {server}".strip()
    try:
        yield
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise ApiUnavailable(f"{where}: {reasons.of(error)}", ExitCode.UNREACHABLE) from error
