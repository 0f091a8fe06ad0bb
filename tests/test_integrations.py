"""The files of deploy/integrations: their scripts run against a cluster on loopback, and a server that gets their result."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from kubechain.cli.commands import RunCommand
from kubechain.cli.options import options
from kubechain.core.bundle import ROOT
from kubechain.images import runner
from reports.deploy import files
from tests.hostile.access import CONTEXT, plain
from tests.hostile.cases import full
from tests.hostile.cluster import Cluster, cluster

pytestmark = pytest.mark.whole_runs

FOLDER = files.FOLDER / "integrations"
FILES = sorted(path for path in FOLDER.rglob("*") if path.is_file())
ONE = "CHAIN-DEPLOYMENT-010"


def content(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


def script(container: Any, made: Cluster, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the shell script of a container with its variables, on a cluster on loopback."""
    (argument,) = container["args"]
    given = {each["name"]: each["value"].replace("/tmp/", f"{folder}/") for each in container["env"]}  # noqa: S108  # in the file
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KUBECHAIN_")}
    environment = {
        **kept,
        **given,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "KUBECHAIN_CONTEXT": CONTEXT,
        "KUBECHAIN_KUBECONFIG": str(made.kubeconfig),
        "KUBECHAIN_CACHE": str(folder / "cache"),
        "KUBECHAIN_ONLY": ONE,
        "KUBECHAIN_PATIENCE": "0.1",
        "KUBECHAIN_HTML": "0",
        **more,
    }
    command = [*container["command"], argument]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300)


def broken(made: Cluster) -> None:
    made.off.add("Deployment")


def healthy(_made: Cluster) -> None:
    pass


@pytest.mark.parametrize(("make", "failures"), [full(healthy, 0), (broken, 1)])
def test_sonobuoy_gets_the_results(tmp_path: Path, make: Any, failures: int) -> None:
    results = tmp_path / "results"
    results.mkdir()
    with cluster(tmp_path, plain(), make) as made:
        done = script(content("sonobuoy-plugin.yaml")["spec"], made, tmp_path, SONOBUOY_RESULTS_DIR=str(results))
    assert done.returncode == 0, done.stdout + done.stderr
    named = Path((results / "done").read_text())
    assert named.name == "junit.xml"
    assert len(list(ElementTree.parse(named).getroot().iter("failure"))) == failures  # noqa: S314  # our own file


def test_sonobuoy_hears_that_there_is_no_result(tmp_path: Path) -> None:
    with cluster(tmp_path, plain()) as made:
        done = script(
            content("sonobuoy-plugin.yaml")["spec"], made, tmp_path, SONOBUOY_RESULTS_DIR=str(tmp_path), KUBECHAIN_LEVEL="all"
        )
    assert done.returncode == 0
    assert "ended before it had a result" in Path((tmp_path / "done").read_text()).read_text()


@pytest.mark.parametrize(
    ("make", "more", "error"),
    [
        full(healthy, {}, ""),
        (broken, {}, "chain broken at DEPLOYMENT: "),
        (healthy, {"KUBECHAIN_LEVEL": "all"}, "kubechain: KUBECHAIN_LEVEL=all: expected 'quick' or 'full'"),
    ],
)
def test_kuberhealthy_gets_the_verdict(tmp_path: Path, make: Any, more: dict[str, str], error: str) -> None:
    got: list[tuple[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # a name of the library
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.headers["kh-run-uuid"], json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # a name of the library
            """Print nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (container,) = content("kuberhealthy-check.yaml")["spec"]["podSpec"]["containers"]
    url = f"http://127.0.0.1:{server.server_port}/report"
    with cluster(tmp_path, plain(), make) as made:
        done = script(container, made, tmp_path, KH_REPORTING_URL=url, KH_RUN_UUID="u-1", **more)
    server.shutdown()
    server.server_close()
    assert done.returncode == 0, done.stdout + done.stderr
    ((uuid, report),) = got
    assert (uuid, report["OK"], len(report["Errors"])) == ("u-1", not error, 1 if error else 0)
    assert "".join(report["Errors"]).startswith(error)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_name_the_image_and_the_settings_of_this_version(path: Path) -> None:
    text = path.read_text()
    assert yaml.safe_load(text)
    assert set(re.findall(r"kubechain/runner:[^\s'\"]+", text)) <= {runner.name()}
    known = {option.variable for option in options(RunCommand)}
    assert set(re.findall(r"KUBECHAIN_[A-Z_]+", text)) <= known
    flags = {flag for option in options(RunCommand) for flag in option.flags}
    assert set(re.findall(r"(?<=kubechain run )--[a-z-]+", text)) <= flags


def test_inputs_of_the_action_reach_the_shell_as_variables_alone() -> None:
    action = content("github/action.yml")
    (step,) = action["runs"]["steps"]
    assert "${{" not in step["run"]
    used = set(re.findall(r"inputs\.([a-z]+)", json.dumps(step["env"])))
    assert used == set(action["inputs"])
