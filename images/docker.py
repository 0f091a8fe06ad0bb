"""The few things that image builds ask of the container engine."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fixtures.command import check, run
from fixtures.errors import ExitCode

LABEL = "kubechain=1"
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
        options = ["run", "--detach", "--privileged", "--network=none", "--label", LABEL, *words]
        identity = self.call(*options, image, "infinity", doing=f"starting {image}").strip()
        try:
            yield identity
        finally:
            run([self.client, "rm", "--force", "--volumes", identity], timeout=QUERY_SECONDS)


@contextmanager
def context(store: Path, **entries: Path) -> Generator[Path]:
    """Yield a folder with hard links (or copies) of files and folders under the given names, "__" standing for a dot.

    It lies in the store, because a docker client may not be able to read /tmp.
    """
    with tempfile.TemporaryDirectory(dir=store, prefix=".context-") as name:
        folder = Path(name)
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
