"""The stream of a watch, read as its events within a total deadline."""

from __future__ import annotations

import time
from collections.abc import Iterator

import urllib3

from kubechain.kube.bounded_sockets import within
from kubechain.kube.decoding import as_event
from kubechain.kube.errors import network_errors
from kubechain.kube.objects import Json
from kubechain.kube.traffic import TRAFFIC


def events(response: urllib3.BaseHTTPResponse, seconds: float) -> Iterator[tuple[str, Json]]:
    """Yield (type, object) for each line of a watch; ApiUnavailable if the connection breaks or lasts over `seconds`."""
    ends = time.monotonic() + seconds
    TRAFFIC.watching(1)
    with network_errors():
        try:
            buffer = b""
            while True:
                # Around each read: the body of this loop also runs what the caller does with an event.
                with within(ends - time.monotonic()):
                    chunk = response.read1()
                if not chunk:
                    return
                *lines, buffer = (buffer + chunk).split(b"\n")
                yield from map(as_event, filter(None, lines))
        finally:
            TRAFFIC.watching(-1)
            response.close()
