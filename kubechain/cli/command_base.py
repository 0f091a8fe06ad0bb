"""What all commands have in common, and settings of several of them."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from kubechain.core.setting_groups import Group


class Command(Group):
    """A command; the docstring of each subclass is its help text.

    `arguments` is how the usage line spells its positional arguments, "" for all of them as they are, each required.
    """

    arguments: ClassVar[str] = ""
    examples: ClassVar[tuple[str, ...]] = ()


class Trend(Group):
    """The length of a trend."""

    title: ClassVar[str] = "output"
    last: int = Field(20, ge=1, description="number of runs that are shown of each cluster and version")
