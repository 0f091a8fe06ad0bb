"""Everything a run can be told, in one typed table; the Makefile's variables arrive here as E2E_*."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from kubechain.core.errors import ExitCode, SetupError

PROJECT = "kubechain"


def default_cache() -> Path:
    """Where builds are kept between runs, outside every checkout."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / PROJECT


def default_out() -> Path:
    """Where results are published, in the folder from which the run was started."""
    return Path.cwd() / "reports" / "out"


class Settings(BaseSettings):
    """The run's settings; an empty variable means its default, as `make VAR=` does."""

    model_config = SettingsConfigDict(env_prefix="E2E_", env_ignore_empty=True, extra="ignore")

    k8s: str = Field("", description="Kubernetes version of the cluster that the run makes; empty: the newest pinned")
    images: Literal["auto", "pull", "build"] = Field("auto", description="where images come from")
    context: str = Field("", description="existing cluster: the context to use; empty: make a kind cluster")
    nginx_image: str = Field("", description="nginx image instead of the default")
    client_image: str = Field("", description="image with curl and dig instead of the default")
    pull_secret: Path | None = Field(None, description="docker config.json with the registry's credentials")
    registry_mirror: str = Field("", description="registry host and path to put before the default public images")
    level: Literal["quick", "full"] = Field("quick", description="quick: safe and fast claims; full: every claim")
    disruptive: bool = Field(default=False, description="allow node-disturbing claims on an existing cluster")
    only: str = Field("", description="ids of the claims to run, separated by commas; empty: every claim of the level")
    patience: float = Field(1.0, gt=0, description="factor on every deadline of a claim")
    join: Path | None = Field(None, description="folder of a run under way, whose cluster this one uses as it is")
    html: bool = Field(default=True, description="make the HTML report")
    faults: str = Field("", description="ids of the faults to inject, separated by commas; empty: all")
    short: bool = Field(default=False, description="only the short form: one fault of each kind")
    peer: Literal["", "upstream"] = Field(
        "", description="whose tests are run under the same faults, to compare; empty: nobody's"
    )
    phase: Literal["", "before", "during", "after"] = Field(
        "", description="phase of an upgrade by other means; empty: all of it"
    )
    to: str = Field("", description="Kubernetes version to upgrade the run's own cluster to; empty: the newest pinned")
    drain: bool = Field(default=False, description="drain each Node before its kubelet is upgraded")
    snapshot: Path | None = Field(None, description="file with what was there before an upgrade")
    rehearsal: float = Field(0.0, ge=0, description="seconds for which an upgrade is only rehearsed: asked, not done")
    out: Path = Field(default_factory=default_out, description="where results are published")
    cache: Path = Field(default_factory=default_cache, description="where builds are kept between runs")


def load() -> Settings:
    """Read the settings from the environment.

    Raises:
        SetupError: a value is not allowed (exit code USAGE); the message names the variable and its choices.

    """
    try:
        return Settings()  # pyright: ignore[reportCallIssue]  # every field comes from the environment
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).removeprefix("e2e_").upper()
        raise SetupError(f"{name}={first['input']}: {first['msg']}", ExitCode.USAGE) from error
