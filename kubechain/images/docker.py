"""The docker commands that image builds use, and the labels of their containers."""

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
# The process that a container belongs to; after its end, the next run removes the container.
OWNER_LABEL = "kubechain.owner"
BUILD_SECONDS = 900.0
QUERY_SECONDS = 60.0


@dataclass(frozen=True)
class Docker:
    """The container engine of a docker client, which is a path."""

    client: Path

    def call(self, *words: str | Path, seconds: float = QUERY_SECONDS, doing: str = "") -> str:
        """Run a docker command and return its stdout; SetupError (exit code IMAGES) if it fails or takes more than `seconds`."""
        return check([self.client, *words], timeout=seconds, code=ExitCode.IMAGES, doing=doing)

    def image_id(self, image: str) -> str | None:
        """Return the id of an image, None if the engine has no image of that name."""
        done = run([self.client, "image", "inspect", "--format", "{{.Id}}", image], timeout=QUERY_SECONDS)
        return done.stdout.strip() if done.status == 0 else None

    def build(
        self, tag: str, dockerfile: Path, context: Path, arguments: Mapping[str, str] | None = None, *, platform: str = ""
    ) -> None:
        """Build an image without network access, with LABEL; `arguments` are build arguments, `platform` such as linux/arm64."""
        options = [word for name, value in (arguments or {}).items() for word in ("--build-arg", f"{name}={value}")]
        options += [f"--platform={platform}"] if platform else []
        words = ["build", "--quiet", "--network=none", "--label", LABEL, "--tag", tag, "--file", dockerfile, *options]
        self.call(*words, context, seconds=BUILD_SECONDS, doing=f"building image {tag}")

    @contextmanager
    def container(self, image: str, *words: str) -> Generator[str]:
        """Run a privileged container in the background for the time of the body and yield its id; `words` are docker options."""
        options = ["run", "--detach", "--privileged", "--network=none", *container_labels(), *words]
        identity = self.call(*options, image, "infinity", doing=f"starting {image}").strip()
        try:
            yield identity
        finally:
            run([self.client, "rm", "--force", "--volumes", identity], timeout=QUERY_SECONDS)


def place() -> str:
    """Return the host name and the PID namespace of this process, within which a pid is unique."""
    return f"{socket.gethostname()} {pid_namespace()}"


def container_labels() -> list[str]:
    """Return the docker options that label a container as one of kubechain and of this process."""
    return ["--label", LABEL, "--label", f"{OWNER_LABEL}={place()} {identity()}"]


def is_orphaned(owner: str) -> bool:
    """Whether the process in a container's owner label has ended; False for one of another machine or PID namespace."""
    where, _, process = owner.rpartition(" ")
    return where == place() and not is_running(process)


@contextmanager
def context(store: Path, **entries: Path) -> Generator[Path]:
    """Yield a build context: a folder with links to or copies of `entries`; "__" in a name stands for a dot."""
    with BuildCache(store).scratch() as folder:
        for entry, source in entries.items():
            target = folder / entry.replace("__", ".")
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                copy(source, target)
        yield folder


def copy(source: Path, target: Path) -> None:
    """Make a hard link to a file, or copy it to another file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
