"""The few things that image builds ask of the container engine."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kubechain.core.build_cache import BuildCache
from kubechain.core.errors import ExitCode
from kubechain.core.process import check, identity, is_running, pid_namespace, run

LABEL = "kubechain=1"
# Whose a container is, so that it can be told when it is nobody's any more.
OWNER_LABEL = "kubechain.owner"
BUILD_SECONDS = 900.0
QUERY_SECONDS = 60.0


@dataclass(frozen=True)
class Docker:
    """The engine behind a docker client."""

    client: Path

    def call(self, *words: str | Path, seconds: float = QUERY_SECONDS, doing: str = "") -> str:
        """Run a docker command and return what it printed; a SetupError (exit code IMAGES) if it fails."""
        return check([self.client, *words], timeout=seconds, code=ExitCode.IMAGES, doing=doing)

    def image_id(self, image: str) -> str | None:
        """Return the id of an image, None if the engine has none of that name."""
        done = run([self.client, "image", "inspect", "--format", "{{.Id}}", image], timeout=QUERY_SECONDS)
        return done.stdout.strip() if done.status == 0 else None

    def build(self, tag: str, dockerfile: Path, context: Path, arguments: Mapping[str, str] | None = None) -> None:
        """Build an image without a network; the label marks it as ours."""
        given = [word for name, value in (arguments or {}).items() for word in ("--build-arg", f"{name}={value}")]
        words = ["build", "--quiet", "--network=none", "--label", LABEL, "--tag", tag, "--file", dockerfile, *given]
        self.call(*words, context, seconds=BUILD_SECONDS, doing=f"building image {tag}")

    @contextmanager
    def container(self, image: str, *words: str) -> Generator[str]:
        """Run a privileged container in the background for the time of the body; yield its id."""
        options = ["run", "--detach", "--privileged", "--network=none", *container_labels(), *words]
        identity = self.call(*options, image, "infinity", doing=f"starting {image}").strip()
        try:
            yield identity
        finally:
            run([self.client, "rm", "--force", "--volumes", identity], timeout=QUERY_SECONDS)


def place() -> str:
    """Return where a process id means something: the machine and the PID namespace."""
    return f"{socket.gethostname()} {pid_namespace()}"


def container_labels() -> list[str]:
    """Return the options that mark a container as ours, and as this process's."""
    return ["--label", LABEL, "--label", f"{OWNER_LABEL}={place()} {identity()}"]


def is_orphaned(owner: str) -> bool:
    """Whether the process in a container's owner label is known to live no more; that of another machine never is."""
    where, _, process = owner.rpartition(" ")
    return where == place() and not is_running(process)


@contextmanager
def context(store: Path, **entries: Path) -> Generator[Path]:
    """Yield a folder with links to (or copies of) files and folders under the given names, "__" standing for a dot."""
    with BuildCache(store).scratch() as folder:
        for entry, source in entries.items():
            target = folder / entry.replace("__", ".")
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                copy(source, target)
        yield folder


def copy(source: Path, target: Path) -> None:
    """Link a file, or copy it where the file systems differ."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
