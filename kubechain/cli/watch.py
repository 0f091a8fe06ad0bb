"""`kubechain watch`: runs again and again, with figures for Prometheus at /metrics, and /healthz."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from typing import Any

from prometheus_client import MetricsHandler
from rich.console import Console

from kubechain.cli import children
from kubechain.cli.children import Children
from kubechain.cli.in_cluster_commands import WatchCommand
from kubechain.cli.run import require_context, require_readable, require_writable
from kubechain.core.bundle import bundled
from kubechain.core.durations import seconds
from kubechain.core.errors import ExitCode, SetupError
from kubechain.results import kept_rounds, upload
from kubechain.results.rounds import Rounds

# Settings of this command that are none of a run.
OWN = ("every", "deadline", "rounds", "address", "port", "out")
# A watch stands still if no round has ended for so many intervals and the longest time of a round.
MOST_INTERVALS = 3
CLIENT_SECONDS = 60.0
# In the folder of results.
ROUNDS = "rounds.json"


def work(command: WatchCommand) -> int:
    """Run rounds until the process is ended, or --rounds of them; return the exit code of the last."""
    if not command.context:
        raise SetupError("watch: --context is missing: set the context of the cluster", ExitCode.USAGE)
    interval, deadline = seconds(command.every), seconds(command.deadline)
    # Each round would end with it.
    require_readable(command)
    require_context(command)
    require_writable("--out", command.out)
    if command.upload:
        upload.server(os.environ)
    stale = MOST_INTERVALS * interval + deadline
    rounds = kept_rounds.read(command.out / ROUNDS, command.context, time.time(), stale)
    runs, console = Children(), Console(highlight=False, soft_wrap=True)
    registry: Any = bundled("reports.watch_metrics").WatchRegistry(rounds, interval, stale)

    def healthy() -> bool:
        return time.time() - rounds.ended < stale

    code, number, pause = ExitCode.HOLDS, 0, threading.Event()
    with _server(command, registry, healthy) as server:
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
        console.print(f"  metrics: http://{command.address}:{server.server_port}/metrics", markup=False)
        try:
            while not command.rounds or number < command.rounds:
                number, start = number + 1, time.monotonic()
                code = _round(command, runs, rounds, registry, deadline, console)
                if number != command.rounds:
                    pause.wait(max(0.0, start + interval - time.monotonic()))
        finally:
            runs.end()
            server.shutdown()
    return code


def _round(command: WatchCommand, runs: Children, rounds: Rounds, registry: Any, deadline: float, console: Console) -> ExitCode:
    """Run once, add the result, and print its line; return the exit code of the run."""
    out, log, began = command.out / "round", command.out / "round.log", datetime.now(UTC)
    kept_rounds.write(rounds, command.out / ROUNDS, command.context, time.time(), begun=True)
    code = runs.run(["run"], children.environment(command, OWN, out), log, deadline)
    found = children.result(out, began)
    run = found[0] if found else None
    state = rounds.add(run, time.time())
    kept_rounds.write(rounds, command.out / ROUNDS, command.context, time.time(), begun=False)
    if run:
        registry.add(run)
    verdict = run.verdict if run else f"no verdict: {children.said(log)}"
    console.print(f"  {began:%Y-%m-%dT%H:%M:%SZ} {state}: {verdict}", markup=False)
    return code


def _server(command: WatchCommand, registry: Any, healthy: Callable[[], bool]) -> ThreadingHTTPServer:
    """Return a server of the figures; SetupError (exit code USAGE) if it cannot listen."""

    class Handler(MetricsHandler):
        """/metrics is that of the library."""

        # A client that says nothing keeps no thread for ever.
        timeout = CLIENT_SECONDS

        def do_GET(self) -> None:  # noqa: N802  # a name of the library
            if self.path.partition("?")[0] == "/metrics":
                super().do_GET()
                return
            is_health = self.path == "/healthz"
            status = HTTPStatus.NOT_FOUND
            if is_health:
                status = HTTPStatus.OK if healthy() else HTTPStatus.SERVICE_UNAVAILABLE
            body = f"{status.phrase}\n".encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    class Server(ThreadingHTTPServer):
        """A server of the family of its address."""

        address_family = socket.AF_INET6 if ":" in command.address else socket.AF_INET
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            # Prometheus hangs up when its scrape timeout is over, and its alerts say that it has no figures.
            if not isinstance(sys.exception(), ConnectionError):
                super().handle_error(request, client_address)

    Handler.registry = registry
    try:
        return Server((command.address, command.port), Handler)
    except OSError as error:
        what = f"watch: cannot listen on {command.address}:{command.port}: {error.strerror}; choose another --address or --port"
        raise SetupError(what, ExitCode.USAGE) from error
