"""The settings of the comparison with upstream."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from kubechain.core.setting_groups import Group


class Benching(Group):
    """The measurement beside upstream's tests."""

    title: ClassVar[str] = "a measurement"
    rounds: int = Field(3, ge=1, description="number of rounds; of a watch, 0 (its default): until the process is ended")
    record: bool = Field(
        default=False, description="write the ratios as those of this release to docs/bench-releases.json, for later comparisons"
    )
