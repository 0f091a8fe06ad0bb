"""The container engine: the running Docker, else one that is installed and started here, without access to the network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from kubechain.cluster import bounded_runtime, network_isolation
from kubechain.conditions.condition import Condition, Result, expect, hopeless
from kubechain.conditions.timeouts import Timeout
from kubechain.core import file_locks
from kubechain.core.errors import ExitCode, SetupError, unmet_as
from kubechain.core.process import OWNER, check, run
from kubechain.core.progress import Progress
from kubechain.observe.clock import RealClock
from kubechain.observe.wait import Polled, Waiter

ANSWER_SECONDS = 15.0
STARTING = Timeout(60, "dockerd reads its images and sets up its networks")
STOPPING = Timeout(30, "dockerd stops its containers, 10 s each")
PACKAGES = ("docker.io", "iptables", "iproute2")
HELP = "install and start Docker (or run as root on Debian or Ubuntu, where this is done for you), then try again"


@dataclass(frozen=True)
class Engine:
    """A container engine that answers: the path of its client, its version, and whether kubechain started it."""

    docker: Path
    version: str
    ours: bool


def ensure(cache: Path, progress: Progress) -> Engine:
    """Return the running engine; if none answers, install and start one.

    Raises:
        SetupError: no engine answers and none can be started (exit code ENGINE).

    """
    folder = cache / "engine"
    folder.mkdir(parents=True, exist_ok=True)
    with file_locks.lock(folder / "lock"), progress.step("container engine") as step:
        answering = running()
        if answering and not _our_process(folder):
            step.note(f"running Docker {answering[1]}")
            return Engine(*answering, ours=False)
        if not answering:
            require_startable()
            if not shutil.which("dockerd"):
                step.note(f"installed {' '.join(PACKAGES)}")
                _install(progress)
            _start(folder)
            step.note("started")
            answering = running()
        network_isolation.apply()
        if not answering:
            log = folder / "dockerd.log"
            raise SetupError(f"dockerd has started, and `docker version` gets no answer from it; see {log}", ExitCode.ENGINE)
        step.note(f"Docker {answering[1]}, isolated from the network")
        return Engine(*answering, ours=True)


def running() -> tuple[Path, str] | None:
    """Return the path of the docker client and the version of the engine, None if no engine answers."""
    docker = shutil.which("docker")
    if not docker:
        return None
    done = run([docker, "version", "--format", "{{.Server.Version}}"], timeout=ANSWER_SECONDS)
    return (Path(docker), done.stdout.strip()) if done.status == 0 else None


def is_ours(cache: Path) -> bool:
    """Whether an engine runs that `ensure` started."""
    return _our_process(cache / "engine") is not None


def stop(cache: Path) -> bool:
    """Stop the engine that `ensure` started and undo the network isolation; return False if no such engine runs."""
    folder = cache / "engine"
    process = _our_process(folder)
    if process is None:
        return False
    process.terminate()
    stopped = Condition[bool]("dockerd stopped", lambda alive: expect(not alive, f"its process {process.pid} still running"))
    source = Polled("dockerd", lambda: _our_process(folder) is not None, RealClock())
    Waiter(RealClock()).eventually(source, stopped, within=STOPPING)
    network_isolation.remove()
    return True


def require_startable() -> None:
    """Raise a SetupError (exit code ENGINE) unless an engine can be installed and started here."""
    if os.geteuid() != 0:
        raise SetupError(f"no container engine answers, and this is not root: {HELP}", ExitCode.ENGINE)
    if not shutil.which("dockerd") and not shutil.which("apt-get"):
        raise SetupError(f"no container engine answers, and this is not Debian or Ubuntu: {HELP}", ExitCode.ENGINE)


def _install(progress: Progress) -> None:
    with progress.step(f"installing {' '.join(PACKAGES)} (Debian packages)"):
        environment = {"DEBIAN_FRONTEND": "noninteractive"}
        check(["apt-get", "update"], timeout=300, code=ExitCode.ENGINE, doing="apt-get update")
        # Prevent the start scripts of the packages from starting an engine without network isolation.
        policy = Path("/usr/sbin/policy-rc.d")
        is_new = not policy.exists()
        if is_new:
            policy.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
            policy.chmod(0o755)
        try:
            install = ["apt-get", "install", "-y", "--no-install-recommends", *PACKAGES]
            check(install, timeout=600, env=environment, code=ExitCode.ENGINE, doing="installing Docker")
        finally:
            if is_new:
                policy.unlink()


def _start(folder: Path) -> None:
    """Start dockerd detached, with a configuration and a log in `folder`, and wait until it answers.

    Raises:
        SetupError: it does not answer in time (exit code ENGINE); the message names its log.

    """
    config, pid_file, log = folder / "daemon.json", folder / "dockerd.pid", folder / "dockerd.log"
    config.write_text(json.dumps(_configuration(folder), indent=2), encoding="utf-8")
    # An engine that was killed leaves its pid files.
    pid_file.unlink(missing_ok=True)
    Path("/var/run/docker.pid").unlink(missing_ok=True)
    network_isolation.apply()
    with log.open("wb") as output:
        # setsid --fork: the engine outlives this process and is not its child.
        subprocess.run(
            ["setsid", "--fork", "dockerd", "--config-file", str(config), "--pidfile", str(pid_file)],
            # Without OWNER: the engine serves all runs, so that it must not be ended with the run that started it.
            env={name: value for name, value in os.environ.items() if name != OWNER},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=True,
        )
    answers = Condition("dockerd to answer", _has_started)
    source = Polled("dockerd", lambda: log.read_text(errors="replace", encoding="utf-8"), RealClock())
    try:
        with unmet_as(SetupError, f"dockerd does not start (its log: {log})", code=ExitCode.ENGINE):
            Waiter(RealClock()).eventually(source, answers, within=STARTING)
    except SetupError:
        process = _our_process(folder)
        if process:
            process.terminate()
        raise


def _has_started(log: str) -> Result:
    """Check a start by the log of dockerd and by whether it answers."""
    lines = log.strip().splitlines()
    last = lines[-1] if lines else "an empty log"
    if "failed to" in last and not last.startswith("time="):
        return hopeless(last)
    return expect(running() is not None, last)


def _configuration(folder: Path) -> dict[str, object]:
    """Return the configuration of dockerd, with the bounded runtime if the bounding set is incomplete."""
    if bounded_runtime.is_complete(Path("/proc/self/status").read_text(encoding="utf-8")):
        return {}
    script, wrapper = folder / "bounded_runtime.py", folder / "bounded-runc"
    shutil.copyfile(bounded_runtime.__file__, script)
    # Not the python of this virtual environment, which is removed with its checkout.
    python = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    wrapper.write_text(f'#!/bin/sh\nexec {python} -I -S "{script}" "$@"\n', encoding="utf-8")
    wrapper.chmod(0o755)
    return {"runtimes": {"bounded": {"path": str(wrapper)}}, "default-runtime": "bounded"}


def _our_process(folder: Path) -> psutil.Process | None:
    """Return the process of the dockerd whose configuration is in `folder`, None if it does not run."""
    try:
        process = psutil.Process(int((folder / "dockerd.pid").read_text(encoding="utf-8")))
        return process if str(folder / "daemon.json") in process.cmdline() else None
    except (OSError, ValueError, psutil.Error):
        return None
