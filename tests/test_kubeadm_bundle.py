import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from kubechain.cluster.kind import Cluster
from kubechain.core import settings
from kubechain.core.build_cache import BuildCache
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.progress import Progress
from kubechain.core.settings import Settings
from kubechain.images import pins, resolve
from kubechain.images.docker import Docker
from kubechain.images.kubeadm_bundle import ARCHIVE, PROGRAMS, bundle_of
from kubechain.images.node import tag
from kubechain.observe.wait import Waiter
from kubechain.upgrade import kubeadm
from kubechain.upgrade.machines import Machines
from kubechain.upgrade.versions import hops
from tests.test_upgrade_hops import PINNED
from tests.test_upgrade_kubeadm import CONTROL_PLANE, WORKERS, Log

NAMES = ["example.org/kube-proxy:v1.35.4", "example.org/coredns/coredns:v1.13.1"]
IMPORT = "ctr --namespace=k8s.io images import --label=io.cri-containerd.pinned=pinned --digests -"


def prepared(log: Log, monkeypatch: pytest.MonkeyPatch) -> list[kubeadm.HopFiles]:
    """Prepare an upgrade from 1.34.4 to 1.36.3 with bundles whose archives hold their names."""
    folder = log.client.parent

    def image(_client: Path, _settings: Settings, version: str, _progress: Progress) -> str:
        return f"node-{version}"

    def fake_bundle(name: str, *_: object) -> Path:
        log.add(f"bundle of {name}")
        (folder / name).mkdir()
        (folder / name / ARCHIVE).write_text(f"images of {name}\n")
        return folder / name

    monkeypatch.setattr(resolve, "node_image", image)
    monkeypatch.setattr(kubeadm, "bundle_of", fake_bundle)
    cluster = Cluster("c", folder, "", Path("kind"), Path("kubectl"), log.client)
    return kubeadm.prepare(cluster, hops("1.34.4", "1.36.3", PINNED), settings.load(), BuildCache(folder), Progress())


def docker(folder: Path, answers: str = "") -> Log:
    names = "\n".join([CONTROL_PLANE, *WORKERS])
    return Log(folder, f"ps*) printf '{names}';;\n{answers}\n*import*) cat >> {folder}/log;;")


def test_bundles_and_their_images_are_on_every_node_before_an_upgrade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = docker(tmp_path)
    files = prepared(log, monkeypatch)
    assert [each.bundle for each in files] == [tmp_path / "node-1.35.4", tmp_path / "node-1.36.3"]
    assert [each.machines.image for each in files] == ["node-1.35.4", "node-1.36.3"]
    lines = [line for line in log.lines if not line.startswith("ps ")]
    assert lines[:2] == ["bundle of node-1.35.4", "bundle of node-1.36.3"]
    # The nodes in parallel, the versions in the order of the hops.
    imports = [f"exec --interactive {node} {IMPORT}" for node in (CONTROL_PLANE, *WORKERS)]
    assert sorted(lines[2:8]) == sorted([*imports, *(["images of node-1.35.4"] * 3)])
    assert sorted(lines[8:]) == sorted([*imports, *(["images of node-1.36.3"] * 3)])


def test_failed_import_on_a_node_ends_the_preparation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = docker(tmp_path, '*"c-worker2 ctr"*) echo "disk full" >&2; exit 1;;')
    with pytest.raises(SetupError, match="disk full") as caught:
        prepared(log, monkeypatch)
    assert caught.value.code == ExitCode.CLUSTER
    assert "images of node-1.36.3" not in log.lines


@pytest.mark.parametrize(("public", "pulled"), [("x/node:v1.37.0@sha256:1", False), ("x/node:v1.37.2@sha256:1", True)])
def test_node_image_has_exactly_the_wanted_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, public: str, *, pulled: bool
) -> None:
    real = pins.load()
    pinned = replace(real.find("1.37.2"), node=public)
    monkeypatch.setattr(pins, "load", lambda: replace(real, kubernetes={"1.37.2": pinned}))
    log = Log(tmp_path, "image*inspect*) echo sha256:1;;")
    name = resolve.node_image(log.client, settings.load(), "1.37.2", Progress())
    assert name == (public if pulled else tag(pinned, real))


def bundle_log(folder: Path, identity: str = "sha256:1") -> Log:
    """Return a docker whose containers have a kubeadm that lists NAMES."""
    asked = f"*version*--output=short*) echo v1.35.4;;\n*list*-version*v1.35.4) echo {' '.join(NAMES)}; echo W offline >&2;;"
    return Log(folder, f'image*inspect*) echo {identity};;\nrun*) echo box;;\n{asked}\ncp*) touch "$3";;')


def test_bundle_has_exactly_the_images_that_kubeadm_lists(tmp_path: Path) -> None:
    log, store = bundle_log(tmp_path), BuildCache(tmp_path / "store")
    folder = bundle_of("node:1", Docker(log.client), store, Progress())
    assert sorted(path.name for path in folder.iterdir()) == sorted([*PROGRAMS, ARCHIVE])
    (export,) = [line for line in log.lines if " export " in line]
    assert export.split() == ["exec", "box", "ctr", "--namespace=k8s.io", "images", "export", "/kind/images.tar", *NAMES]
    assert log.lines[-1] == "rm --force --volumes box"
    before = len(log.lines)
    assert bundle_of("node:1", Docker(log.client), store, Progress()) == folder
    assert log.lines[before:] == ["image inspect --format {{.Id}} node:1"]
    another = Docker(bundle_log(tmp_path, "sha256:2").client)
    assert bundle_of("node:1", another, store, Progress()) != folder


def test_bundle_of_a_missing_image_is_an_error(tmp_path: Path) -> None:
    docker = Docker(Log(tmp_path, "image*) exit 1;;").client)
    with pytest.raises(SetupError, match="node image node:1: the container engine does not have it") as caught:
        bundle_of("node:1", docker, BuildCache(tmp_path / "store"), Progress())
    assert caught.value.code == ExitCode.IMAGES


def test_machines_for_new_workers_are_started_after_the_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = docker(tmp_path)

    def start(self: Machines, _cluster: Cluster, like: str, _waiter: Waiter) -> None:
        log.add(f"machine of {self.image} like {like}")

    def require_room(count: int) -> None:
        log.add(f"room for {count}")

    monkeypatch.setattr(Machines, "start", start)
    monkeypatch.setattr(kubeadm.inotify, "require_room", require_room)
    prepared(log, monkeypatch)
    assert not [line for line in log.lines if line.startswith("machine")]
    monkeypatch.setenv("KUBECHAIN_REPLACE", "1")
    for version in ("1.35.4", "1.36.3"):
        shutil.rmtree(tmp_path / f"node-{version}")
    prepared(log, monkeypatch)
    machines = [f"machine of node-{version} like {worker}" for version in ("1.35.4", "1.36.3") for worker in WORKERS]
    assert log.lines[-5:] == ["room for 4", *machines]
