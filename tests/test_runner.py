"""The image of the runner: its recipe is the same for both architectures, and any uid may run it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from kubechain import __version__
from kubechain.core.build_cache import BuildCache
from kubechain.core.errors import SetupError
from kubechain.core.progress import Progress
from kubechain.images import rootfs, runner
from kubechain.images.docker import Docker
from kubechain.images.pins import FOLDER
from kubechain.images.workload import CLIENT, NGINX
from reports.deploy import values
from tests.in_pods import kubechain

DOCKERFILE = (FOLDER / "runner" / "Dockerfile").read_text()
# Writes its arguments, and what is in the folder of the build, to a file.
STUB = """#!{python}
import os, sys
from pathlib import Path
if sys.argv[1] == "version":
    print("{arch}")
else:
    Path({log!r}).write_text(" ".join(sys.argv[1:]) + "\\n" + " ".join(sorted(os.listdir(sys.argv[-1]))))
"""


def docker(tmp_path: Path, arch: str = "amd64") -> tuple[Docker, Path]:
    log, stub = tmp_path / "log", tmp_path / "docker"
    stub.write_text(STUB.format(python=sys.executable, arch=arch, log=str(log)))
    stub.chmod(0o755)
    return Docker(stub), log


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, object]:
    """What is asked of the packages of Debian and of PyPI, which are not fetched."""
    asked: dict[str, object] = {}

    def tarball(name: str, packages: list[str], *_: object, commands: list[str], architecture: str) -> Path:
        asked.update(name=name, packages=packages, commands=commands, architecture=architecture)
        (tmp_path / "rootfs.tar").touch()
        return tmp_path / "rootfs.tar"

    def site(architecture: str, *_: object) -> Path:
        asked["site"] = architecture
        (tmp_path / "site").mkdir()
        return tmp_path / "site"

    monkeypatch.setattr(rootfs, "tarball", tarball)
    monkeypatch.setattr(runner, "site_packages", site)
    return asked


@pytest.mark.parametrize(("engine", "option", "built", "name"), [
    ("amd64", "", "amd64", f"kubechain/runner:{__version__}"),
    ("amd64", "arm64", "arm64", f"kubechain/runner:{__version__}-arm64"),
    ("arm64", "", "arm64", f"kubechain/runner:{__version__}"),
])  # fmt: skip
def test_recipe_differs_by_the_architecture_alone(
    tmp_path: Path, made: dict[str, object], engine: str, option: runner.Architecture, built: str, name: str
) -> None:
    client, log = docker(tmp_path, engine)
    assert runner.build(client, BuildCache(tmp_path / "cache"), Progress(), option) == name
    words, entries = log.read_text().splitlines()
    assert (made["architecture"], made["site"], made["name"]) == (built, built, f"runner-{built}")
    assert f"--platform=linux/{built}" in words
    assert f"--tag {name} " in words
    assert "--network=none" in words
    assert entries.split() == ["overlay", "rootfs.tar", "site"]


def test_runner_is_the_client_too(tmp_path: Path, made: dict[str, object]) -> None:
    runner.build(docker(tmp_path)[0], BuildCache(tmp_path / "cache"), Progress())
    asked: Any = made["packages"]
    assert set(CLIENT.packages) <= set(asked)


def test_engine_of_another_architecture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="the container engine is for riscv64: the runner is built for amd64, arm64"):
        runner.build(docker(tmp_path, "riscv64")[0], BuildCache(tmp_path / "cache"), Progress())


def test_nothing_runs_in_the_build_and_the_user_is_a_number_with_group_0() -> None:
    assert not re.search(r"^RUN", DOCKERFILE, re.MULTILINE)
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["65534:0"]
    assert "KUBECHAIN_HTML=0" in DOCKERFILE


def test_slim_packages_are_compiled_and_have_no_twin_of_the_client(tmp_path: Path) -> None:
    for path in ("kubernetes/aio/x.py", "kubernetes/client/models/y.py", "kubernetes/client/api_client.py", "bin/tool"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    runner.slim(tmp_path)
    names = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    compiled = {name for name in names if name.endswith(".pyc")}
    assert names - compiled == {"kubernetes/client/models/y.py", "kubernetes/client/api_client.py"}
    expected = {"kubernetes/client/__pycache__/api_client.cpython-311.pyc"}
    assert compiled == (expected if sys.version_info[:2] == runner.PYTHON else set())


def test_images_are_listed_one_a_line(tmp_path: Path) -> None:
    done = kubechain(tmp_path, "images")
    assert done.stdout.splitlines() == ["nginx:1.29", values.Values().image]
    done = kubechain(tmp_path, "images", "--registry-mirror", "r.example.org/m", "--architecture", "arm64")
    assert done.stdout.splitlines() == ["r.example.org/m/nginx:1.29", f"r.example.org/m/{values.Values().image}-arm64"]


def test_names_of_built_images_are_those_of_the_project() -> None:
    assert NGINX.tag.startswith("kubechain/nginx:")
    assert runner.name() == values.Values().image
