"""The doctor's checks of this machine; they change nothing."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from packaging.version import Version

from kubechain.cluster import docker_client, docker_engine, docker_packages
from kubechain.core import pypi, versions
from kubechain.core.build_cache import GIB
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.process import run
from kubechain.core.settings import Folders
from kubechain.images import golang, pins
from kubechain.provision import inotify

ASK_SECONDS = 1.0
PROGRAM_SECONDS = 5.0
RUN_GIB, BUILD_GIB = 4, 12
OLDEST_NODE = 20


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's output; `code` is the exit code of a run that fails because of a "missing" finding."""

    state: Literal["ok", "note", "missing"]
    what: str
    text: str
    code: ExitCode = ExitCode.HOLDS


def folders(settings: Folders) -> list[Finding]:
    """Check that the folders of results and builds are writable."""
    return [_writable("results", "--out", settings.out), _writable("cache", "--cache", settings.cache)]


def _writable(what: str, option: str, folder: Path) -> Finding:
    parent = _existing(folder)
    if parent.is_dir() and os.access(parent, os.W_OK | os.X_OK) and not os.statvfs(parent).f_flag & os.ST_RDONLY:
        return Finding("ok", what, str(folder))
    return Finding("missing", what, f"{folder} cannot be written: set another folder with {option}", ExitCode.USAGE)


def _existing(folder: Path) -> Path:
    """Return the folder or its nearest parent that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def machine(settings: Folders) -> list[Finding]:
    """Check what a run with its own kind cluster needs."""
    checks: list[Callable[[], Finding]] = [
        lambda: engine(settings.cache),
        lambda: disk(settings.cache),
        lambda: instances(inotify.LIMITS),
        lambda: memory(Path("/proc/meminfo")),
        lambda: registry(settings.cache),
        *programs(),
    ]
    return _findings(checks)


def beside_a_cluster() -> list[Finding]:
    """Check what a run on an existing cluster needs: no container engine, no disk space for images, and any kubectl."""
    return _findings([lambda: memory(Path("/proc/meminfo")), kubectl_of_path, node])


def _findings(checks: Sequence[Callable[[], Finding]]) -> list[Finding]:
    with ThreadPoolExecutor(len(checks)) as pool:
        return [future.result() for future in [pool.submit(check) for check in checks]]


def engine(cache: Path) -> Finding:
    """Check that a container engine runs, or that a run can start one."""
    try:
        found = docker_engine.find(cache)
        if found:
            origin = "started by a run of kubechain" if found.ours else "not started by kubechain"
            hint = f"; in your shell: export {docker_client.VARIABLE}={found.address}" if found.ours and found.address else ""
            return Finding("ok", "container engine", f"Docker {found.version}, {origin}{hint}")
        docker_engine.require_startable(cache)
    except SetupError as error:
        return Finding("missing", "container engine", str(error), error.code)
    how = "starts Docker" if shutil.which("dockerd") else f"installs {' '.join(docker_packages.PACKAGES)} and starts Docker"
    return Finding("note", "container engine", f"none answers: a run {how}")


def disk(cache: Path) -> Finding:
    """Check that the disk of the cache has space for images and builds."""
    free = shutil.disk_usage(_existing(cache)).free / GIB
    text = f"{free:.1f} GiB free at {cache}"
    if free < RUN_GIB:
        return Finding("missing", "disk", f"{text}, a run needs {RUN_GIB} GiB: free some space", ExitCode.DISK)
    if free < BUILD_GIB:
        return Finding("note", "disk", f"{text}, a build of Kubernetes from source needs {BUILD_GIB} GiB")
    return Finding("ok", "disk", text)


def instances(limits: Path) -> Finding:
    """Check that the kernel's limit on inotify instances allows several kind clusters."""
    most = inotify.limit(limits)
    if most is None:
        return Finding("note", "inotify", "limits not visible")
    text = f"max_user_instances {most}, {inotify.used()} in use"
    if most < inotify.ENOUGH:
        advice = f"to raise it: sysctl fs.inotify.max_user_instances={inotify.ENOUGH}"
        return Finding("note", "inotify", f"{text}: a kind Node takes about {inotify.OF_A_NODE}; {advice}")
    return Finding("ok", "inotify", text)


def memory(meminfo: Path) -> Finding:
    """Report memory and cores."""
    try:
        gib = {
            name: int(kib) / 1024**2
            for name, kib in re.findall(r"^(\w+):\s+(\d+) kB$", meminfo.read_text(encoding="utf-8"), re.MULTILINE)
        }
        text = f"{gib['MemAvailable']:.1f} of {gib['MemTotal']:.1f} GiB available"
    except (OSError, KeyError):
        text = "memory not visible"
    return Finding("ok", "memory, cores", f"{text}, {os.cpu_count()} cores")


def registry(cache: Path) -> Finding:
    """Check that a registry has the public node image."""
    image = pins.load().find("").node
    try:
        found = docker_engine.find(cache)
    except SetupError:
        found = None
    if not found or not image:
        why = "no container engine answers" if image else "no public node image is pinned"
        return Finding("note", "registry", f"not checked: {why}")
    # KILL, because the docker client takes seconds to end after TERM. A run does the same request with a longer timeout.
    request = ["timeout", "--signal=KILL", str(ASK_SECONDS), found.docker, "manifest", "inspect", image]
    if run(request, timeout=PROGRAM_SECONDS).status == 0:
        return Finding("ok", "registry", f"has {image}: a run pulls its images")
    return Finding(
        "note", "registry", f"no answer for {image} within {ASK_SECONDS:g} s: a run without an answer builds images from source"
    )


def programs() -> list[Callable[[], Finding]]:
    """Return a check for each program: that its version on this machine fits, else where a run gets it."""
    pinned = pins.load()
    go_package = pypi.package(golang.GO_LOCK)
    kind, go, minor = Version(pinned.kind), Version(pinned.go), pinned.find("").minor
    return [
        lambda: _program("kind", ["version"], lambda found: found >= kind, f"a run builds {pinned.kind} from its Go module"),
        lambda: _program(
            "kubectl", ["version", "--client"], lambda found: abs(found.minor - minor) <= 1, "a run uses that of the node image"
        ),
        lambda: _program("go", ["version"], lambda found: found >= go, f"a build installs {go_package} from PyPI"),
        node,
    ]


def kubectl_of_path() -> Finding:
    """Look for a kubectl of any version, as a run on an existing cluster does."""
    return _program("kubectl", ["version", "--client"], lambda _: True, "the claims that type commands are skipped")


def node() -> Finding:
    """Check that Node.js is recent enough for the HTML report."""
    return _program("node", ["--version"], lambda found: found.major >= OLDEST_NODE, "the HTML report installs it from PyPI")


def _program(name: str, words: list[str], fits: Callable[[Version], bool], otherwise: str) -> Finding:
    path = shutil.which(name)
    if not path:
        return Finding("note", name, f"not found; {otherwise}")
    try:
        version = versions.find(run([path, *words], timeout=PROGRAM_SECONDS).stdout)
    except SetupError as error:
        return Finding("note", name, f"{error}; {otherwise}")
    if version and fits(version):
        return Finding("ok", name, f"{version} ({path})")
    return Finding("note", name, f"{version or 'unknown version'} ({path}) does not fit; {otherwise}")
