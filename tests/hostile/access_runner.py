"""Runs a command on a way to a cluster, and judges how it ended."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil

from kubechain.core.bundle import ROOT
from tests.hostile.access_environment import LOGIN
from tests.hostile.access_scene import TOKEN, Keys, Scene, without_proxies
from tests.hostile.access_way import Way
from tests.hostile.runner import CRASHES, SETTLE_SECONDS, SLOWNESS

# With commands in Pods, requests through the API server's proxy, and watches.
CLAIMS = "CHAIN-DEPLOYMENT-010,CHAIN-PODS-010,CHAIN-API-010,CHAIN-ENV-010"
SECONDS = 120.0 * SLOWNESS
MOST_CHARACTERS = 700
SECRETS = (TOKEN, LOGIN.partition(":")[2], "PRIVATE KEY-----")


@dataclass(frozen=True)
class Arrived:
    """How a command ended: exit code (None: it did not end), output, seconds, and what it left: objects, files, processes."""

    code: int | None
    output: str
    seconds: float
    left: tuple[str, ...]


def run(way: Way, keys: Keys, folder: Path) -> Arrived:
    """Run the command on a way, with all its files in a folder."""
    with ExitStack() as stack:
        scene = Scene(folder, keys, stack)
        way.make(scene)
        before = tuple(path.read_bytes() for path in _kubeconfigs(scene))
        words = [f"--context={scene.context}", *([f"--kubeconfig={scene.kubeconfig}"] if scene.kubeconfig else [])]
        verb = ["run", "--no-html", "--only", CLAIMS] if way.whole else ["doctor"]
        began = time.monotonic()
        code, output = _ended([sys.executable, "-m", "kubechain", *verb, *words], environment(scene), folder)
        seconds = time.monotonic() - began
        left = [f"{path} in the folder of temporary files" for path in (folder / "temporary").iterdir()]
        left += [f"secrets of a run: {path}" for path in folder.glob("out/**/secrets/*")]
        left += [f"process {' '.join(process.cmdline())}" for process in psutil.process_iter() if _is_of(process, folder)]
        ends = time.monotonic() + SETTLE_SECONDS
        while scene.cluster and not way.leaves and scene.cluster.left() and time.monotonic() < ends:
            scene.cluster.api.closed.wait(0.1)
        left += scene.cluster.left() if scene.cluster and not way.leaves else []
        if before != tuple(path.read_bytes() for path in _kubeconfigs(scene)):
            left.append("a kubeconfig that was written to")
        return Arrived(code, output, seconds, tuple(left))


def environment(scene: Scene) -> dict[str, str]:
    """Return the environment of a command on the way."""
    folder = scene.folder
    (folder / "temporary").mkdir(exist_ok=True)
    own = {"HOME": folder, "TMPDIR": folder / "temporary", "KUBECHAIN_OUT": folder / "out", "KUBECHAIN_CACHE": folder / "cache"}
    return {**without_proxies(), **{name: str(path) for name, path in own.items()}, "PYTHONPATH": str(ROOT), **scene.environment}


def wrong(way: Way, arrived: Arrived) -> list[str]:
    """Return what is wrong with an end."""
    found = [f"hang: no end after {SECONDS:.0f} s"] if arrived.code is None else []
    found += [f"traceback: {word}" for word in CRASHES if word in arrived.output]
    if arrived.code not in (None, way.code):
        found.append(f"exit code {arrived.code}, expected {int(way.code)}")
    line = next((line for line in arrived.output.splitlines() if re.search(way.says, line)), "")
    if not line:
        found.append(f"no line says {way.says!r}")
    elif len(line) > MOST_CHARACTERS and way.code:
        found.append(f"a line of {len(line)} characters")
    found += [f"a secret in the output: {secret}" for secret in SECRETS if secret in arrived.output]
    return found + [f"left: {what}" for what in arrived.left]


def _kubeconfigs(scene: Scene) -> list[Path]:
    return [path for path in sorted(scene.folder.rglob("*config")) if path.is_file()]


def _ended(command: list[str], variables: dict[str, str], folder: Path) -> tuple[int | None, str]:
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    try:
        output = process.communicate(timeout=SECONDS)[0]
        return process.returncode, output
    except subprocess.TimeoutExpired:
        process.kill()
        return None, process.communicate()[0]


def _is_of(process: psutil.Process, folder: Path) -> bool:
    """Whether a process was started with files of the folder."""
    try:
        return any(str(folder) in word for word in process.cmdline())
    except psutil.Error:
        return False
