"""What all settings have in common: the groups in which they come, and the names of their variables."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from kubechain.core.default_folders import PROJECT

PREFIX = f"{PROJECT.upper()}_"


@dataclass(frozen=True)
class MakeVariable:
    """The variable of make for a setting, where it is not the setting's name in capitals."""

    name: str


class Group(BaseSettings):
    """Related settings with a common title in the help."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_prefix_target="all", env_ignore_empty=True, extra="ignore", populate_by_name=True
    )
    title: ClassVar[str] = "options"

    @field_validator("*")
    @classmethod
    def at_home(cls, value: object) -> object:
        """Return a value; a path that begins with ~ is below the home folder: no shell expands it in --out=~/results."""
        # Not Path.expanduser, which raises for a user whose home is not known.
        return Path(os.path.expanduser(value)) if isinstance(value, Path) else value  # noqa: PTH111
