"""Errors of requests to the API server: refused, unavailable, failed."""

from __future__ import annotations

import json
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus

import urllib3

from kubechain.core.errors import ExitCode, HarnessError, Transient
from kubechain.kube.objects import Json


class ApiRefused(HarnessError):
    """The API server refused a request; `status` is the HTTP status, `reason` and `detail` come from the Status object."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        code = ExitCode.RIGHTS if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) else ExitCode.HARNESS
        super().__init__(f"API server: {status} {reason}: {message}", code)
        self.status = status
        self.reason = reason
        self.detail = message


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
        reason, message = answer.get("reason", ""), answer.get("message", "")
    except (ValueError, AttributeError):
        reason, message = "", " ".join(text.split())[:200]
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
    """Raise ApiUnavailable in place of every exception of a failed connection."""
    where = f"API server {server}".strip()
    try:
        yield
    except (urllib3.exceptions.HTTPError, OSError) as error:
        reason = tls_reason(error)
        what = f"{where}: TLS: {reason}" if reason else f"{where} unreachable: {first_line(error)}"
        raise ApiUnavailable(what, ExitCode.UNREACHABLE) from error


def tls_reason(error: BaseException | None) -> str:
    """Return why a TLS connection failed, such as "certificate has expired", "" if the cause is another."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message or "the certificate is not valid"
        if isinstance(error, ssl.SSLError):
            return (error.reason or first_line(error)).lower().replace("_", " ")
        inner = next((arg for arg in error.args if isinstance(arg, BaseException)), None)
        error = error.__cause__ or inner
    return ""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the name of its type if the message is empty."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
