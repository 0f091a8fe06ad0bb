"""An API server on loopback that stores what is created, and fails as a test tells it to."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kubechain.kube.objects import Json

INTERNAL = '{"kind": "Status", "code": 500, "reason": "InternalError", "message": "failed calling webhook: timeout"}'


@dataclass(frozen=True)
class Fault:
    """What happens to a request: it is executed or not, and answered with `status`, or (0) the connection is closed."""

    status: int
    executed: bool = False
    body: str = INTERNAL
    headers: dict[str, str] = field(default_factory=dict[str, str])


LOST = Fault(0, executed=True)
DROPPED = Fault(0)


@dataclass
class Request:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class ApiServer:
    """Objects by path; `faults` is asked about each request, before it is executed."""

    url: str
    faults: Callable[[Request], Fault | None] = lambda _: None
    store: dict[str, Json] = field(default_factory=dict[str, Json])
    requests: list[Request] = field(default_factory=list[Request])
    admit: Callable[[Json], Json] = lambda body: body

    def sent(self, method: str) -> list[str]:
        """Return the paths of the requests of a method."""
        return [request.path for request in self.requests if request.method == method]

    def execute(self, request: Request) -> tuple[int, str]:
        """Execute a request as an API server does; return the status and the body of the response."""
        path = request.path.partition("?")[0]
        if request.method == "POST":
            path += "/" + request.body["metadata"]["name"]
            if path in self.store:
                return 409, _status(409, "AlreadyExists", f"{path} already exists")
            stored = self.admit(json.loads(json.dumps(request.body)))
            stored["metadata"] |= {"uid": f"uid-{len(self.requests)}", "resourceVersion": "1"}
            self.store[path] = stored
            return 201, json.dumps(stored)
        if path not in self.store:
            return 404, _status(404, "NotFound", f"{path} not found")
        if request.method == "DELETE":
            return 200, json.dumps(self.store.pop(path))
        return 200, json.dumps(self.store[path])


def _status(code: int, reason: str, message: str) -> str:
    return json.dumps({"kind": "Status", "code": code, "reason": reason, "message": message})


def in_turn(*faults: Fault | None, method: str = "POST", path: str = "") -> Callable[[Request], Fault | None]:
    """Return a plan: each request of the method, whose path ends with `path`, takes the next fault; then there are none."""
    left = list(faults)

    def next_fault(request: Request) -> Fault | None:
        meant = request.method == method and request.path.partition("?")[0].endswith(path)
        return left.pop(0) if meant and left else None

    return next_fault


def always(fault: Fault, method: str = "POST", path: str = "") -> Callable[[Request], Fault | None]:
    """Return a plan: each request of the method, whose path ends with `path`, fails."""
    return lambda request: fault if request.method == method and request.path.partition("?")[0].endswith(path) else None


@contextmanager
def api_server(context: ssl.SSLContext | None = None) -> Generator[ApiServer]:
    """Serve on a free port of loopback, with TLS if there is a context."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Else the body waits for the acknowledgement of the headers, 40 ms for each answer.
        disable_nagle_algorithm = True

        def handle_any(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            text = self.rfile.read(size).decode()
            request = Request(
                self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, json.loads(text or "null")
            )
            server.requests.append(request)
            fault = server.faults(request)
            status, body = server.execute(request) if fault is None or fault.executed else (0, "")
            headers: dict[str, str] = {}
            if fault:
                status, body, headers = fault.status, fault.body, fault.headers
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body.encode())), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815  # names of the library

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """The client may close its connection at any time."""

    with Quiet(("127.0.0.1", 0), Handler) as listener:
        if context:
            listener.socket = context.wrap_socket(listener.socket, server_side=True)
        server = ApiServer(f"http{'s' if context else ''}://127.0.0.1:{listener.server_port}")
        thread = threading.Thread(target=listener.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join(5)
