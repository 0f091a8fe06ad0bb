"""The dockerd that kubechain starts: its folders, its configuration, its process, and its start and end.

It shares nothing with another dockerd: neither data, pid file and socket, nor the namespace of its containers in containerd.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from kubechain.cluster import bounded_runtime, docker_client, network_isolation
from kubechain.conditions.condition import Condition, Result, empty, expect, hopeless
from kubechain.conditions.timeouts import Timeout
from kubechain.core.errors import ExitCode, SetupError, unmet_as
from kubechain.core.process import OWNER, pid_namespace, run
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled, Waiter

STARTING = Timeout(60, "dockerd reads its images and sets up its networks")
STOPPING = Timeout(30, "dockerd stops its containers, 10 s each")
KILLED = Timeout(10, "the kernel ends the processes of a killed container")
UNMOUNT_SECONDS = 20.0
RUN = Path("/run")
# The namespace in containerd of the containers of a dockerd that is not ours.
MOBY = "moby"


@dataclass(frozen=True)
class Daemon:
    """The dockerd of a cache, running or not."""

    cache: Path

    @property
    def folder(self) -> Path:
        """The folder of its configuration, pid file, log and data."""
        return self.cache / "engine"

    @property
    def config(self) -> Path:
        """Its configuration, by whose path in its command line its process is known again."""
        return self.folder / "daemon.json"

    @property
    def data(self) -> Path:
        """Its images, containers and volumes."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """Its log."""
        return self.folder / "dockerd.log"

    @property
    def isolation(self) -> Path:
        """The record of the network isolation."""
        return self.folder / "isolation.json"

    @property
    def name(self) -> str:
        """A name for what lies outside the cache, one for each cache."""
        return f"kubechain-{hashlib.sha256(str(self.cache.resolve()).encode()).hexdigest()[:8]}"

    @property
    def state(self) -> Path:
        """The folder of its socket and state; not in the cache, because the path of a socket has at most 107 bytes."""
        return RUN / self.name

    @property
    def address(self) -> str:
        """The address of its socket; that of an engine of an earlier version is the default one."""
        return docker_client.DEFAULT if self.is_of_an_earlier_version() else f"unix://{self.state / 'docker.sock'}"

    def is_of_an_earlier_version(self) -> bool:
        """Whether an earlier version of kubechain started it last, which gave it the data and socket of Docker's default."""
        try:
            return "hosts" not in json.loads(self.config.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False

    def process(self) -> psutil.Process | None:
        """Return its process, None if it does not run."""
        try:
            process = psutil.Process(int((self.folder / "dockerd.pid").read_text(encoding="utf-8")))
            return process if str(self.config) in process.cmdline() else None
        except (OSError, ValueError, psutil.Error):
            return None

    def shims(self) -> list[psutil.Process]:
        """Return the processes that hold its containers; they outlive a dockerd that was killed."""
        return [process for process in psutil.process_iter() if _is_shim(process, self.name)]

    def start(self) -> None:
        """Start it, isolated and detached from this process, and wait until it answers.

        Raises:
            SetupError: it does not answer in time (exit code ENGINE); the message names its log.

        """
        for folder in (self.state, self.data):
            folder.mkdir(parents=True, exist_ok=True)
        if self.is_of_an_earlier_version():
            network_isolation.adopt_earlier(self.isolation)
        self.config.write_text(json.dumps(self.configuration(), indent=2), encoding="utf-8")
        # An engine that was killed leaves its pid file.
        (self.folder / "dockerd.pid").unlink(missing_ok=True)
        network_isolation.apply(self.isolation)
        with self.log.open("wb") as output:
            # setsid --fork: the engine outlives this process and is not its child.
            subprocess.run(
                ["setsid", "--fork", "dockerd", "--config-file", str(self.config)],
                # Without OWNER: the engine serves all runs, so that it must not be ended with the run that started it.
                env={name: value for name, value in os.environ.items() if name not in (OWNER, docker_client.VARIABLE)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=True,
            )
        source = Polled("dockerd", lambda: self.log.read_text(errors="replace", encoding="utf-8"), RealClock())
        try:
            with unmet_as(SetupError, f"dockerd does not start (its log: {self.log})", code=ExitCode.ENGINE):
                Waiter(RealClock()).eventually(source, Condition("dockerd to answer", self._has_started), within=STARTING)
        except SetupError:
            process = self.process()
            if process:
                process.terminate()
            network_isolation.undo(self.isolation)
            raise
        # Again: only now is it known whether this Docker has a chain of its own for IPv6.
        network_isolation.apply(self.isolation)

    def stop(self) -> None:
        """End it, or the containers of one that has died, and undo its isolation.

        Raises:
            Unmet: a process does not end in time.

        """
        waiter, process = Waiter(RealClock()), self.process()
        if self.is_of_an_earlier_version():
            network_isolation.adopt_earlier(self.isolation)
            self.config.unlink()
        if process:
            process.terminate()
            stopped = Condition[bool](
                "dockerd stopped", lambda alive: expect(not alive, f"its process {process.pid} still running")
            )
            waiter.eventually(Polled("dockerd", lambda: self.process() is not None, waiter.clock), stopped, within=STOPPING)
        else:
            for shim in self.shims():
                # The first process of a container is a child of its shim; the kernel ends all others with it.
                for started in (*shim.children(), shim):
                    started.kill()
            alive = Polled("containers", lambda: [str(shim.pid) for shim in self.shims()], waiter.clock)
            waiter.eventually(alive, empty("container"), within=KILLED)
        # An engine that was killed leaves file systems of its containers mounted.
        for mount in sorted(_mounts_below(self.folder, self.state), reverse=True):
            run(["umount", mount], timeout=UNMOUNT_SECONDS)
        shutil.rmtree(self.state, ignore_errors=True)
        network_isolation.undo(self.isolation)

    def configuration(self) -> dict[str, Any]:
        """Return the configuration of dockerd, with the bounded runtime if the bounding set is incomplete."""
        configuration: dict[str, Any] = {
            "hosts": [f"unix://{self.state / 'docker.sock'}"],
            "data-root": str(self.data),
            "exec-root": str(self.state / "exec"),
            "pidfile": str(self.folder / "dockerd.pid"),
            # Another dockerd may have the default namespace, if both use the containerd of the system.
            "containerd-namespace": self.name,
        }
        if bounded_runtime.is_complete(Path("/proc/self/status").read_text(encoding="utf-8")):
            return configuration
        script, wrapper = self.folder / "bounded_runtime.py", self.folder / "bounded-runc"
        shutil.copyfile(bounded_runtime.__file__, script)
        # Not the python of this virtual environment, which is removed with its checkout.
        python = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
        wrapper.write_text(f'#!/bin/sh\nexec {python} -I -S "{script}" "$@"\n', encoding="utf-8")
        wrapper.chmod(0o755)
        return {**configuration, "runtimes": {"bounded": {"path": str(wrapper)}}, "default-runtime": "bounded"}

    def _has_started(self, log: str) -> Result:
        """Check a start by the log of dockerd and by whether it serves its socket."""
        lines = log.strip().splitlines()
        last = lines[-1] if lines else "an empty log"
        if "failed to" in last and not last.startswith("time="):
            return hopeless(last)
        return expect(docker_client.is_served(self.state / "docker.sock"), last)


def stranger() -> str | None:
    """Return the words for a process of a container engine of this machine that no kubechain started, None if there is none."""
    for process in psutil.process_iter():
        # The process may have ended, or belong to another user.
        with contextlib.suppress(psutil.Error, OSError):
            if pid_namespace(process.pid) == pid_namespace():
                if process.name() == "dockerd":
                    return f"dockerd (pid {process.pid})"
                if _is_shim(process, MOBY):
                    return f"a container of a Docker that is down (pid {process.pid})"
    return None


def _mounts_below(*folders: Path) -> list[str]:
    """Return the mount points below folders, without their own."""
    mounted = {Path(partition.mountpoint) for partition in psutil.disk_partitions(all=True)}
    return [str(mount) for mount in mounted if any(folder.resolve() in mount.parents for folder in folders)]


def _is_shim(process: psutil.Process, namespace: str) -> bool:
    """Whether a process holds a container of a namespace in containerd."""
    with contextlib.suppress(psutil.Error):
        words = process.cmdline()
        return bool(words) and Path(words[0]).name.startswith("containerd-shim") and namespace in words
    return False
