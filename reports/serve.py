"""`kubechain report`: serves the last published report on a loopback address."""

from __future__ import annotations

import signal
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from rich.console import Console

from kubechain.claims.records import read_run
from kubechain.core.errors import ExitCode, SetupError

LOOPBACK = "127.0.0.1"
PAGE = "chain.html"


class Handler(SimpleHTTPRequestHandler):
    """Serves the files of one folder, and of the folder above it only PAGE; logs no requests."""

    def translate_path(self, path: str) -> str:
        """Return the file of a path in a URL."""
        return str(Path(self.directory).parent / PAGE) if path == f"/{PAGE}" else super().translate_path(path)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the parent's name
        """Log nothing."""


def bind(out: Path, port: int) -> ThreadingHTTPServer:
    """Return a server for the report published in `out`, bound to a loopback port (0: any free port).

    Raises:
        SetupError: there is no report (exit code NO_REPORT), or the port is not available.

    """
    report = out / "report"
    if not pages(out):
        results = out / "summary.md"
        also = f"; {results} has the results of the last run" if results.exists() else ""
        raise SetupError(f"no report in {report}: `kubechain run` writes one{also}", ExitCode.NO_REPORT)
    try:
        return ThreadingHTTPServer((LOOPBACK, port), partial(Handler, directory=str(report)))
    except OSError as error:
        raise SetupError(
            f"report: cannot listen on {LOOPBACK}:{port}: {error.strerror}; choose another --port", ExitCode.USAGE
        ) from error


def pages(out: Path) -> dict[Path, str]:
    """Return the pages that are published in `out`: each file with its path in the URL."""
    both = {out / PAGE: PAGE, out / "report" / "index.html": ""}
    return {page: path for page, path in both.items() if page.is_file()}


def verdict(out: Path) -> tuple[str, bool]:
    """Return the verdict and the time of the published run, and whether the chain holds."""
    try:
        run = read_run(out / "run.json")
    except SetupError as error:
        return f"no verdict: {error}", False
    note = f"; {run.note}" if run.note else ""
    return f"{run.verdict} (run of {run.started.isoformat()}{note})", run.holds


def serve(out: Path, port: int) -> None:
    """Serve the report published in `out` on a loopback port (0: any free port) until Ctrl-C; the errors are those of `bind`."""
    # SIGTERM stops the server as Ctrl-C does. SIGINT is set too, because a shell lets background processes ignore it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    with bind(out, port) as server:
        line, holds = verdict(out)
        console = Console(highlight=False, soft_wrap=True)
        console.print(line, style="bold green" if holds else "bold red", markup=False)
        for path in pages(out).values():
            console.print(f"http://{LOOPBACK}:{server.server_port}/{path} (stop: Ctrl-C)", markup=False)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            console.print()
