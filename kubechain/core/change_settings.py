"""The settings of upgrades and of other changes of a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import CliPositionalArg

from kubechain.core.durations import seconds
from kubechain.core.in_cluster_settings import config_map
from kubechain.core.setting_groups import Group
from kubechain.core.setting_values import urls, words_of_shell

# Samplers end by themselves after this time: one that nobody ends asks no longer.
SAMPLER_SECONDS = 12 * 3600
# They begin before the time that counts, and go on for some seconds after it.
MOST_SECONDS = SAMPLER_SECONDS - 600.0


def length(value: object) -> float:
    """Return for how many seconds to sample; ValueError if it is no duration, or the samplers ask for less."""
    found = seconds(value)
    if found > MOST_SECONDS:
        raise ValueError(f"expected at most {MOST_SECONDS / 60:.0f}m, for which the samplers ask")
    return found


class Phase(Group):
    """An upgrade of an existing cluster by other means, in three phases."""

    title: ClassVar[str] = "an upgrade by other means"
    phase: CliPositionalArg[Literal["", "before", "during", "after"]] = Field(
        "",
        description="before, during or after: the phase of an existing cluster's upgrade; without a phase, a new cluster is "
        "created and upgraded",
    )
    snapshot: Path | None = Field(default=None, description="snapshot file: before writes it, during and after read it")


class Change(Group):
    """Any change of an existing cluster."""

    title: ClassVar[str] = "a change"
    for_: Annotated[float, BeforeValidator(length)] = Field(
        0.0,
        alias="for",
        description="how long to sample at least, such as 90s, 30m or 2h, at most 710m; without a command, exactly so long",
    )
    command: Annotated[str, AfterValidator(words_of_shell)] = Field(
        "", description="the command that changes the cluster; on the command line also after --"
    )
    state: Annotated[str, AfterValidator(config_map)] = Field(
        "",
        description="NAMESPACE/NAME of a ConfigMap that keeps what a run has seen: one that is evicted or killed is continued by "
        "the next; without --for, it ends when every Node is upgraded and quiet",
    )


class Entrances(Group):
    """The ways by which users come in, which are sampled besides those to the witnesses."""

    title: ClassVar[str] = "more to sample"
    ask: Annotated[str, AfterValidator(urls)] = Field(
        "", description="URLs of your own that answer 2xx, separated by commas; sampled from this machine"
    )
    ask_allowance: Annotated[float, BeforeValidator(seconds)] = Field(
        0.0, description="how long each of these URLs may be unreachable in all, such as 5s"
    )
    load_balancer: bool = Field(
        default=False, description="give the witnesses a Service of type LoadBalancer, which may cost money, and sample it"
    )


class Hops(Group):
    """An upgrade of the run's own cluster."""

    title: ClassVar[str] = "an upgrade of its own cluster"
    from_: str = Field("", alias="from", description="Kubernetes version of the new cluster; a pinned version")
    to: str = Field("", description="Kubernetes version after the upgrade; default: the newest pinned version")
    drain: bool = Field(default=False, description="drain each worker before its kubelet is replaced")
    reboot: bool = Field(default=False, description="drain each worker, replace its kubelet, and restart it")
    replace: bool = Field(
        default=False, description="replace each worker: a new one joins at the new version, the old one is drained and deleted"
    )
