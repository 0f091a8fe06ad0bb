"""Programs of others that judge the files of deploy/, built from their Go modules: helm, Prometheus, Alertmanager, an S3 server.

`python -m tests.go_programs` builds them into the cache, which takes minutes once; tests use what is there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from kubechain.core import cli, settings
from kubechain.core.build_cache import BuildCache
from kubechain.core.errors import ExitCode
from kubechain.core.progress import Progress
from kubechain.images import golang, resolve


class Built(BuildCache):
    """The cache of builds, in which nothing is made: the test that needs it is skipped."""

    def artifact(self, name: str, key: str, make: Callable[[Path], None], *, needs_gib: float = 1.0) -> Path:  # noqa: ARG002
        """Return the folder of an artifact."""
        folder = self.root / f"{name}-{key}"
        if not folder.is_dir():
            pytest.skip(f"{name} is not built: `make programs` builds it")
        return folder


@dataclass(frozen=True)
class GoProgram:
    """A program in the go.mod of a component; `tags` are build tags."""

    component: str
    version: str
    name: str
    tags: str = ""

    def built(self) -> Path:
        """Return its path, after a build if the cache does not have it."""
        return self._in(resolve.store_of(settings.load()))

    def required(self) -> Path:
        """Return its path; skip the test if the cache does not have it."""
        return self._in(Built(resolve.store_of(settings.load()).root))

    def _in(self, store: BuildCache) -> Path:
        # Without symbols, programs are smaller by a third.
        return golang.tools(self.component, self.version, store, Progress(), linker_flags="-s -w", tags=self.tags) / self.name


HELM = GoProgram("helm", "3.22.0", "helm")
# Without the discovery of targets at forty vendors: targets here are in files.
PROMTOOL, PROMETHEUS = (GoProgram("prometheus", "0.316.0", name, "remove_all_sd") for name in ("promtool", "prometheus"))
# Modules of newer versions lack the pages, without which they cannot be built.
AMTOOL, ALERTMANAGER = (GoProgram("alertmanager", "0.28.1", name) for name in ("amtool", "alertmanager"))
S3_SERVER = GoProgram("versitygw", "1.8.0", "versitygw")
ALL = (HELM, PROMTOOL, PROMETHEUS, AMTOOL, ALERTMANAGER, S3_SERVER)


def main() -> int:
    """Build all programs, and print their paths."""
    for program in ALL:
        sys.stdout.write(f"{program.built()}\n")
    return ExitCode.HOLDS


if __name__ == "__main__":
    cli.main(main)
