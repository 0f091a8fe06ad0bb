"""Which versions are read from what programs and servers say, and which programs are new enough."""

import os
from pathlib import Path

import pytest
from packaging.version import Version

from kubechain.cluster import binaries
from kubechain.core import versions
from kubechain.core.build_cache import BuildCache, key
from kubechain.core.progress import Progress
from kubechain.images import golang, pins


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("kind v0.33.0 go1.26.8 linux/amd64", "0.33.0"),
        ("go version go1.26.8 linux/amd64", "1.26.8"),
        ("go version devel go1.27-abc123 linux/amd64", "1.27"),
        ("v1.37.2-rc.0+abc", "1.37.2"),
        ("v24.19.0", "24.19.0"),
        ("devel +abc", None),
        ("", None),
    ],
)
def test_version_is_the_first_release_in_a_text(text: str, version: str | None) -> None:
    assert versions.find(text) == (Version(version) if version else None)


@pytest.mark.parametrize(
    ("version", "minor"),
    [
        ("v1.37.2", 37),
        ("1.9", 9),
        ("v1.34.4-gke.100", 34),
        ("v1.35.2+k3s1", 35),
        ("v1.30.5-eks-abc123", 30),
        ("v1.31.0-rc.1+rke2r1", 31),
        ("v1.30+", 30),
        ("1", -1),
        ("v1.x", -1),
        ("", -1),
    ],
)
def test_minor_version_is_read_with_any_suffix(version: str, minor: int) -> None:
    assert versions.minor(version) == minor


def program(path: Path, says: str) -> Path:
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(("says", "taken"), [("v0.100.0 go1.26.8", True), ("v0.9.1 go1.26.8", False), ("no version", False)])
def test_installed_kind_is_used_if_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, *, taken: bool
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    path = program(tmp_path / "kind", f"kind {says}")

    def built(*_: object) -> Path:
        return tmp_path / "built"

    monkeypatch.setattr(golang, "tools", built)
    found = binaries.kind(None, BuildCache(tmp_path), Progress())
    pinned = pins.load().kind
    assert found == (binaries.Tool(path, "0.100.0") if taken else binaries.Tool(tmp_path / "built" / "kind", pinned))
    assert binaries.kind(str(path), BuildCache(tmp_path), Progress()).path == path


@pytest.mark.parametrize(("says", "taken"), [("go1.100", True), ("go1.9.7", False), ("devel +abc", False)])
def test_installed_go_is_used_if_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, *, taken: bool
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    path = program(tmp_path / "go", f"go version {says} linux/amd64")
    store = BuildCache(tmp_path / "store")
    kept = store.artifact("go", key(golang.GO_LOCK), lambda folder: (folder / "go" / "bin" / "go").parent.mkdir(parents=True))
    (kept / "go" / "bin" / "go").touch()
    assert golang.toolchain(store, Progress()) == (path if taken else kept / "go" / "bin" / "go")
