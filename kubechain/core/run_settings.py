"""The settings that `kubechain run` alone has."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from kubechain.core.setting_groups import Group, MakeVariable


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
