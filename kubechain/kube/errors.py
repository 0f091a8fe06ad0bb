"""What the API server answers that is no success, and when it does not answer: which errors of the project these are."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus

import urllib3
from kubernetes.client.exceptions import ApiException

from kubechain.core.errors import ExitCode, HarnessError, Transient
from kubechain.kube.objects import Json


class ApiRefused(HarnessError):
    """The API server answered with an error; `status` is the HTTP status, `reason` that of the Status object."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        code = ExitCode.RIGHTS if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) else ExitCode.HARNESS
        super().__init__(f"API server: {status} {reason}: {message}", code)
        self.status = status
        self.reason = reason
        self.detail = message


class ApiUnavailable(Transient):
    """The API server could not be reached, or answered that it cannot serve just now (429, 5xx)."""


class ApiFailed(ApiUnavailable):
    """The API server answered that it failed at this request (500): it is there, and asked again may fail again."""


@contextmanager
def starting_up() -> Generator[None]:
    """Take a 403 in the body for what it is where the rights are known to be there: an API server that has just started.

    It serves before it has read the roles, and until then refuses everybody
    (https://kubernetes.io/docs/reference/access-authn-authz/rbac/).
    """
    try:
        yield
    except ApiRefused as refused:
        if refused.status != HTTPStatus.FORBIDDEN:
            raise
        raise ApiUnavailable(str(refused), ExitCode.RIGHTS) from refused


def refusal(status: int, text: str) -> HarnessError:
    """Return the error for an answer that is not a success: ApiUnavailable if trying again may help."""
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


@contextmanager
def network_errors() -> Generator[None]:
    """Turn the many ways in which a connection fails into ApiUnavailable."""
    try:
        yield
    except ApiException as error:
        raise ApiUnavailable(f"API server: {first_line(error)}", ExitCode.UNREACHABLE) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise ApiUnavailable(f"API server unreachable: {first_line(error)}", ExitCode.UNREACHABLE) from error


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or its type where it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
