"""What is tried every night: calls of make, each with a folder of its own for its results. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import get_args

from packaging.version import Version

from kubechain.core.settings import IpFamily, ProxyMode
from kubechain.images.pins import Pins

# Of the IP families, the order of two changes nothing that a version or a mode of kube-proxy does.
FAMILIES: tuple[str, ...] = tuple(each for each in get_args(IpFamily) if each not in ("", "dual-ipv6"))
MODES: tuple[str, ...] = tuple(each for each in get_args(ProxyMode) if each)
CLUSTER = "kubechain-nightly"
KEPT = f"CLUSTER={CLUSTER}"


@dataclass(frozen=True)
class Job:
    """A call of make with these words; `matrix`: it is one run on a cluster of its own, a row of the page.

    With `on_kept`, it is tried on a cluster that a call before makes and a call after deletes. A call that takes longer than
    `minutes` is told to end.
    """

    id: str
    words: tuple[str, ...]
    minutes: int = 120
    matrix: bool = False
    on_kept: bool = False

    @property
    def calls(self) -> list[tuple[str, ...]]:
        """The calls of make: each is made if the one before succeeded, and the last of `on_kept` always."""
        return (
            [("e2e", "KEEP=1", KEPT), (*self.words, KEPT), ("clean", "KEPT=1", "YES=1", KEPT)] if self.on_kept else [self.words]
        )


def chain(level: str, version: str, mode: str, family: str) -> Job:
    """Return the job that checks the chain on a new cluster."""
    words = ("e2e", f"LEVEL={level}", f"K8S={version}", f"PROXY_MODE={mode}", f"IP_FAMILY={family}")
    return Job(f"chain-{version}-{mode}-{family}", words, 60, matrix=True)


def whole(pinned: Pins) -> list[Job]:
    """Return the jobs of a night."""
    versions = sorted(pinned.kubernetes, key=Version)
    return [
        *(chain("full", *each) for each in product(reversed(versions), MODES, FAMILIES)),
        Job("faults", ("faults",), 240),
        Job("mutants", ("mutants", "IP_FAMILY=dual"), 240),
        Job("bench", ("bench",)),
        Job("upgrade", ("upgrade", f"FROM={versions[0]}", f"TO={versions[-1]}"), 180),
        Job("terrains", ("terrains", "FAULTS=1", f"CLUSTER={CLUSTER}-terrains"), 240),
        Job("soak", ("soak", "RUNS=200"), 240, on_kept=True),
        Job("watch-rounds", ("watch-rounds",), 180, on_kept=True),
        Job("in-cluster", ("in-cluster",), on_kept=True),
        Job("hostile", ("hostile", "N=2", "SECONDS=1800")),
    ]


def short(pinned: Pins) -> list[Job]:
    """Return the jobs that say within minutes whether a night would do."""
    return [
        *(chain("quick", pinned.default, mode, "ipv4") for mode in MODES),
        Job("faults", ("faults", "SHORT=1"), 30),
        Job("mutants", ("mutants", "SHORT=1"), 30),
        Job("watch-rounds", ("watch-rounds",), 10),
    ]


def chosen(jobs: Sequence[Job], ids: Sequence[str]) -> list[Job]:
    """Return the jobs with these ids, all of them for none.

    Raises:
        ValueError: there is no job of an id.

    """
    unknown = set(ids) - {job.id for job in jobs}
    if unknown:
        raise ValueError(f"no such job: {', '.join(sorted(unknown))}; there are {', '.join(job.id for job in jobs)}")
    return [job for job in jobs if not ids or job.id in ids]
