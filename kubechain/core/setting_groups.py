"""What all settings have in common: the groups in which they come, and the names of their variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

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
