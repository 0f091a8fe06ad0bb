"""HTTP from this process: one request on a new connection, and its response or the kind of its failure."""

from __future__ import annotations

import errno
import socket
import time
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from kubechain.conditions.http import Failure, Page
from kubechain.kube.bounded_sockets import LimitedSocket, Pools, limited, within

REQUEST_SECONDS = 3.0
BODY_LIMIT = 4096


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return limited(super()._new_conn(), LimitedSocket)


class _Pool(HTTPConnectionPool):
    ConnectionCls: Any = _Connection


POOLS: Pools = {"http": _Pool}


class Adapter(HTTPAdapter):
    """Connects from a source port (0: any), by sockets with a total deadline: a server may send its headers a byte a second."""

    def __init__(self, port: int) -> None:
        self._source = {"source_address": ("", port)} if port else {}
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  # passed to the base class
        """Make the pool of such connections."""
        super().init_poolmanager(*args, **self._source, **kwargs)  # pyright: ignore[reportUnknownMemberType]
        self.poolmanager.pool_classes_by_scheme = POOLS


def fetch(url: str, *, seconds: float = REQUEST_SECONDS, port: int = 0) -> Page:
    """Send one GET request without retries, redirects, proxies or keep-alive; return a Page also if the network fails.

    All of it takes at most `seconds`. `port` is the source port, 0 for any; a port in use gives the failure "local".
    """
    start = time.monotonic()
    try:
        with requests.Session() as session, within(seconds):
            session.trust_env = False
            session.mount("http://", Adapter(port))
            response = session.get(url, timeout=seconds, headers={"Connection": "close"}, allow_redirects=False, stream=True)
            body = _beginning(response.raw, start + seconds)
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        kind, detail = classify(error)
        return Page(url, failure=kind, detail=detail, seconds=time.monotonic() - start)
    return Page(
        url,
        status=response.status_code,
        body=body.decode(errors="replace"),
        backend=response.headers.get("X-Backend", ""),
        source=response.headers.get("X-Source", ""),
        seconds=time.monotonic() - start,
    )


def _beginning(response: urllib3.BaseHTTPResponse, ends: float) -> bytes:
    """Return up to BODY_LIMIT bytes of a body; TimeoutError if it is not there at `ends`, and not at each byte anew."""
    body = b""
    while len(body) < BODY_LIMIT:
        if time.monotonic() > ends:
            raise TimeoutError("the page did not end in time")
        chunk = response.read1(BODY_LIMIT, decode_content=True)
        if not chunk:
            break
        body += chunk
    return body[:BODY_LIMIT]


def classify(error: BaseException) -> tuple[Failure, str]:
    """Return the kind of failure and one line of the innermost exception that a requests exception wraps."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:
        chain.append(following)
        inner = getattr(following, "reason", None) or next((a for a in following.args if isinstance(a, BaseException)), None)
        following = inner if isinstance(inner, BaseException) else following.__cause__ or following.__context__
    detail = str(chain[-1]).splitlines()[0] if str(chain[-1]) else type(chain[-1]).__name__
    codes = {e.errno for e in chain if isinstance(e, OSError)}
    if errno.EADDRINUSE in codes:
        return "local", detail
    if errno.ECONNREFUSED in codes:
        return "refused", detail
    if errno.ECONNRESET in codes or any(isinstance(e, urllib3.exceptions.ProtocolError) for e in chain):
        return "reset", detail
    if codes & {errno.EHOSTUNREACH, errno.ENETUNREACH}:
        return "unreachable", detail
    if any(isinstance(e, requests.Timeout | TimeoutError | urllib3.exceptions.TimeoutError) for e in chain):
        return "timeout", detail
    return "other", detail


def own_address(address: str, port: int) -> str:
    """Return the source address of a connection from this machine to an address and port; OSError if it fails."""
    with socket.create_connection((address, port), timeout=REQUEST_SECONDS) as connection:
        return str(connection.getsockname()[0])
