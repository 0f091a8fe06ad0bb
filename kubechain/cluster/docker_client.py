"""The docker client of this machine, and the container engine that it reaches."""

from __future__ import annotations

import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.process import Completed, TookTooLong, run

# Environment variable with the address of an engine, for docker, kind and every other client of Docker's API.
VARIABLE = "DOCKER_HOST"
SOCKET = Path("/var/run/docker.sock")
DEFAULT = f"unix://{SOCKET}"
ANSWER_SECONDS = 15.0
SOCKET_SECONDS = 5.0


@dataclass(frozen=True)
class Answer:
    """What an engine answers: its version, or "" and the reason why there is no answer."""

    version: str
    why: str = ""


def path() -> Path | None:
    """Return the path of the docker client, None if there is none."""
    found = shutil.which("docker")
    return Path(found) if found else None


def ask(docker: Path) -> Answer:
    """Ask the engine of a docker client for its version.

    Raises:
        SetupError: the client is another program under the name docker, such as that of podman (exit code ENGINE).

    """
    try:
        kind = run([docker, "--version"], timeout=ANSWER_SECONDS).stdout
        if "podman" in kind.lower():
            raise SetupError(
                f"{docker} is not Docker's client but {kind.strip()}: put Docker's client first in PATH", ExitCode.ENGINE
            )
        done = run([docker, "version", "--format", "{{.Server.Version}}"], timeout=ANSWER_SECONDS)
    except TookTooLong as slow:
        return Answer("", str(slow))
    return Answer(done.stdout.strip()) if done.status == 0 else Answer("", done.last_words)


def endpoint(docker: Path | None) -> str:
    """Return the address of the engine that DOCKER_HOST or the docker context selects; DEFAULT if neither does.

    Raises:
        SetupError: the docker context does not exist (exit code ENGINE).

    """
    host = os.environ.get(VARIABLE)
    if host or docker is None:
        return host or DEFAULT
    context = _context(docker)
    if context.status != 0:
        raise SetupError(f"the docker context cannot be used: {context.last_words}; see: docker context ls", ExitCode.ENGINE)
    return context.stdout.strip() or DEFAULT


def selected_by(address: str) -> str:
    """Return a phrase that says what selects an engine, for messages."""
    return f"{VARIABLE}={address}" if os.environ.get(VARIABLE) else f"the docker context ({address})"


def is_served(path: Path) -> bool:
    """Whether a process accepts connections at a unix socket; True if this user may not try."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(SOCKET_SECONDS)
        try:
            client.connect(str(path))
        except PermissionError:
            return True
        except OSError:
            return False
        return True


def _context(docker: Path) -> Completed:
    return run([docker, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"], timeout=ANSWER_SECONDS)
