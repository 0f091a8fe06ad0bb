"""`kubechain report`: shows the last published report to a browser on this machine, and to nobody else."""

from __future__ import annotations

import signal
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from rich.console import Console

from kubechain.claims.records import read_run
from kubechain.core.errors import ExitCode, SetupError

LOOPBACK = "127.0.0.1"


class Handler(SimpleHTTPRequestHandler):
    """Serves the files of one folder, without a line for each request."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the parent's name
        """Say nothing."""


def bind(out: Path, port: int) -> ThreadingHTTPServer:
    """Return a server for the report published in `out`, bound to a port of loopback (0: a free one).

    Raises:
        SetupError: there is no report (exit code NO_REPORT), or the port cannot be had.

    """
    report = out / "report"
    if not (report / "index.html").is_file():
        results = out / "summary.md"
        also = f"; the last run's results are in {results}" if results.exists() else ""
        raise SetupError(f"no report in {report}: `kubechain run` makes one{also}", ExitCode.NO_REPORT)
    try:
        return ThreadingHTTPServer((LOOPBACK, port), partial(Handler, directory=str(report)))
    except OSError as error:
        raise SetupError(f"cannot serve on {LOOPBACK}:{port}: {error.strerror}", ExitCode.HARNESS) from error


def verdict(out: Path) -> tuple[str, bool]:
    """Return the verdict of the published run with the time of the run, and whether the chain holds."""
    try:
        run = read_run(out / "run.json")
    except SetupError as error:
        return f"no verdict: {error}", False
    note = f"; {run.note}" if run.note else ""
    return f"{run.verdict} (run of {run.started.isoformat()}{note})", run.holds


def serve(out: Path, port: int) -> None:
    """Serve the report published in `out` on a port of loopback (0: a free one) until Ctrl-C; the errors are those of `bind`."""
    # SIGTERM ends it as Ctrl-C does; and a shell lets what it starts in the background ignore SIGINT.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    with bind(out, port) as server:
        line, holds = verdict(out)
        console = Console(highlight=False, soft_wrap=True)
        console.print(line, style="bold green" if holds else "bold red", markup=False)
        console.print(f"http://{LOOPBACK}:{server.server_port}/ (Ctrl-C ends it)", markup=False)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            console.print()
