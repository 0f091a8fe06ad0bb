"""Where a run's images come from: pulled from a registry, or built from source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from kubechain.core.build_cache import BuildCache
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.process import run
from kubechain.core.progress import Progress
from kubechain.core.settings import Folders, Settings
from kubechain.images import node, pins, workload
from kubechain.images.docker import Docker
from kubechain.images.pins import Kubernetes, Pins

ASK_SECONDS = 5.0
PULL_SECONDS = 900.0
Mode = Literal["pulled", "built"]


@dataclass(frozen=True)
class Images:
    """The images of a run, by name; `ids` is the engine's id of each, `mode` how they came."""

    node: str
    nginx: str
    client: str
    mode: Mode
    kubernetes: Kubernetes
    ids: dict[str, str]


def store_of(settings: Folders) -> BuildCache:
    """Return the store of builds."""
    return BuildCache(settings.cache / "builds")


def provide(client: Path, settings: Settings, node_image: str, progress: Progress) -> Images:
    """Return the images for a kind cluster; an image that was named explicitly is taken as it is.

    Raises:
        SetupError: the version is not known (USAGE), an image can be neither pulled nor built (IMAGES), or there is
            no room for it (DISK).

    """
    pinning = pins.load()
    pinned = pinning.find(settings.k8s)
    docker = Docker(client)
    chosen = _mode(settings, pinned, docker, progress)
    if chosen == "pulled":
        names = _pull(settings, pinned, node_image, docker, progress)
    else:
        names = _build(settings, pinning, pinned, node_image, docker, progress)
    ids = {name: docker.image_id(name) or "" for name in names}
    return Images(*names, mode=chosen, kubernetes=pinned, ids=ids)


def node_image(client: Path, settings: Settings, version: str, progress: Progress) -> str:
    """Return the name of the node image of exactly that pinned version, which the engine then has.

    Raises:
        SetupError: the version is not known (USAGE), the image can be neither pulled nor built (IMAGES), or there is
            no room for it (DISK).

    """
    pinning = pins.load()
    pinned = pinning.find(version)
    # The public image may be of another patch version, whose kubeadm does not upgrade to this one.
    if not pinned.node.partition("@")[0].endswith(f":v{pinned.version}"):
        pinned = replace(pinned, node="")
    docker = Docker(client)
    if _mode(settings, pinned, docker, progress) == "pulled":
        return _pull_node(settings, pinned, "", docker, progress)
    return _build_node(settings, pinning, pinned, "", docker, progress)


def _mode(settings: Settings, pinned: Kubernetes, docker: Docker, progress: Progress) -> Mode:
    if settings.images == "build":
        return "built"
    if not pinned.node:
        if settings.images == "pull":
            raise SetupError(
                f"IMAGES=pull: no public node image is known for Kubernetes {pinned.version}; use IMAGES=build",
                ExitCode.USAGE,
            )
        return "built"
    if settings.images == "pull":
        return "pulled"
    with progress.step("asking the registry") as step:
        present = docker.image_id(pinned.node) or _answers(pinned.node, docker)
        step.note("images will be pulled" if present else "no answer: images will be built")
    return "pulled" if present else "built"


def _answers(image: str, docker: Docker) -> bool:
    """Whether a registry answers quickly for an image."""
    try:
        return run([docker.client, "manifest", "inspect", image], timeout=ASK_SECONDS).status == 0
    except SetupError:
        return False


def public_nginx(settings: Settings) -> str:
    """Return the public nginx image, or the one that was named."""
    return settings.nginx_image or _mirrored(settings, pins.load().public["nginx"])


def public_client(settings: Settings) -> str:
    """Return the public image with curl and dig, or the one that was named."""
    return settings.client_image or _mirrored(settings, pins.load().public["client"])


def _mirrored(settings: Settings, image: str) -> str:
    return f"{settings.registry_mirror.rstrip('/')}/{image}" if settings.registry_mirror else image


def _pull(settings: Settings, pinned: Kubernetes, node_image: str, docker: Docker, progress: Progress) -> tuple[str, str, str]:
    node_name = _pull_node(settings, pinned, node_image, docker, progress)
    nginx, client = public_nginx(settings), public_client(settings)
    for image in (nginx, client):
        _fetch(image, docker, progress)
    return node_name, nginx, client


def _pull_node(settings: Settings, pinned: Kubernetes, named: str, docker: Docker, progress: Progress) -> str:
    name = named or _mirrored(settings, pinned.node)
    _fetch(name, docker, progress)
    return name


def _fetch(image: str, docker: Docker, progress: Progress) -> None:
    with progress.step(f"image {image}") as step:
        if docker.image_id(image):
            step.note("cached")
        else:
            docker.call("pull", image, seconds=PULL_SECONDS, doing=f"pulling {image}")
            step.note("pulled")


def _build(
    settings: Settings, pinning: Pins, pinned: Kubernetes, node_image: str, docker: Docker, progress: Progress
) -> tuple[str, str, str]:
    store = store_of(settings)
    node_name = _build_node(settings, pinning, pinned, node_image, docker, progress)
    named = {
        settings.nginx_image or workload.NGINX.tag: None
        if settings.nginx_image
        else lambda: workload.build(workload.NGINX, docker, store, progress),
        settings.client_image or workload.CLIENT.tag: None
        if settings.client_image
        else lambda: workload.build(workload.CLIENT, docker, store, progress),
    }
    for name, make in named.items():
        _ensure(name, make, docker, store, progress)
    nginx, client = named
    return node_name, nginx, client


def _build_node(settings: Settings, pinning: Pins, pinned: Kubernetes, named: str, docker: Docker, progress: Progress) -> str:
    store = store_of(settings)
    name = named or node.tag(pinned, pinning)
    make = None if named else lambda: node.build(name, pinned, pinning, docker, store, progress)
    _ensure(name, make, docker, store, progress)
    return name


def _ensure(name: str, make: Callable[[], None] | None, docker: Docker, store: BuildCache, progress: Progress) -> None:
    """Make an image unless the engine has it; one that was named by the user is pulled."""
    if make is None:
        _fetch(name, docker, progress)
        return
    if docker.image_id(name):
        with progress.step(f"image {name}") as step:
            step.note("cached")
        return
    with store.locked(name.replace("/", "-").replace(":", "-")):
        if not docker.image_id(name):
            make()
