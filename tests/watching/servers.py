"""Prometheus and Alertmanager as processes on loopback, and the receiver of what Alertmanager sends."""

from __future__ import annotations

import json
import subprocess
import threading
import time
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from kubechain.core.errors import HarnessError
from reports.deploy import files
from tests.go_programs import ALERTMANAGER, AMTOOL, PROMETHEUS, PROMTOOL
from tests.loopback import HOST, free_port
from tests.watching.records import Notice

READY_SECONDS = 60.0
ENDS = 10.0


class Receiver:
    """What Alertmanager has sent so far; `changed` is notified of more."""

    def __init__(self, changed: threading.Condition) -> None:
        self.notices: list[Notice] = []
        self._changed = changed

    @contextmanager
    def serving(self) -> Generator[str]:
        """Serve while the body runs; yield the address."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # a name of the library
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()
                receiver.take(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # a name of the library
                """Print nothing."""

        server = ThreadingHTTPServer((HOST, 0), Handler)
        threading.Thread(target=server.serve_forever, name="receiver", daemon=True).start()
        try:
            yield f"http://{HOST}:{server.server_port}/"
        finally:
            server.shutdown()
            server.server_close()

    def take(self, body: Any) -> None:
        """Take a notification, in the form of Alertmanager's webhooks."""
        with self._changed:
            for each in body["alerts"]:
                name, link = each["labels"]["alertname"], each["labels"].get("link", "")
                self.notices.append(Notice(at=time.time(), name=name, link=link, firing=each["status"] == "firing"))
            self._changed.notify_all()


@contextmanager
def monitoring(folder: Path, target: str, receiver: str, interval: float) -> Generator[None]:
    """Run Prometheus, which reads the figures at `target` (HOST:PORT) each `interval` seconds, and Alertmanager.

    Raises:
        HarnessError: one of them does not take its configuration, or does not begin.

    """
    prometheus, alertmanager = free_port(), free_port()
    seconds = f"{max(1, round(interval * 1000))}ms"
    route = {"receiver": "rig", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s", "repeat_interval": "24h"}
    webhook = {"url": receiver, "send_resolved": True}
    of_alertmanager = {"route": route, "receivers": [{"name": "rig", "webhook_configs": [webhook]}]}
    of_prometheus = {
        "global": {"scrape_interval": seconds, "scrape_timeout": seconds, "evaluation_interval": seconds},
        "rule_files": [str(files.FOLDER / "prometheus-rules.yaml")],
        "scrape_configs": [{"job_name": "kubechain", "static_configs": [{"targets": [target]}]}],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"{HOST}:{alertmanager}"]}]}]},
    }
    configs = {"alertmanager": of_alertmanager, "prometheus": of_prometheus}
    for name, content in configs.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    _check([AMTOOL.built(), "check-config", folder / "alertmanager.yaml"])
    _check([PROMTOOL.built(), "check", "config", folder / "prometheus.yaml"])
    programs = {
        "alertmanager": (ALERTMANAGER.built(), alertmanager, ["--storage.path", "--cluster.listen-address="]),
        "prometheus": (PROMETHEUS.built(), prometheus, ["--storage.tsdb.path"]),
    }
    with ExitStack() as stack:
        for name, (program, port, (storage, *more)) in programs.items():
            words = [f"--config.file={folder}/{name}.yaml", f"{storage}={folder}/{name}", f"--web.listen-address={HOST}:{port}"]
            stack.enter_context(_running([program, *words, *more], folder / f"{name}.log", port))
        yield


def _check(argv: Sequence[str | Path]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=READY_SECONDS)
    if done.returncode:
        raise HarnessError(f"{Path(argv[0]).name}: {done.stdout}{done.stderr}")


@contextmanager
def _running(argv: Sequence[str | Path], log: Path, port: int) -> Generator[None]:
    """Run a server while the body runs, once it is ready; its output goes to a file."""
    with log.open("wb") as output, subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output) as process:
        try:
            _await_ready(process, port, log)
            yield
        finally:
            process.terminate()
            try:
                process.wait(ENDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _await_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until, pause = time.monotonic() + READY_SECONDS, threading.Event()
    while process.poll() is None and time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/-/ready", timeout=5):  # loopback
                return
        except OSError:
            pause.wait(0.2)
    raise HarnessError(f"expected {log.stem} to be ready within {READY_SECONDS:.0f} s, got {log.read_text()[-500:]}")
