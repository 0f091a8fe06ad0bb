"""The cluster: its controllers in one thread, its API server on a port of loopback, and what a run left on it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from kubechain.core.run import CORDONED_BY, RUN_LABEL
from tests.hostile import services, workloads
from tests.hostile.access import Access
from tests.hostile.addresses import Addresses
from tests.hostile.api import ApiServer
from tests.hostile.core import Core
from tests.hostile.exchange import Exchange
from tests.hostile.furniture import furnish
from tests.hostile.network import Network
from tests.hostile.store import Store
from tests.loopback import free_port

ENDS = 5.0
CONTROLLERS: dict[str, Callable[[Core], None]] = {
    "namespace": workloads.namespaces,
    "garbage collector": workloads.garbage,
    "Deployment": workloads.deployments,
    "ReplicaSet": workloads.replica_sets,
    "scheduler": workloads.scheduler,
    "kubelet": workloads.kubelet,
    "EndpointSlice": services.endpoint_slices,
    "Endpoints": services.endpoints,
    "kube-proxy": services.kube_proxy,
}


@dataclass
class Cluster:
    """A cluster of three Nodes; the controllers whose names are in `off` do nothing."""

    core: Core
    api: ApiServer
    kubeconfig: Path
    off: set[str] = field(default_factory=set[str])
    _server: ThreadingHTTPServer | None = None
    _connections: set[Any] = field(default_factory=set[Any])

    @property
    def store(self) -> Store:
        """The objects."""
        return self.core.store

    @property
    def port(self) -> int:
        """The port of the API server."""
        return self.core.addresses.port

    def left(self) -> list[str]:
        """Return what a run left: namespaces with its label, cordoned Nodes, open watches."""
        spaces = [each for each in self.store.all("Namespace") if RUN_LABEL in each["metadata"].get("labels", {})]
        nodes = [each for each in self.store.all("Node") if CORDONED_BY in each["metadata"].get("annotations", {})]
        watches = [f"{self.api.watches} watches"] if self.api.watches else []
        return [f"{each['kind']} {each['metadata']['name']}" for each in (*spaces, *nodes)] + watches

    def control(self) -> None:
        """Call the controllers after each change, until the cluster is closed."""
        store = self.store
        seen: object = None
        while not self.api.closed.is_set():
            with store.changed:
                now = store.version, frozenset(self.off)
                if now == seen:
                    store.changed.wait(0.2)
                    continue
                seen = now
                for name, controller in CONTROLLERS.items():
                    if name not in self.off:
                        controller(self.core)

    def outage(self, seconds: float) -> None:
        """Refuse and break all connections to the API server for a time."""
        self.stop()
        self.api.closed.wait(seconds)
        self.start()

    def stop(self) -> None:
        """Close the API server's port and all its connections."""
        server, self._server = self._server, None
        if server:
            server.shutdown()
            server.server_close()
        for connection in list(self._connections):
            connection.close_by_server()

    def start(self) -> None:
        """Open the API server's port."""
        self._server = _serving(self.api, self.port, self._connections)


def _serving(api: ApiServer, port: int, connections: set[Any]) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = 0

        def handle(self) -> None:
            connections.add(self)
            try:
                super().handle()
            finally:
                connections.discard(self)

        def exchange(self) -> None:
            api.handle(Exchange(self, api))

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = exchange  # noqa: N815  # names of the library

        def close_by_server(self) -> None:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # a name of the library
            """Print nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: Any, client_address: Any) -> None:
            """The client may close its connection at any time."""

    server = Server(("127.0.0.1", port), Handler)
    if api.access.tls:
        server.socket = api.access.tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, args=(0.05,), name="api server", daemon=True).start()
    return server


@contextmanager
def cluster(folder: Path, access: Access, prepare: Callable[[Cluster], object] | None = None) -> Generator[Cluster]:
    """Run a cluster, with its kubeconfig in a folder, while the body runs; `prepare` makes it misbehave first.

    Raises:
        AssertionError: a rule or the server has an error, which a client can only see as a connection that is closed.

    """
    network = Network()
    core = Core(Store(), Addresses(free_port()), network, access.ca)
    made = Cluster(core, ApiServer(core, access), access.kubeconfig(folder / "kubeconfig", core.addresses.port))
    furnish(core)
    if prepare:
        prepare(made)
    made.start()
    controllers = threading.Thread(target=made.control, name="controllers", daemon=True)
    controllers.start()
    try:
        yield made
    finally:
        made.api.closed.set()
        made.stop()
        controllers.join(ENDS)
        network.close()
    assert not made.api.errors, "\n".join(made.api.errors)
