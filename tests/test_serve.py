"""`kubechain report`: the published report on loopback, or an error of one line."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import requests

from kubechain.cli.parser import parse
from kubechain.core.bundle import ROOT
from kubechain.core.errors import ExitCode, SetupError
from reports import serve
from tests.fakes import run_record

RUN = run_record(None, code=0)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A published run."""
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("the report")
    (tmp_path / "run.json").write_text(json.dumps(RUN.as_json()))
    return tmp_path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_report_folder_is_served_until_a_signal(out: Path, number: signal.Signals) -> None:
    words = [sys.executable, "-u", "-m", "kubechain", "report"]
    environment = {**os.environ, "KUBECHAIN_OUT": str(out)}
    with subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().startswith(f"{RUN.verdict} (run of 2026-01-01T00:00:00+00:00)")
        address = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        assert address
        assert requests.get(address[0], timeout=5).text == "the report"
        assert requests.get(address[0] + "../run.json", timeout=5).status_code == 404
        process.send_signal(number)
        assert process.wait(timeout=10) == 0


def test_chain_page_is_served_beside_the_report_and_nothing_else_of_the_folder(out: Path) -> None:
    assert list(serve.pages(out).values()) == [""]
    (out / "chain.html").write_text("the chain")
    assert list(serve.pages(out).values()) == ["chain.html", ""]
    with serve.bind(out, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        assert [requests.get(address + path, timeout=5).text for path in ("chain.html", "")] == ["the chain", "the report"]
        assert requests.get(address + "run.json", timeout=5).status_code == 404
        server.shutdown()


def test_chain_page_alone_is_a_report(tmp_path: Path) -> None:
    (tmp_path / "chain.html").write_text("the chain")
    with serve.bind(tmp_path, 0) as server:
        assert server.server_port


def test_missing_report_has_its_own_exit_code(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no report in") as raised:
        serve.bind(tmp_path, 0)
    assert raised.value.code == ExitCode.NO_REPORT


def test_port_in_use_is_an_error_of_one_line(out: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(SetupError, match="in use; choose another --port") as raised,
    ):
        serve.bind(out, taken.getsockname()[1])
    assert raised.value.code == ExitCode.USAGE


@pytest.mark.parametrize("text", ["-1", "x", "65536"])
def test_bad_port_is_refused(text: str) -> None:
    with pytest.raises(SetupError, match=f"^--port={text}: ") as raised:
        parse(["report", f"--port={text}"])
    assert raised.value.code == ExitCode.USAGE


def test_report_without_a_readable_run_has_no_verdict(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    assert serve.verdict(tmp_path) == (f"no verdict: {tmp_path / 'run.json'}: not JSON, or truncated", False)


def test_report_of_an_earlier_version_has_a_note(tmp_path: Path) -> None:
    shutil.copy(ROOT / "tests" / "data" / "run-schema-1.json", tmp_path / "run.json")
    line, holds = serve.verdict(tmp_path)
    assert line.startswith("chain broken at PODS: ")
    assert line.endswith("; schema 1, read as 2)")
    assert not holds
