"""The images of a run: pulled from a registry, or built from source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from kubechain.core.build_cache import BuildCache
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.process import run
from kubechain.core.progress import Progress
from kubechain.core.settings import Folders, Settings
from kubechain.core.settings import Images as ImageSettings
from kubechain.images import node, pins, workload
from kubechain.images.docker import Docker
from kubechain.images.mutation import Guard
from kubechain.images.pins import Kubernetes, Pins
from kubechain.images.workload import Workload

REGISTRY_SECONDS = 5.0
PULL_SECONDS = 900.0
Mode = Literal["pulled", "built"]


@dataclass(frozen=True)
class Images:
    """The names of the images of a run; `ids` is name -> image id, `mode` whether they were pulled or built."""

    node: str
    nginx: str
    client: str
    mode: Mode
    kubernetes: Kubernetes
    ids: dict[str, str]


def store_of(settings: Folders) -> BuildCache:
    """Return the cache of builds in the folder of --cache."""
    return BuildCache(settings.cache / "builds")


def provide(client: Path, settings: Settings, node_image: str, guards: Sequence[Guard], progress: Progress) -> Images:
    """Return the images for a kind cluster, pulled or built; images that the settings name are pulled.

    The programs of the node image have the mutants of the guards; without guards they are unmodified.

    Raises:
        SetupError: the Kubernetes version is not pinned (USAGE), an image can be neither pulled nor built (IMAGES), or the
            disk is full (DISK).

    """
    pinning = pins.load()
    pinned = pinning.find(settings.k8s)
    if guards:
        pinned = replace(pinned, node="")
    docker = Docker(client)
    chosen = _mode(settings, pinned, docker, progress)
    if chosen == "pulled":
        names = _pull(settings, pinned, node_image, docker, progress)
    else:
        node_name = _build_node(settings, pinning, pinned, node_image, guards, docker, progress)
        names = (node_name, *_build_workload(settings, docker, progress))
    ids = {name: docker.image_id(name) or "" for name in names}
    return Images(*names, mode=chosen, kubernetes=pinned, ids=ids)


def node_image(client: Path, settings: Settings, version: str, progress: Progress) -> str:
    """Return the name of the node image of exactly this pinned version; pull or build it if the engine does not have it.

    Raises:
        SetupError: the version is not pinned (USAGE), the image can be neither pulled nor built (IMAGES), or the disk is
            full (DISK).

    """
    pinning = pins.load()
    pinned = pinning.find(version)
    # The public image may have another patch version; its kubeadm does not upgrade to this version.
    if not pinned.node.partition("@")[0].endswith(f":v{pinned.version}"):
        pinned = replace(pinned, node="")
    docker = Docker(client)
    if _mode(settings, pinned, docker, progress) == "pulled":
        return _pull_node(settings, pinned, "", docker, progress)
    return _build_node(settings, pinning, pinned, "", (), docker, progress)


def _mode(settings: Settings, pinned: Kubernetes, docker: Docker, progress: Progress) -> Mode:
    if settings.images == "build":
        return "built"
    if not pinned.node:
        if settings.images == "pull":
            raise SetupError(
                f"--images=pull: no public node image of Kubernetes {pinned.version} is pinned; use --images=build",
                ExitCode.USAGE,
            )
        return "built"
    if settings.images == "pull":
        return "pulled"
    with progress.step(f"looking for {pinned.node} in its registry") as step:
        present = docker.image_id(pinned.node) or _in_registry(pinned.node, docker)
        step.note("images are pulled" if present else "not available: images are built")
    return "pulled" if present else "built"


def _in_registry(image: str, docker: Docker) -> bool:
    """Whether the registry of an image returns its manifest within REGISTRY_SECONDS."""
    try:
        return run([docker.client, "manifest", "inspect", image], timeout=REGISTRY_SECONDS).status == 0
    except SetupError:
        return False


def public_nginx(settings: ImageSettings) -> str:
    """Return the nginx image of the settings, else the pinned public image."""
    return settings.nginx_image or mirrored(settings, pins.load().public["nginx"])


def public_client(settings: ImageSettings) -> str:
    """Return the image with curl and dig of the settings, else the pinned public image."""
    return settings.client_image or mirrored(settings, pins.load().public["client"])


def architectures(settings: ImageSettings) -> tuple[str, ...]:
    """Return the architectures of both images, () if they are not known: an image that the settings name may be of any."""
    stated = settings.image_architectures
    if not (stated or settings.nginx_image or settings.client_image):
        stated = pins.load().public["architectures"]
    return tuple(filter(None, stated.split(",")))


def mirrored(settings: ImageSettings, image: str) -> str:
    """Return the name of a public image in the registry of --registry-mirror, if there is one."""
    return f"{settings.registry_mirror.rstrip('/')}/{image}" if settings.registry_mirror else image


def _pull(settings: Settings, pinned: Kubernetes, node_image: str, docker: Docker, progress: Progress) -> tuple[str, str, str]:
    node_name = _pull_node(settings, pinned, node_image, docker, progress)
    nginx, client = public_nginx(settings), public_client(settings)
    for image in (nginx, client):
        _fetch(image, docker, progress)
    return node_name, nginx, client


def _pull_node(settings: Settings, pinned: Kubernetes, named: str, docker: Docker, progress: Progress) -> str:
    name = named or mirrored(settings, pinned.node)
    _fetch(name, docker, progress)
    return name


def _fetch(image: str, docker: Docker, progress: Progress) -> None:
    with progress.step(f"image {image}") as step:
        if docker.image_id(image):
            step.note("cached")
        else:
            docker.call("pull", image, seconds=PULL_SECONDS, doing=f"pulling {image}")
            step.note("pulled")


def _build_workload(settings: Settings, docker: Docker, progress: Progress) -> tuple[str, str]:
    store = store_of(settings)
    names: list[str] = []
    for named, image in ((settings.nginx_image, workload.NGINX), (settings.client_image, workload.CLIENT)):
        if named:
            _fetch(named, docker, progress)
        else:
            _ensure_workload(image, docker, store, progress)
        names.append(named or image.tag)
    nginx, client = names
    return nginx, client


def _ensure_workload(image: Workload, docker: Docker, store: BuildCache, progress: Progress) -> None:
    _ensure(image.tag, lambda: workload.build(image, docker, store, progress), docker, store, progress)


def _build_node(
    settings: Settings,
    pinning: Pins,
    pinned: Kubernetes,
    named: str,
    guards: Sequence[Guard],
    docker: Docker,
    progress: Progress,
) -> str:
    store = store_of(settings)
    if named:
        _fetch(named, docker, progress)
        return named
    name = node.tag(pinned, pinning, guards)

    def make() -> None:
        for image in (workload.NGINX, workload.CLIENT):
            _ensure_workload(image, docker, store, progress)
        node.build(name, pinned, pinning, guards, docker, store, progress)

    _ensure(name, make, docker, store, progress)
    return name


def _ensure(name: str, make: Callable[[], None], docker: Docker, store: BuildCache, progress: Progress) -> None:
    """Build an image with `make` if the engine does not have it."""
    if docker.image_id(name):
        with progress.step(f"image {name}") as step:
            step.note("cached")
        return
    with store.locked(name.replace("/", "-").replace(":", "-")):
        if not docker.image_id(name):
            make()
