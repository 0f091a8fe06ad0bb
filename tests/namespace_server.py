"""An API server on loopback that stores Namespaces and Nodes, for whole runs in processes."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kubechain.kube.objects import Json

COLLECTIONS = ("namespaces", "nodes")


@dataclass
class ApiServer:
    """The objects by (collection, name), and the time of day of the server in Unix seconds.

    A request "METHOD /path" in `refused` always gets that status; one in `failures` gets those, one after another.
    """

    port: int = 0
    objects: dict[tuple[str, str], Json] = field(default_factory=dict[tuple[str, str], Json])
    refused: dict[str, int] = field(default_factory=dict[str, int])
    failures: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    time: float = 1_700_000_000.0
    requests: list[str] = field(default_factory=list[str])
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"http://127.0.0.1:{self.port}"

    def names(self, collection: str = "namespaces") -> list[str]:
        """Return the names of the stored objects, without kube-system."""
        with self.changed:
            return sorted(name for kind, name in self.objects if kind == collection and name != "kube-system")

    def put(self, collection: str, name: str, **rest: Any) -> None:
        """Store an object; `rest` are its labels, annotations and spec."""
        spec = rest.pop("spec", {})
        self.objects[collection, name] = {"metadata": {"name": name, "uid": f"uid-{name}", **rest}, "spec": spec}

    def wait_for(self, part: str, seconds: float = 20) -> None:
        """Wait until an object exists whose name has this part."""
        with self.changed:
            there = self.changed.wait_for(lambda: any(part in name for _, name in self.objects), seconds)
        assert there, f"no {part} after {seconds} s: {self.requests}"

    def handle(self, method: str, url: str, body: Json) -> tuple[int, Json]:
        """Return (status, body) of a request."""
        parts = urlsplit(url)
        request = f"{method} {parts.path}"
        with self.changed:
            self.requests.append(request)
            failures = self.failures.get(request)
            if status := failures.pop(0) if failures else self.refused.get(request):
                return status, {"message": "refused by the test"}
            if parts.path == "/version":
                return 200, {"gitVersion": "v1.37.2"}
            _, _, collection, *rest = parts.path.strip("/").split("/")
            assert collection in COLLECTIONS, url
            self.changed.notify_all()
            return (
                self._object(method, (collection, rest[0]), body) if rest else self._list(method, collection, parts.query, body)
            )

    def _list(self, method: str, collection: str, query: str, body: Json) -> tuple[int, Json]:
        if method == "POST":
            body["metadata"]["uid"] = f"uid-{body['metadata']['name']}"
            self.objects[collection, body["metadata"]["name"]] = body
            return 201, body
        wanted = [word.partition("=")[::2] for word in parse_qs(query).get("labelSelector", [""])[0].split(",") if word]
        items = [
            each
            for (kind, _), each in self.objects.items()
            if kind == collection
            and all(key in (found := each["metadata"].get("labels", {})) and value in ("", found[key]) for key, value in wanted)
        ]
        return 200, {"metadata": {"resourceVersion": "1"}, "items": items}

    def _object(self, method: str, key: tuple[str, str], body: Json) -> tuple[int, Json]:
        if key not in self.objects:
            return 404, {"message": "not found"}
        if method == "DELETE":
            del self.objects[key]
        elif method == "PATCH":
            if body.get("metadata", {}).get("resourceVersion") not in (
                None,
                self.objects[key]["metadata"].get("resourceVersion"),
            ):
                return 409, {"message": "the object has been modified"}
            self.objects[key] = _merged(self.objects[key], body)
        return 200, self.objects.get(key, {})


def _merged(old: Any, patch: Any) -> Any:
    """Return the result of a merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    merged: Json = dict(old) if isinstance(old, dict) else {}  # pyright: ignore[reportUnknownArgumentType]  # JSON
    changes: Json = patch  # pyright: ignore[reportUnknownVariableType]  # JSON
    for name, value in changes.items():
        merged[name] = _merged(merged.get(name), value)
    return {name: value for name, value in merged.items() if value is not None}


@contextmanager
def api_server() -> Generator[ApiServer]:
    """Serve until the body ends, with the namespace kube-system."""
    state = ApiServer()
    state.put("namespaces", "kube-system")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            status, body = state.handle(self.command, self.path, json.loads(self.rfile.read(length) or b"{}"))
            text = json.dumps(body).encode()
            self.send_response_only(status)
            self.send_header("Date", formatdate(state.time, usegmt=True))
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_DELETE = do_PATCH = answer  # noqa: N815  # names of the library

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # a name of the library
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        state.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
