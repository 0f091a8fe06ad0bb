"""The settings of the project, the only source of the command line, the environment, the help and docs/REFERENCE.md.

A group is a class of related settings with a title. Each command and the pytest plugin combine several groups. The
environment variable of a setting is KUBECHAIN_ and its name in capitals; an empty variable means the default.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationError

from kubechain.core import image_names
from kubechain.core.change_settings import Change, Entrances, Hops, Phase
from kubechain.core.cluster_names import cluster_name
from kubechain.core.default_folders import default_cache, default_out
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.in_cluster_settings import Delivery, Sharding
from kubechain.core.namespace_names import namespace_name
from kubechain.core.setting_groups import PREFIX, Group, MakeVariable
from kubechain.core.setting_values import in_our_words

IpFamily = Literal["", "ipv4", "ipv6", "dual", "dual-ipv6"]
ProxyMode = Literal["", "iptables", "nftables"]


class Selection(Group):
    """The selection of claims, their timeouts, an early end, and chains for percentiles."""

    title: ClassVar[str] = "claims"
    level: Literal["quick", "full"] = Field("quick", description="quick: safe and fast claims; full: every claim")
    only: str = Field("", description="ids of the claims to run, separated by commas, at any level")
    patience: float = Field(1.0, gt=0, le=1000, allow_inf_nan=False, description="factor on every timeout of a claim")
    fail_fast: bool = Field(
        default=False, description="end the run at the first broken link; claims that have not begun are not run"
    )
    chains: int = Field(1, ge=1, le=1000, description="more than 1: make so many chains side by side after the other claims")


class Permission(Group):
    """Permissions of a run on an existing cluster."""

    title: ClassVar[str] = "an existing cluster"
    disruptive: bool = Field(default=False, description="allow claims that disturb Nodes")


class Expression(Group):
    """A selection of tests by name."""

    title: ClassVar[str] = "claims"
    claims: str = Field("", description="expression of pytest -k that selects tests by name, such as 'dns or env'")


class KnownIssues(Group):
    """Claims that are known to fail."""

    title: ClassVar[str] = "claims"
    waivers: Path | None = Field(
        default=None, description="YAML file of known issues: claims that fail for a known reason, until a date"
    )


class History(Group):
    """The folder of earlier results."""

    title: ClassVar[str] = "results and folders"
    history: Path | None = Field(default=None, description="folder that keeps the run.json of each run, in a file of its own")


class QualityGate(Group):
    """The rules for the result of a run."""

    title: ClassVar[str] = "results and folders"
    gate: Path | None = Field(default=None, description="YAML file of rules that the result must keep, else exit code 24")


class ExistingCluster(Group):
    """An existing cluster; the kubeconfig is used only together with a context."""

    title: ClassVar[str] = "an existing cluster"
    context: str = Field("", description="context in the kubeconfig; use this existing cluster")
    kubeconfig: Path | None = Field(
        default=None, description="kubeconfig file of the context; default: $KUBECONFIG, else ~/.kube/config"
    )


class OneNamespace(Group):
    """The namespace of a run that may use no other."""

    title: ClassVar[str] = "an existing cluster"
    namespace: Annotated[str, AfterValidator(namespace_name)] = Field(
        default="", description="existing namespace; nothing is made, watched or removed outside of it"
    )


class Compliance(Group):
    """What the objects of a run have besides, so that the policies of a cluster accept them."""

    title: ClassVar[str] = "policies of a cluster"
    overlay: Path | None = Field(
        default=None, description="YAML file with labels, annotations, tolerations and more for the objects of the run"
    )
    tolerate: str = Field("", description="taints that Pods tolerate, KEY[=VALUE][:EFFECT], separated by commas")


class Reach(Group):
    """The part of a cluster that a run may use."""

    title: ClassVar[str] = "policies of a cluster"
    nodes: str = Field("", description="labels of the only Nodes that are used and judged, KEY=VALUE, separated by commas")
    node_port: bool = Field(default=True, description="use nodePorts: Services of type NodePort, and the claims on them")


class Version(Group):
    """The Kubernetes version of a new cluster."""

    title: ClassVar[str] = "a cluster of its own"
    k8s: str = Field("", description="Kubernetes version of the new cluster, such as 1.37.2 or 1.37; a pinned version")


class Network(Group):
    """The IP families of the kind cluster that a run creates, and the mode of its kube-proxy."""

    title: ClassVar[str] = "a cluster of its own"
    ip_family: IpFamily = Field("", description="IP families of the cluster: ipv4 (default), ipv6, dual, dual-ipv6 (IPv6 first)")
    proxy_mode: ProxyMode = Field("", description="mode of kube-proxy in the cluster: iptables (default) or nftables")


class ControlPlanes(Group):
    """The control planes of the kind cluster that a run creates."""

    title: ClassVar[str] = "a cluster of its own"
    control_planes: int = Field(
        1, ge=1, le=7, description="number of control planes; several are behind a load balancer (HAProxy), three survive one"
    )


class KindCluster(Group):
    """The kind cluster that a run creates."""

    title: ClassVar[str] = "a cluster of its own"
    images: Literal["auto", "pull", "build"] = Field(
        "auto", description="pull images, build them from source, or auto: pull if a registry answers, else build"
    )
    cluster: Annotated[str, AfterValidator(cluster_name)] = Field(
        "", description="name of the kind cluster; a kept cluster of this name is used again"
    )
    keep: bool = Field(default=False, description="keep the cluster after the run")


class Images(Group):
    """The images of the workload, and where they come from."""

    title: ClassVar[str] = "images"
    nginx_image: Annotated[str, AfterValidator(image_names.image)] = Field("", description="nginx image in place of the default")
    client_image: Annotated[str, AfterValidator(image_names.image)] = Field(
        "", description="image with curl and dig in place of the default"
    )
    image_architectures: Annotated[str, AfterValidator(image_names.architectures)] = Field(
        "", description="architectures of these images, such as amd64,arm64: Pods run on Nodes with one of them"
    )
    pull_secret: Path | None = Field(default=None, description="docker config.json with the registry's credentials")
    registry_mirror: Annotated[str, AfterValidator(image_names.mirror)] = Field(
        "", description="registry host and path that replace those of the default public images"
    )


class Faults(Group):
    """The selection of faults."""

    title: ClassVar[str] = "faults"
    faults: str = Field("", description="ids of the faults to inject, separated by commas; default: all")
    mutants: bool = Field(default=False, description="inject mutants of Kubernetes, built from source, in place of faults")
    drawn: bool = Field(default=False, description="of the mutants those that are drawn by a rule, in place of the named ones")
    cover: bool = Field(default=False, description="inject nothing, and write covered.txt: the functions that programs call")
    short: bool = Field(default=False, description="inject only a few, each of another kind or component")
    compare: Literal["", "upstream"] = Field(
        "", description="upstream: also run the closest tests of Kubernetes under each fault"
    )


RoleName = Literal["run", "namespace", "disruptive", "upgrade", "clean"]


class Results(Group):
    """The report of a run."""

    title: ClassVar[str] = "results and folders"
    html: bool = Field(default=True, description="write the HTML report")


class Format(Group):
    """The format of the output."""

    title: ClassVar[str] = "output"
    json_: bool = Field(default=False, alias="json", description="print JSON in place of text")
    markdown: bool = Field(default=False, description="print Markdown in place of text")


class Folders(Group):
    """The folders of results and builds."""

    title: ClassVar[str] = "results and folders"
    out: Path = Field(default_factory=default_out, description="folder of the results; default: reports/out")
    cache: Annotated[Path, MakeVariable("CACHE_DIR")] = Field(
        default_factory=default_cache,
        description="folder of builds, engine files and run locks; default: $XDG_CACHE_HOME/kubechain, else ~/.cache/kubechain",
    )


class Removal(Group):
    """Removals of `kubechain clean` besides the leftovers of dead runs."""

    title: ClassVar[str] = "more to remove"
    images_too: bool = Field(default=False, description="also remove the images that kubechain built")
    cache_too: Annotated[bool, MakeVariable("CACHE")] = Field(default=False, description="also remove the cache of builds")
    engine: bool = Field(
        default=False, description="also stop the container engine that a run started, and undo its network isolation"
    )
    kept: bool = Field(
        default=False,
        description="list kept clusters, or with a context unexpired namespaces, witnesses and cordons there; ask, then remove",
    )
    cluster: str = Field("", description="name of the only kept cluster that --kept removes")
    yes: bool = Field(default=False, description="remove without asking; without a terminal, --kept removes nothing without it")


class Nested(Group):
    """Settings that a run passes to the nested runs that it starts."""

    title: ClassVar[str] = "nested runs"
    also: str = Field("", description="ids of claims to run besides those of the level, separated by commas")
    join: Path | None = Field(default=None, description="folder of the outer run, whose cluster the nested run uses")
    rehearsal: float = Field(0.0, ge=0, description="seconds to sample all paths in place of an upgrade; 0: upgrade")


class Settings(
    Selection,
    Sharding,
    Delivery,
    KnownIssues,
    Permission,
    ExistingCluster,
    OneNamespace,
    Compliance,
    Reach,
    KindCluster,
    Network,
    ControlPlanes,
    Version,
    Images,
    Faults,
    Phase,
    Change,
    Entrances,
    Hops,
    Nested,
    Results,
    History,
    QualityGate,
    Folders,
):
    """The settings of the pytest plugin."""


class CleanSettings(Removal, ExistingCluster, OneNamespace, Folders):
    """The settings of `kubechain clean`."""


class DoctorSettings(Permission, ExistingCluster, OneNamespace, Folders):
    """The settings of `kubechain doctor`."""


def load() -> Settings:
    """Read the settings from the environment.

    Raises:
        SetupError: a value is not allowed (exit code USAGE); the message has the variable and the allowed values.

    """
    try:
        return Settings()  # pyright: ignore[reportCallIssue]  # every field comes from the environment
    except ValidationError as error:
        raise SetupError(complaint(error), ExitCode.USAGE) from error


def complaint(error: ValidationError, options: Collection[str] = ()) -> str:
    """Return the first error as one line: "--level=all: expected 'quick' or 'full'".

    Settings in `options` are from the command line and appear as options; others appear as environment variables.
    """
    first = error.errors()[0]
    name = str(first["loc"][-1])
    spelled = f"--{name.replace('_', '-')}" if name in options else f"{PREFIX}{name.upper()}"
    value = " ".join(str(first["input"]).split())
    return f"{spelled}={value}: {in_our_words(first['msg'])}"
