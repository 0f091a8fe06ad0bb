"""Commands in containers of Pods, over a websocket.

https://kubernetes.io/docs/reference/using-api/api-concepts/ and the protocol v4.channel.k8s.io: the first byte of a message
names its channel.
"""

# The package websocket has no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError
from websocket import ABNF, WebSocket, WebSocketBadStatusException, WebSocketException, WebSocketTimeoutException

from kubechain.core import redact
from kubechain.core.errors import HarnessError, NoProgram, Transient
from kubechain.kube import reasons
from kubechain.kube.bounded_sockets import within
from kubechain.kube.connection import Connection
from kubechain.kube.errors import ApiUnavailable, refusal
from kubechain.kube.objects import Json
from kubechain.kube.refusals import REFUSALS
from kubechain.kube.traffic import TRAFFIC

PROTOCOL = "v4.channel.k8s.io"
# Of a command in a message.
MOST_CHARACTERS = 100
STDOUT, STDERR, STATUS = 1, 2, 3
# How runtimes say so: runc with quotes around the name, crun with backticks.
NO_PROGRAM = re.compile(r"executable file (.+ )?not found")


@dataclass(frozen=True, slots=True)
class Executed:
    """The output of a command in a container, and its exit status."""

    stdout: str
    stderr: str
    status: int


def named(argv: Sequence[str]) -> str:
    """Return a command for a message: its words on one line, cut off after MOST_CHARACTERS."""
    line = " ".join(" ".join(argv).split())
    return line if len(line) <= MOST_CHARACTERS else f"{line[:MOST_CHARACTERS]} ..."


def run_command(connection: Connection, path: str, argv: Sequence[str], pod: str, *, agent: str, seconds: float) -> Executed:
    """Run a command by the subresource exec at `path`, as the User-Agent `agent`; return its output and its exit status.

    Raises:
        ApiUnavailable: no answer, a 429 or 5xx, or a stream that broke: the next attempt may succeed.
        Transient: the command has not ended after `seconds`, the connection included.
        HarnessError: the API server refuses the command.

    """
    with within(seconds):
        session, opened = _open(connection, path, argv, pod, agent=agent, seconds=seconds)
        try:
            return _read(session, argv, pod, seconds)
        finally:
            opened.close()


def _open(
    connection: Connection, path: str, argv: Sequence[str], pod: str, *, agent: str, seconds: float
) -> tuple[Any, HTTPConnection]:
    what, renewed = f"cannot run `{named(argv)}` in pod {pod}", False
    url, ends = "ws" + connection.server.removeprefix("http") + path, time.monotonic() + seconds
    while True:
        connection.wait_until_wanted("GET", url, ends)
        sent = [f"{name}: {value}" for name, value in connection.headers(connection.credential())] + [f"User-Agent: {agent}"]
        session: Any = WebSocket(skip_utf8_validation=True)
        # The API server counts a GET that opens a stream as a create, as it does for RBAC.
        TRAFFIC.request("POST", path)
        try:
            opened = connection.opened(seconds)
            try:
                session.connect(url, socket=opened.sock, header=sent, subprotocols=[PROTOCOL])
            except BaseException:
                opened.close()
                raise
            opened.sock.settimeout(seconds)
            return session, opened
        except WebSocketBadStatusException as error:
            if error.status_code == HTTPStatus.UNAUTHORIZED and not renewed and connection.renew():
                renewed = True
                continue
            headers: dict[str, str] = error.resp_headers or {}
            if connection.postpone("GET", url, error.status_code, headers.get("retry-after", ""), ends):
                continue
            text = (error.resp_body or b"").decode(errors="replace")
            refused = refusal(error.status_code, text)
            REFUSALS.add("GET", path, error.status_code, str(refused))
            kind = ApiUnavailable if isinstance(refused, ApiUnavailable) else HarnessError
            raise kind(f"{what}: {refused}") from error
        except (TimeoutError, WebSocketTimeoutException) as error:
            raise ApiUnavailable(f"{what}: the API server did not answer within {seconds:.0f} s") from error
        except (OSError, HTTPError, WebSocketException) as error:
            raise ApiUnavailable(f"{what}: {reasons.of(error)}") from error


def _read(session: Any, argv: Sequence[str], pod: str, seconds: float) -> Executed:
    channels: dict[int, bytearray] = defaultdict(bytearray)
    try:
        while True:
            code, frame = session.recv_data_frame(control_frame=True)
            if code == ABNF.OPCODE_CLOSE:
                break
            if code in (ABNF.OPCODE_BINARY, ABNF.OPCODE_TEXT) and frame.data:
                channels[frame.data[0]] += frame.data[1:]
    except (TimeoutError, WebSocketTimeoutException) as error:
        raise Transient(f"`{named(argv)}` in pod {pod} did not end within {seconds:.0f} s") from error
    except (OSError, WebSocketException) as error:
        if not channels[STATUS]:
            raise ApiUnavailable(f"`{named(argv)}` in pod {pod}: the stream broke: {reasons.of(error)}") from error
    text = {channel: data.decode(errors="replace") for channel, data in channels.items()}
    return Executed(text.get(STDOUT, ""), text.get(STDERR, ""), exit_status(text.get(STATUS, ""), argv, pod))


def exit_status(status: str, argv: Sequence[str], pod: str) -> int:
    """Return the exit status of a command from the Status object on its error channel.

    Raises:
        ApiUnavailable: there is none: something on the way ended the stream.
        NoProgram: the image of the container lacks the program.
        HarnessError: it cannot be read.

    """
    if not status:
        raise ApiUnavailable(f"`{named(argv)}` in pod {pod}: the stream ended before its exit status")
    try:
        body: Json = json.loads(status)
        if body.get("status") == "Success":
            return 0
        causes: list[Json] = body.get("details", {}).get("causes", [])
        code = next((int(c["message"]) for c in causes if c.get("reason") == "ExitCode"), None)
        why = body.get("message", "it has no exit status")
    except (ValueError, TypeError, AttributeError, KeyError):
        code, why = None, f"its exit status cannot be read: {redact.beginning(status, 100)}"
    if code is None:
        kind = NoProgram if NO_PROGRAM.search(why) else HarnessError
        raise kind(f"`{named(argv)}` in pod {pod}: {why}")
    return code
