"""What this machine offers to a run and lacks; nothing is changed, made or installed to find out."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from packaging.version import Version

from kubechain.cluster import docker_engine
from kubechain.core import versions
from kubechain.core.build_cache import GIB
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.process import run
from kubechain.core.settings import Folders
from kubechain.images import golang, pins

ASK_SECONDS = 1.0
PROGRAM_SECONDS = 5.0
RUN_GIB, BUILD_GIB = 4, 12
# Each Node of kind takes about 14: with the default of 128, the third cluster of three Nodes does not start.
INSTANCES = 512
OLDEST_NODE = 20


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report; `code` is the exit code that a run would end with if it is "missing"."""

    state: Literal["ok", "note", "missing"]
    what: str
    text: str
    code: ExitCode = ExitCode.HOLDS


def folders(settings: Folders) -> list[Finding]:
    """Say whether files can be made where results and builds go, and how much room there is."""
    return [_writable("results", "--out", settings.out), _writable("cache", "--cache", settings.cache)]


def _writable(what: str, option: str, folder: Path) -> Finding:
    there = _existing(folder)
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK) and not os.statvfs(there).f_flag & os.ST_RDONLY:
        return Finding("ok", what, str(folder))
    return Finding("missing", what, f"{folder} cannot be written; name another folder with {option}", ExitCode.USAGE)


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest above it that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def machine(settings: Folders) -> list[Finding]:
    """Say what the machine has for a kind cluster of its own."""
    checks: list[Callable[[], Finding]] = [
        lambda: engine(settings.cache),
        lambda: disk(settings.cache),
        lambda: inotify(Path("/proc/sys/fs/inotify")),
        lambda: memory(Path("/proc/meminfo")),
        registry,
        *programs(),
    ]
    with ThreadPoolExecutor(len(checks)) as pool:
        return [done.result() for done in [pool.submit(check) for check in checks]]


def engine(cache: Path) -> Finding:
    """Say which container engine runs, or whether a run could start one."""
    found = docker_engine.running()
    if found:
        whose = "started by a run of kubechain" if docker_engine.is_ours(cache) else "used as it is"
        return Finding("ok", "container engine", f"Docker {found[1]}, {whose}")
    try:
        docker_engine.require_startable()
    except SetupError as error:
        return Finding("missing", "container engine", str(error), error.code)
    how = "starts Docker" if shutil.which("dockerd") else f"installs {' '.join(docker_engine.PACKAGES)} and starts Docker"
    return Finding("note", "container engine", f"none answers; a run {how}")


def disk(cache: Path) -> Finding:
    """Say whether there is room for images and builds."""
    free = shutil.disk_usage(_existing(cache)).free / GIB
    text = f"{free:.1f} GiB free at {cache}"
    if free < RUN_GIB:
        return Finding("missing", "disk", f"{text}, a run needs {RUN_GIB} GiB: make room there", ExitCode.DISK)
    if free < BUILD_GIB:
        return Finding("note", "disk", f"{text}; to build Kubernetes from source takes {BUILD_GIB} GiB")
    return Finding("ok", "disk", text)


def inotify(folder: Path) -> Finding:
    """Say whether the kernel's limits on file watches fit several kind clusters."""
    limits = {name: folder / name for name in ("max_user_instances", "max_user_watches")}
    try:
        found = {name: int(path.read_text(encoding="utf-8")) for name, path in limits.items()}
    except (OSError, ValueError):
        return Finding("note", "inotify", "limits not visible")
    text = ", ".join(f"{name} {value}" for name, value in found.items())
    if found["max_user_instances"] < INSTANCES:
        advice = f"`sysctl fs.inotify.max_user_instances={INSTANCES}` makes room for more"
        return Finding("note", "inotify", f"{text}: three kind clusters of three Nodes do not fit under 128; {advice}")
    return Finding("ok", "inotify", text)


def memory(meminfo: Path) -> Finding:
    """Say how much memory and how many cores there are."""
    try:
        found = {
            name: int(kib) / 1024**2
            for name, kib in re.findall(r"^(\w+):\s+(\d+) kB$", meminfo.read_text(encoding="utf-8"), re.MULTILINE)
        }
        text = f"{found['MemAvailable']:.1f} of {found['MemTotal']:.1f} GiB available"
    except (OSError, KeyError):
        text = "memory not visible"
    return Finding("ok", "memory, cores", f"{text}, {os.cpu_count()} cores")


def registry() -> Finding:
    """Say whether a registry answers for the public node image."""
    image = pins.load().find("").node
    found = docker_engine.running()
    if not found or not image:
        return Finding(
            "note", "registry", "not asked: no container engine answers" if image else "not asked: no public node image is pinned"
        )
    # Killed at once: the docker client takes seconds to end by itself. It is what a run asks, which waits longer.
    ask = ["timeout", "--signal=KILL", str(ASK_SECONDS), found[0], "manifest", "inspect", image]
    if run(ask, timeout=PROGRAM_SECONDS).status == 0:
        return Finding("ok", "registry", f"answers for {image}: images are pulled")
    return Finding(
        "note", "registry", f"no answer for {image} within {ASK_SECONDS:g} s; without one, images are built from source"
    )


def programs() -> list[Callable[[], Finding]]:
    """Return what says of each program whether the machine has it recent enough, or where a run gets it."""
    pinned = pins.load()
    kind, go, minor = Version(pinned.kind), Version(pinned.go), pinned.find("").minor
    return [
        lambda: _program("kind", ["version"], lambda found: found >= kind, f"a run builds {pinned.kind} from its Go module"),
        lambda: _program(
            "kubectl", ["version", "--client"], lambda found: abs(found.minor - minor) <= 1, "a run takes that of the node image"
        ),
        lambda: _program("go", ["version"], lambda found: found >= go, f"a build takes {golang.GO_PACKAGE} from PyPI"),
        lambda: _program("node", ["--version"], lambda found: found.major >= OLDEST_NODE, "the HTML report takes it from PyPI"),
    ]


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
