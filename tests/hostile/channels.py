"""The websocket of a command in a container, as the API server speaks it (v4.channel.k8s.io, and v5 with kubectl)."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

from websocket import ABNF

from kubechain.kube.objects import Json
from tests.hostile.containers import Done

if TYPE_CHECKING:
    from tests.hostile.exchange import Exchange

MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def run_in(exchange: Exchange, done: Done) -> None:
    """Answer an exec with what its command printed."""
    open_channels(exchange)
    send_output(exchange, done)
    send_status(exchange, done)
    end_channels(exchange)


def open_channels(exchange: Exchange) -> None:
    """Accept the websocket of an exec."""
    key = exchange.request.headers["sec-websocket-key"]
    digest = base64.b64encode(hashlib.sha1((key + MAGIC).encode(), usedforsecurity=False).digest()).decode()
    spoken = exchange.request.headers.get("sec-websocket-protocol", "").split(",")[0].strip()
    rest = {"Sec-WebSocket-Accept": digest, "Sec-WebSocket-Protocol": spoken or "v4.channel.k8s.io"}
    exchange.head(101, {"Upgrade": "websocket", "Connection": "Upgrade", **rest})
    exchange.close()


def send_frame(exchange: Exchange, data: bytes, code: int = ABNF.OPCODE_BINARY) -> None:
    """Send a websocket frame."""
    frame: Any = ABNF(1, 0, 0, 0, code, 0, data)
    exchange.write(frame.format())


def send_output(exchange: Exchange, done: Done) -> None:
    """Send what a command printed."""
    for channel, text in ((1, done.stdout), (2, done.stderr)):
        if text:
            send_frame(exchange, bytes([channel]) + text.encode())


def send_status(exchange: Exchange, done: Done) -> None:
    """Send the exit status of a command."""
    status: Json = {"metadata": {}, "status": "Success"}
    if done.status:
        cause = {"reason": "ExitCode", "message": str(done.status)}
        status = {"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": [cause]}}
    send_frame(exchange, b"\x03" + json.dumps(status).encode())


def end_channels(exchange: Exchange) -> None:
    """End the websocket of an exec."""
    send_frame(exchange, (1000).to_bytes(2, "big"), ABNF.OPCODE_CLOSE)
