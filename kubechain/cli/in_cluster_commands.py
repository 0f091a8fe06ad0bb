"""The commands about runs in clusters: images, parts of a suite, fleets and watches."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field
from pydantic_settings import CliPositionalArg

from kubechain.cli.command_base import Command, Trend
from kubechain.core.in_cluster_settings import Bucket, FleetChoice, ImageBuild, PodOfRun, Watching, config_map
from kubechain.core.settings import (
    Compliance,
    ExistingCluster,
    Expression,
    Folders,
    History,
    Images,
    KnownIssues,
    OneNamespace,
    QualityGate,
    Reach,
    Selection,
)


class ImagesCommand(Command, ImageBuild, Images, Folders):
    """Print the images that a cluster needs for the runs of deploy/, one a line: nginx, and the runner with its client.

    A cluster without a registry gets them from a checkout: build them here, then load them on its Nodes.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "kubechain images --registry-mirror registry.example.org/mirror",
        "kubechain images --build",
        "kubechain images --build --architecture arm64",
    )


class MergeCommand(Command, ExistingCluster, History, QualityGate, Folders):
    """Merge the results of the parts of a suite (kubechain run --shard) into one, with the verdict of the whole suite.

    They are in folders, or in the ConfigMaps to which the Pods of the parts wrote them. The exit code is that of the verdict.
    """

    arguments: ClassVar[str] = "[FOLDER ...]"
    examples: ClassVar[tuple[str, ...]] = (
        "kubechain merge shards/0 shards/1 --out merged",
        "kubechain merge shards --out merged --history ~/runs",
        "kubechain merge --context staging --result-config-map kubechain/kubechain-result --out merged",
    )
    results: CliPositionalArg[list[Path]] = Field(default=[], description="folders with the results of all parts, at any depth")
    result_config_map: Annotated[str, AfterValidator(config_map)] = Field(
        "", description="NAMESPACE/NAME of the ConfigMaps NAME-0, NAME-1, ... on the cluster, in place of folders"
    )


class FleetCommand(Command, FleetChoice, Selection, KnownIssues, Compliance, Reach, Images, Trend, History, QualityGate, Folders):
    """Check several clusters, and write one page with a row for each: fleet.html.

    Of a folder with finished runs, the last of each cluster counts, and nothing is run. The exit code is 1 if a chain is broken,
    10 if a cluster has no verdict, 25 if a waiver is to be removed, 24 if a rule of --gate is not kept, else 0.
    """

    arguments: ClassVar[str] = "[SOURCE]"
    examples: ClassVar[tuple[str, ...]] = (
        "kubechain fleet --contexts staging,production --history ~/runs",
        "kubechain fleet clusters.yaml --at-once 8 --gate gate.yaml",
        "kubechain fleet ~/runs",
    )
    kubeconfig: Path | None = Field(default=None, description=ExistingCluster.model_fields["kubeconfig"].description)


class WatchCommand(
    Command,
    Watching,
    PodOfRun,
    Selection,
    Expression,
    KnownIssues,
    ExistingCluster,
    OneNamespace,
    Compliance,
    Reach,
    Images,
    History,
    QualityGate,
    Bucket,
    Folders,
):
    """Check an existing cluster again and again; serve figures for Prometheus at /metrics, and /healthz."""

    examples: ClassVar[tuple[str, ...]] = (
        "kubechain watch --context staging",
        "kubechain watch --context in-cluster --every 5m --address 0.0.0.0 --port 8080",
    )
    port: int = Field(9464, ge=0, lt=1 << 16, description="port of /metrics and /healthz; 0: any free port")
