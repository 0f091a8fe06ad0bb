"""Commands in Pods, over a real websocket: output, exit status, and every way in which the stream can fail."""

import base64
import hashlib
import re
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kubechain.core.errors import HarnessError
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiUnavailable
from tests import loopback
from tests.loopback import LONGEST, Answer, Server, response, serving
from tests.test_api import FORBIDDEN, speaking

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CLOSE = b"\x88\x00"


def message(channel: int, data: bytes) -> bytes:
    payload = bytes([channel]) + data
    size = bytes([len(payload)]) if len(payload) < 126 else bytes([126]) + len(payload).to_bytes(2, "big")
    return b"\x82" + size + payload


DONE = message(3, b'{"status": "Success"}') + CLOSE


def nothing(_connection: socket.socket, _ended: threading.Event) -> None:
    """Close."""


@contextmanager
def running(folder: Path, sent: bytes, then: Answer = nothing) -> Generator[tuple[Api, Server]]:
    """Serve a websocket that sends bytes, and goes on with `then`."""

    def answer(connection: socket.socket, ended: threading.Event) -> None:
        key = re.findall(r"sec-websocket-key: (\S+)", server.requests[-1], re.IGNORECASE)[0]
        accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()  # noqa: S324  # as the protocol says
        lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Accept: {accept}", "Sec-WebSocket-Protocol: v4.channel.k8s.io", "", ""]
        connection.sendall("\r\n".join(lines).encode() + sent)
        then(connection, ended)

    with serving(answer) as server:
        api = Api(loopback.kubeconfig(folder, server.url), "test", folder)
        try:
            yield api, server
        finally:
            api.close()


def test_output_and_status_are_read_from_their_channels(tmp_path: Path) -> None:
    output = message(1, "ü".encode()[:1]) + message(2, b"oh") + message(1, "ü".encode()[1:] + 1000 * b"a")
    with running(tmp_path, output + DONE) as (api, server):
        done = api.execute("ns", "a", ["echo", "a b"])
        assert (done.stdout, done.stderr, done.status) == ("ü" + 1000 * "a", "oh", 0)
        assert server.lines == ["GET /api/v1/namespaces/ns/pods/a/exec?command=echo&command=a+b&stdout=true&stderr=true"]
        assert "authorization: bearer kubeconfig-token" in server.requests[0].lower()


def test_exit_status_counts_also_without_a_closing_message(tmp_path: Path) -> None:
    failed = b'{"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "7"}]}}'
    with running(tmp_path, message(3, failed)) as (api, _):
        assert api.execute("ns", "a", ["false"]).status == 7


@pytest.mark.parametrize("sent", [message(1, b"half"), message(1, b"half") + CLOSE, message(3, b"<html>") + CLOSE])
def test_stream_without_a_status_is_an_error(tmp_path: Path, sent: bytes) -> None:
    with running(tmp_path, sent) as (api, _), pytest.raises(HarnessError, match="`true` in pod a: "):
        api.execute("ns", "a", ["true"])


def trickling(connection: socket.socket, ended: threading.Event) -> None:
    while not ended.wait(0.05):
        connection.sendall(message(1, b"x"))


def endless(connection: socket.socket, ended: threading.Event) -> None:
    """Begin a long message, and send it byte by byte."""
    connection.sendall(b"\x82\x7e\xff\xff")
    while not ended.wait(0.05):
        connection.sendall(b"x")


@pytest.mark.parametrize("then", [loopback.silent, trickling, endless])
def test_command_that_does_not_end_is_an_error_in_time(tmp_path: Path, then: Answer) -> None:
    with running(tmp_path, b"", then) as (api, _):
        began = time.monotonic()
        with pytest.raises(HarnessError, match="`sleep` in pod a did not end within"):
            api.execute("ns", "a", ["sleep"], seconds=0.5)
        assert 0.4 < time.monotonic() - began < min(2, LONGEST)


@pytest.mark.parametrize("status", [403, 404, 500])
def test_refused_handshake_says_what_the_server_said(tmp_path: Path, status: int) -> None:
    with speaking(tmp_path, response(status, FORBIDDEN)) as (api, server):
        with pytest.raises(HarnessError, match=f"cannot run `true` in pod a: API server: {status} Forbidden: pods is forbidden"):
            api.execute("ns", "a", ["true"])
        assert len(server.requests) == 1


def test_pause_that_the_server_asks_for_is_kept(tmp_path: Path) -> None:
    with speaking(tmp_path, response(429, "too many", "Retry-After: 30")) as (api, server):
        for left in ("429", "of which (29|30) s are left"):
            with pytest.raises(ApiUnavailable, match=left):
                api.execute("ns", "a", ["true"], seconds=5)
        assert len(server.requests) == 1
    with speaking(tmp_path, response(429, "too many", "Retry-After: 1")) as (api, server):
        began = time.monotonic()
        with pytest.raises(ApiUnavailable, match="429"):
            api.execute("ns", "a", ["true"], seconds=1.8)
        assert len(server.requests) == 2
        assert time.monotonic() - began >= 1


@pytest.mark.parametrize("answer", [loopback.closing, loopback.resetting, response(200, "<html>")])
def test_no_websocket_is_an_error_in_one_line(tmp_path: Path, answer: Answer) -> None:
    with speaking(tmp_path, answer) as (api, _), pytest.raises(HarnessError, match="cannot run `true` in pod a: ") as caught:
        api.execute("ns", "a", ["true"])
    assert "\n" not in str(caught.value)
