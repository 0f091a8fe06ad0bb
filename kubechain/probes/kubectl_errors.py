"""What kubectl says when it fails: that the API server refused, that it was not reached, or that a command in a Pod failed.

kubectl ends with status 1 in any case; only its words tell who is to blame.
"""

from __future__ import annotations

import re
from http import HTTPStatus

from kubechain.core import redact
from kubechain.core.errors import ExitCode, HarnessError, NoProgram, SetupError
from kubechain.core.process import Completed
from kubechain.kube.errors import ApiRefused, ApiUnavailable

# Reason of a Status -> its HTTP status, of those by which a request is refused for good.
REFUSALS = {
    "BadRequest": HTTPStatus.BAD_REQUEST,
    "Unauthorized": HTTPStatus.UNAUTHORIZED,
    "Forbidden": HTTPStatus.FORBIDDEN,
    "NotFound": HTTPStatus.NOT_FOUND,
    "MethodNotAllowed": HTTPStatus.METHOD_NOT_ALLOWED,
    "AlreadyExists": HTTPStatus.CONFLICT,
    "Conflict": HTTPStatus.CONFLICT,
    "Gone": HTTPStatus.GONE,
    "Expired": HTTPStatus.GONE,
    "Invalid": HTTPStatus.UNPROCESSABLE_ENTITY,
}
OF_SERVER = re.compile(r"Error from server(?: \((?P<reason>\w+)\))?: ")
# Some commands put words of their own in the place of the reason: the sentence itself tells.
SENTENCES = (
    (re.compile(r" is forbidden: "), "Forbidden"),
    (re.compile(r" already exists"), "AlreadyExists"),
    (re.compile(r" is invalid: "), "Invalid"),
    (re.compile(r" not found\b"), "NotFound"),
    (re.compile(r"must be logged in to the server|the server has asked for the client to provide credentials"), "Unauthorized"),
)
UNAVAILABLE = re.compile(
    r"Unable to connect to the server|The connection to the server|Internal error occurred|dial tcp|connection refused"
    r"|connection reset|broken pipe|\bEOF\b|i/o timeout|TLS handshake|context deadline exceeded|Client\.Timeout"
    # What the API server offers could not be read in full.
    r"|couldn't get current server API group list|the server doesn't have a resource type"
    r"|http2: |the server is currently unable|the server was unable|Too many requests|too many requests|etcdserver: "
    r"|unable to upgrade connection|error upgrading connection|websocket: "
)
# The API server itself was not reached, which says nothing of what is behind it.
NOT_REACHED = re.compile(r"Unable to connect to the server|The connection to the server")
# Of the shell's convention, and of the runtime.
NO_PROGRAM = re.compile(r"executable file not found|no such file or directory: unknown|command terminated with exit code 12[67]")
IN_POD = re.compile(r"command terminated with exit code (\d+)")


def status_in_pod(done: Completed) -> int | None:
    """Return the exit status of a command that ran in a Pod, 0 if kubectl succeeded, None if it did not run."""
    found = None if NO_PROGRAM.search(done.stderr) else IN_POD.search(done.stderr)
    return 0 if done.status == 0 else int(found[1]) if found else None


def error_of(done: Completed) -> HarnessError:
    """Return the error for a kubectl that failed.

    Returns:
        ApiRefused: the API server refused a request.
        ApiUnavailable: it was not reached, or could not do what it was asked for; the next attempt may succeed.
        NoProgram: the container lacks the program.
        SetupError: anything else, for which nobody can blame the cluster.

    """
    text = redact.text(" ".join(done.stderr.split()))
    shown = f"`kubectl {redact.text(' '.join(done.argv[1:]))}`"
    if NO_PROGRAM.search(text):
        return NoProgram(f"{shown}: {text}")
    found = OF_SERVER.search(text)
    reason = (found and found["reason"]) or next((name for sentence, name in SENTENCES if sentence.search(text)), "")
    # A dead webhook is reported with a reason of its own, and within a sentence about an object.
    if reason in REFUSALS and "Internal error occurred" not in text:
        return ApiRefused(REFUSALS[reason], reason, text)
    if found or UNAVAILABLE.search(text):
        return ApiUnavailable(f"{shown}: {text}", ExitCode.UNREACHABLE)
    return SetupError(f"{shown} failed (status {done.status}): {text or 'no message'}", ExitCode.HARNESS)
