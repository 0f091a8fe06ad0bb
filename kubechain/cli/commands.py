"""The commands of kubechain, with their settings and examples."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, cast, get_args

from pydantic import Field
from pydantic_settings import BaseSettings, CliPositionalArg, CliSubCommand, PydanticBaseSettingsSource, SettingsConfigDict

from kubechain.cli.command_base import Command, Trend
from kubechain.cli.in_cluster_commands import FleetCommand, ImagesCommand, MergeCommand, WatchCommand
from kubechain.cli.printing_commands import DocsCommand, ListCommand, RightsCommand
from kubechain.core.bench_settings import Benching
from kubechain.core.change_settings import Change, Entrances, Hops, Phase
from kubechain.core.in_cluster_settings import Delivery, Sharding
from kubechain.core.run_settings import Workers
from kubechain.core.settings import (
    CleanSettings,
    Compliance,
    ControlPlanes,
    DoctorSettings,
    ExistingCluster,
    Expression,
    Faults,
    Folders,
    Format,
    History,
    Images,
    KindCluster,
    KnownIssues,
    Network,
    OneNamespace,
    Permission,
    QualityGate,
    Reach,
    Results,
    Selection,
    Version,
)


class RunCommand(
    Command,
    Workers,
    Expression,
    Selection,
    Sharding,
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
    Results,
    History,
    QualityGate,
    Delivery,
    Folders,
):
    """Check every link of the chain on a cluster; print a verdict and write a report.

    Without --context, a kind cluster is created for the run and deleted after it.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "kubechain run",
        "kubechain run --level full -n 2",
        "kubechain run -k 'dns or env' --keep --cluster dev",
        "kubechain run --ip-family dual --level full",
        "kubechain run --context staging --kubeconfig ~/staging.yaml",
        "kubechain run --context staging --overlay ours.yaml --nodes pool=test --no-node-port",
        "kubechain run --context staging --namespace team-a",
        "kubechain run --context staging --waivers known.yaml --history ~/runs --gate gate.yaml",
        "kubechain run --context staging --shard 0/4 --out shards/0",
    )


class FaultsCommand(Command, Expression, Faults, KindCluster, Network, Version, Images, Results, Folders):
    """Inject faults, or mutants of Kubernetes, into a new cluster, one at a time; check that the suite finds each of them."""

    examples: ClassVar[tuple[str, ...]] = (
        "kubechain faults --short",
        "kubechain faults --faults selector-changed,workers-cordoned",
        "kubechain faults --compare upstream",
        "kubechain faults --mutants --short",
    )


class BenchCommand(Command, Benching, KindCluster, Version, Images, Folders):
    """Measure the claims beside upstream's tests of the same behaviour, on one kind cluster, in turn; write bench.html.

    The exit code is 23 if the suite is slower beside upstream than the last release, beyond the noise of the rounds.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "kubechain bench",
        "kubechain bench --rounds 1 --keep --cluster bench",
        "kubechain bench --rounds 5 --record",
    )


class UpgradeCommand(
    Command, Phase, Entrances, ExistingCluster, Compliance, Hops, KindCluster, ControlPlanes, Expression, Images, Results, Folders
):
    """Create a cluster, upgrade it with kubeadm, and sample every network path during the upgrade.

    The phases before, during and after are three runs around the upgrade of an existing cluster by other means.
    """

    arguments: ClassVar[str] = "[before|during|after]"
    examples: ClassVar[tuple[str, ...]] = (
        "kubechain upgrade --from 1.36.3 --to 1.37.2 --drain",
        "kubechain upgrade before --context staging --snapshot before.json",
        "kubechain upgrade during --context staging --snapshot before.json",
        "kubechain upgrade after --context staging --snapshot before.json",
    )


class DuringCommand(
    Command, Change, Entrances, ExistingCluster, Compliance, Expression, Images, Results, History, Delivery, Folders
):
    """Sample every network path of an existing cluster before, during and after any change; the exit code is 0 for go.

    The change is the command after --, or what you do meanwhile, until --for is over or until Ctrl-C.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "kubechain during --context staging -- kubectl --context staging -n kube-system rollout restart daemonset/kube-proxy",
        "kubechain during --context staging --for 30m -- ./replace-coredns.sh",
        "kubechain during --context staging --for 30m",
        "kubechain during --context in-cluster --state kubechain/kubechain-state",
        "kubechain during --context staging --for 30m --ask https://shop.example.org/health --ask-allowance 5s",
    )


class ReportCommand(Command, Folders):
    """Serve the report of the last run to a browser on this machine, on a loopback address."""

    examples: ClassVar[tuple[str, ...]] = ("kubechain report", "kubechain report --port 8000")
    port: int = Field(0, ge=0, lt=1 << 16, description="port on loopback; 0: any free port")


class CompareCommand(Command, Format):
    """Compare two finished runs, or two sets of runs: what broke, healed, is not tried any more, and is slower or faster.

    The exit code is 0 if nothing broke or got slower, 23 if something did, and 10 if that cannot be said.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "kubechain compare yesterday/run.json reports/out/run.json",
        "kubechain compare runs-of-1.36/ runs-of-1.37/ --markdown",
    )
    before: CliPositionalArg[Path | None] = Field(default=None, description="a run.json, or a folder with some, to compare with")
    after: CliPositionalArg[Path | None] = Field(default=None, description="a run.json, or a folder with some, to judge")


class HistoryCommand(Command, Trend, Format):
    """Show the last runs in a folder, by cluster and version of Kubernetes: a row for each run."""

    examples: ClassVar[tuple[str, ...]] = ("kubechain history ~/runs", "kubechain history ~/runs --last 5 --json")
    history: CliPositionalArg[Path | None] = Field(default=None, description=History.model_fields["history"].description)


class GateCommand(Command, QualityGate):
    """Check whether the result of a finished run keeps the rules of a file; the exit code is 0 if it does, else 24."""

    examples: ClassVar[tuple[str, ...]] = ("kubechain gate reports/out/run.json --gate gate.yaml",)
    result: CliPositionalArg[Path | None] = Field(default=None, description="run.json of the run to check")


class CleanCommand(Command, CleanSettings):
    """Remove the leftovers of dead runs from this machine and, with --context, from an existing cluster.

    Leftovers are processes, kind clusters, build containers, incomplete files, folders of runs and namespaces. Nothing
    that belongs to a living run is removed.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "kubechain clean",
        "kubechain clean --kept --engine",
        "kubechain clean --context staging",
        "kubechain clean --context staging --namespace team-a",
    )


class DoctorCommand(Command, DoctorSettings):
    """Check whether this machine and, with --context, a cluster have what a run needs. Changes nothing."""

    examples: ClassVar[tuple[str, ...]] = ("kubechain doctor", "kubechain doctor --context staging")


class CompletionCommand(Command):
    """Print a completion script for a shell."""

    examples: ClassVar[tuple[str, ...]] = (
        "source <(kubechain completion bash)      # in ~/.bashrc",
        "source <(kubechain completion zsh)       # in ~/.zshrc, after compinit",
    )
    shell: CliPositionalArg[Literal["bash", "zsh"]] = Field(description="the shell")


class Kubechain(BaseSettings):
    """End-to-end conformance tests of the chain from a Deployment to the response of its Service."""

    model_config = SettingsConfigDict(
        cli_kebab_case=True,
        cli_implicit_flags="toggle",
        cli_hide_none_type=True,
        # A command line cannot contain this character, so no text, such as "null", is read as None.
        cli_parse_none_str="\0",
        cli_shortcuts={"processes": "n", "claims": "k"},
    )
    run: CliSubCommand[RunCommand] = Field(description="check every link of the chain on a cluster")
    faults: CliSubCommand[FaultsCommand] = Field(description="check that the suite finds injected faults")
    bench: CliSubCommand[BenchCommand] = Field(description="measure the claims beside upstream's tests")
    upgrade: CliSubCommand[UpgradeCommand] = Field(description="check a cluster before, during and after an upgrade")
    during: CliSubCommand[DuringCommand] = Field(description="check a cluster before, during and after any change")
    list_: CliSubCommand[ListCommand] = Field(alias="list", description="print the catalogue of claims")
    rights: CliSubCommand[RightsCommand] = Field(description="print the rights that runs need, as an RBAC manifest")
    images: CliSubCommand[ImagesCommand] = Field(description="print or build the images of runs in a cluster")
    docs: CliSubCommand[DocsCommand] = Field(description="print a document, such as the reference")
    report: CliSubCommand[ReportCommand] = Field(description="serve the last report to a browser")
    compare: CliSubCommand[CompareCommand] = Field(description="compare finished runs")
    history: CliSubCommand[HistoryCommand] = Field(description="show earlier runs, one a row")
    merge: CliSubCommand[MergeCommand] = Field(description="merge the results of the parts of a suite")
    gate: CliSubCommand[GateCommand] = Field(description="check the result of a run against rules")
    fleet: CliSubCommand[FleetCommand] = Field(description="check several clusters, on one page")
    watch: CliSubCommand[WatchCommand] = Field(description="check a cluster again and again, with figures for Prometheus")
    clean: CliSubCommand[CleanCommand] = Field(description="remove the leftovers of dead runs")
    doctor: CliSubCommand[DoctorCommand] = Field(description="check machine and cluster before a run")
    completion: CliSubCommand[CompletionCommand] = Field(description="print a completion script for bash or zsh")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the command from the command line only: a variable RUN or LIST in the environment must not select one."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


def commands() -> dict[str, type[Command]]:
    """Return the commands by name, in the order of the help."""
    return {
        info.alias or name: cast("type[Command]", get_args(info.annotation)[0]) for name, info in Kubechain.model_fields.items()
    }
