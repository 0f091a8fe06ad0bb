"""The settings that `kubechain run` alone has."""

from __future__ import annotations

import os
from typing import Annotated, ClassVar

from pydantic import Field

from kubechain.core.setting_groups import Group, MakeVariable

# More processes wait for the cluster, and not for each other.
MOST_PROCESSES = 4


def processes_of_machine() -> int:
    """Return how many processes run all claims in parallel: one for each processor, at most 4."""
    return min(len(os.sched_getaffinity(0)), MOST_PROCESSES)


class Workers(Group):
    """The number of processes."""

    title: ClassVar[str] = "claims"
    processes: Annotated[int, MakeVariable("N")] = Field(
        0,
        ge=0,
        le=64,
        description="number of processes that run claims in parallel; 0 means one for each processor, at most 4, "
        "for all claims on a kind cluster, and else 1",
    )
