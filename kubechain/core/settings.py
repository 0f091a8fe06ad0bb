"""Every setting of the project, declared once: command line, environment, help and docs/REFERENCE.md are made from it.

A group is a class of related settings with a title; what a command offers, and what the pytest plugin reads, are
combinations of groups. A variable of the environment is KUBECHAIN_ and the setting's name; an empty one means the default.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, CliPositionalArg, SettingsConfigDict

from kubechain.core.errors import ExitCode, SetupError

PROJECT = "kubechain"
PREFIX = f"{PROJECT.upper()}_"


def default_cache() -> Path:
    """Return where builds are kept between runs, outside every checkout.

    Raises:
        SetupError: the user has no home folder (exit code USAGE).

    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / PROJECT
    except RuntimeError as error:
        raise SetupError("no home folder for the cache: name a folder with --cache", ExitCode.USAGE) from error


def default_out() -> Path:
    """Return where results are published, in the current folder.

    Raises:
        SetupError: the current folder was deleted (exit code USAGE).

    """
    try:
        return Path.cwd() / "reports" / "out"
    except FileNotFoundError as error:
        raise SetupError(
            "the current folder no longer exists: change to another, or name one with --out", ExitCode.USAGE
        ) from error


@dataclass(frozen=True)
class MakeVariable:
    """Marks a setting whose variable of make has another name than the setting."""

    name: str


class Group(BaseSettings):
    """Related settings, under one title in the help."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_prefix_target="all", env_ignore_empty=True, extra="ignore", populate_by_name=True
    )
    title: ClassVar[str] = "options"


class Selection(Group):
    """Which claims a run tries, and how."""

    title: ClassVar[str] = "claims"
    level: Literal["quick", "full"] = Field("quick", description="quick: safe and fast claims; full: every claim")
    only: str = Field("", description="ids of the claims to run, separated by commas, of whatever level")
    patience: float = Field(1.0, gt=0, description="factor on every timeout of a claim")


class Permission(Group):
    """What a run may do to a cluster that is not its own."""

    title: ClassVar[str] = "an existing cluster"
    disruptive: bool = Field(default=False, description="allow claims that disturb Nodes")


class Expression(Group):
    """A choice among what is run, by name."""

    title: ClassVar[str] = "claims"
    claims: str = Field("", description="only what matches, as the expression of pytest -k, such as 'dns or env'")


class Workers(Group):
    """How many processes share the work."""

    title: ClassVar[str] = "claims"
    processes: Annotated[int, MakeVariable("N")] = Field(1, ge=0, description="processes that run claims side by side")


class ExistingCluster(Group):
    """A cluster that exists; a kubeconfig is used only together with a context that was named."""

    title: ClassVar[str] = "an existing cluster"
    context: str = Field("", description="use the existing cluster of this context of the kubeconfig")
    kubeconfig: Path | None = Field(
        default=None, description="kubeconfig file of the context; without it that of $KUBECONFIG, else ~/.kube/config"
    )


class Version(Group):
    """The Kubernetes version of a cluster that is made."""

    title: ClassVar[str] = "a cluster of its own"
    k8s: str = Field("", description="Kubernetes version of the cluster that is made, such as 1.37.2 or 1.37; one of the pinned")


class KindCluster(Group):
    """The kind cluster that a run makes."""

    title: ClassVar[str] = "a cluster of its own"
    images: Literal["auto", "pull", "build"] = Field(
        "auto", description="pull images, build them from source, or auto: pull if a registry answers, else build"
    )
    cluster: str = Field("", description="name of the kind cluster; one that exists is used again")
    keep: bool = Field(default=False, description="keep the cluster")


class Images(Group):
    """Images in place of the defaults."""

    title: ClassVar[str] = "images"
    nginx_image: str = Field("", description="nginx image in place of the default")
    client_image: str = Field("", description="image with curl and dig in place of the default")
    pull_secret: Path | None = Field(default=None, description="docker config.json with the registry's credentials")
    registry_mirror: str = Field("", description="registry host and path to put before the default public images")


class Faults(Group):
    """Which faults are injected."""

    title: ClassVar[str] = "faults"
    faults: str = Field("", description="ids of the faults to inject, separated by commas; default: all")
    short: bool = Field(default=False, description="only the short form: one fault of each kind")
    compare: Literal["", "upstream"] = Field(
        "", description="also run the closest tests of upstream under each fault, to compare"
    )


class Phase(Group):
    """An upgrade by other means, in three phases."""

    title: ClassVar[str] = "an upgrade by other means"
    phase: CliPositionalArg[Literal["", "before", "during", "after"]] = Field(
        "",
        description="before, during or after the upgrade of an existing cluster by other means; without it: a cluster of its own",
    )
    snapshot: Path | None = Field(default=None, description="snapshot file: before writes it, during and after read it")


class Hops(Group):
    """An upgrade of the run's own cluster."""

    title: ClassVar[str] = "an upgrade of its own cluster"
    from_: str = Field("", alias="from", description="Kubernetes version to begin with; one of the pinned")
    to: str = Field("", description="Kubernetes version to upgrade to; default: the newest that is pinned")
    drain: bool = Field(default=False, description="drain each worker before its kubelet is replaced")


class Results(Group):
    """The report of a run."""

    title: ClassVar[str] = "results and folders"
    html: bool = Field(default=True, description="make the HTML report")


class Folders(Group):
    """Where everything is kept."""

    title: ClassVar[str] = "results and folders"
    out: Path = Field(default_factory=default_out, description="where results are published; default: reports/out")
    cache: Annotated[Path, MakeVariable("CACHE_DIR")] = Field(
        default_factory=default_cache,
        description="builds, the engine's files, locks of runs; default: $XDG_CACHE_HOME/kubechain, else ~/.cache/kubechain",
    )


class Removal(Group):
    """What clean removes beside the leftovers of dead runs."""

    title: ClassVar[str] = "what else is removed"
    images_too: bool = Field(default=False, description="also remove the images that the project built")
    cache_too: Annotated[bool, MakeVariable("CACHE")] = Field(default=False, description="also remove the cache of builds")
    engine: bool = Field(default=False, description="also stop the container engine, if a run started it")
    kept: bool = Field(
        default=False,
        description="also remove kept clusters; with a context: unexpired namespaces and witnesses there",
    )


class Nested(Group):
    """What a run says to the runs of the suite that it starts itself."""

    title: ClassVar[str] = "for runs within a run"
    join: Path | None = Field(default=None, description="folder of a run under way, whose cluster is used as it is")
    rehearsal: float = Field(0.0, ge=0, description="seconds for which an upgrade is only rehearsed: sampled, not done")


class Settings(
    Selection, Permission, ExistingCluster, KindCluster, Version, Images, Faults, Phase, Hops, Nested, Results, Folders
):
    """What the pytest plugin of a run reads."""


class CleanSettings(Removal, ExistingCluster, Folders):
    """What clean reads."""


class DoctorSettings(Permission, ExistingCluster, Folders):
    """What the doctor reads."""


def load() -> Settings:
    """Read the settings from the environment.

    Raises:
        SetupError: a value is not allowed (exit code USAGE); the message names the variable and what is allowed.

    """
    try:
        return Settings()  # pyright: ignore[reportCallIssue]  # every field comes from the environment
    except ValidationError as error:
        raise SetupError(complaint(error), ExitCode.USAGE) from error


def complaint(error: ValidationError, options: Collection[str] = ()) -> str:
    """Return the first complaint about a value on one line.

    The setting is named as an option if its name is among `options`, which came from the command line, else as a variable.
    """
    first = error.errors()[0]
    name = str(first["loc"][-1])
    spelled = f"--{name.replace('_', '-')}" if name in options else f"{PREFIX}{name.upper()}"
    value = " ".join(str(first["input"]).split())
    return f"{spelled}={value}: {first['msg'].replace('Input should be', 'expected')}"
