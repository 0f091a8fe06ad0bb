"""The load balancer before several control planes of a kind cluster.

kind runs an image of a fixed name there (`loadbalancer.Image` of kind). Ours has that name for as long as kind creates a cluster.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from kubechain.core.build_cache import BuildCache
from kubechain.core.progress import Progress
from kubechain.images import workload
from kubechain.images.docker import Docker
from kubechain.images.workload import Workload

# Of the pinned kind.
NAME = "envoyproxy/envoy:v1.36.2"
# A label of the image, and so of its containers: the creation of a cluster that they belong to.
CREATION_LABEL = "kubechain/creation"
IMAGE = Workload(
    "load-balancer", ("dash", "bash", "coreutils", "libc-bin", "sed", "haproxy"), 'mkdir -p "$1/run" "$1/home" "$1/tmp"'
)


@contextmanager
def under_the_name_of_kind(docker: Docker, creation: str, store: BuildCache, progress: Progress) -> Generator[None]:
    """Give our image the name that kind uses, for the time of the body; an image that had the name has it again afterwards.

    Containers that are made of it have the label CREATION_LABEL with the value `creation`.

    Raises:
        SetupError: it cannot be built (exit code IMAGES).

    """
    if not docker.image_id(IMAGE.tag):
        workload.build(IMAGE, docker, store, progress)
    # Two runs do not use the name at once.
    with store.locked("load-balancer"), store.scratch() as folder:
        # One of ours is of a run that was killed here.
        ours = docker.call("images", "--quiet", "--filter", f"label={CREATION_LABEL}", NAME).strip()
        before = None if ours else docker.image_id(NAME)
        (folder / "Dockerfile").write_text(f"FROM {IMAGE.tag}\nLABEL {CREATION_LABEL}={creation}\n", encoding="utf-8")
        try:
            docker.build(NAME, folder / "Dockerfile", folder)
            yield
        finally:
            if before:
                docker.call("tag", before, NAME)
            else:
                # The load balancer runs it: without --force, an image that is in use keeps its last name.
                docker.call("rmi", "--force", "--no-prune", NAME)
