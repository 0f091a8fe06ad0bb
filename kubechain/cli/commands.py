"""The commands of kubechain: which settings each of them offers, and examples."""

from __future__ import annotations

from typing import ClassVar, Literal, cast, get_args

from pydantic import Field
from pydantic_settings import BaseSettings, CliPositionalArg, CliSubCommand, PydanticBaseSettingsSource, SettingsConfigDict

from kubechain.core.settings import (
    CleanSettings,
    DoctorSettings,
    ExistingCluster,
    Expression,
    Faults,
    Folders,
    Group,
    Hops,
    Images,
    KindCluster,
    Permission,
    Phase,
    Results,
    Selection,
    Version,
    Workers,
)


class Command(Group):
    """A command; its docstring is its help."""

    examples: ClassVar[tuple[str, ...]] = ()


class RunCommand(
    Command, Workers, Expression, Selection, Permission, ExistingCluster, KindCluster, Version, Images, Results, Folders
):
    """Check every link of the chain on a cluster, and end with one verdict and a report.

    Without --context a kind cluster is made for the run and deleted at its end.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "kubechain run",
        "kubechain run --level full -n 2",
        "kubechain run -k 'dns or env' --keep --cluster dev",
        "kubechain run --context staging --kubeconfig ~/staging.yaml",
    )


class FaultsCommand(Command, Expression, Faults, KindCluster, Version, Images, Results, Folders):
    """Break a cluster of its own in one way at a time, and check that the suite finds each fault."""

    examples: ClassVar[tuple[str, ...]] = (
        "kubechain faults --short",
        "kubechain faults --faults selector-changed,workers-cordoned",
        "kubechain faults --compare upstream",
    )


class UpgradeCommand(Command, Phase, ExistingCluster, Hops, KindCluster, Expression, Images, Results, Folders):
    """Upgrade a cluster of its own with kubeadm, and sample every path all the time.

    With before, during and after: the same for an existing cluster that is upgraded by other means, in three runs.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "kubechain upgrade --from 1.36.3 --to 1.37.2 --drain",
        "kubechain upgrade before --context staging --snapshot before.json",
        "kubechain upgrade during --context staging --snapshot before.json",
        "kubechain upgrade after --context staging --snapshot before.json",
    )


class ListCommand(Command):
    """Print the catalogue of claims."""

    examples: ClassVar[tuple[str, ...]] = ("kubechain list", "kubechain list --format json")
    format: Literal["text", "json", "markdown"] = Field("text", description="how the claims are printed")


class ReportCommand(Command, Folders):
    """Show the last report to a browser on this machine, on loopback only."""

    examples: ClassVar[tuple[str, ...]] = ("kubechain report", "kubechain report --port 8000")
    port: int = Field(0, ge=0, lt=1 << 16, description="port on loopback; 0: a free one")


class CleanCommand(Command, CleanSettings):
    """Remove what runs that died left behind on this machine and, with --context, on an existing cluster.

    That is programs, kind clusters, containers of builds, half-made files and folders of runs. Nothing of a run that is
    alive is touched.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "kubechain clean",
        "kubechain clean --kept --engine",
        "kubechain clean --context staging",
    )


class DoctorCommand(Command, DoctorSettings):
    """Say what this machine and, with --context, a cluster offer and lack. Changes nothing."""

    examples: ClassVar[tuple[str, ...]] = ("kubechain doctor", "kubechain doctor --context staging")


class CompletionCommand(Command):
    """Print a script that completes commands and options in a shell."""

    examples: ClassVar[tuple[str, ...]] = (
        "source <(kubechain completion bash)      # in ~/.bashrc",
        "source <(kubechain completion zsh)       # in ~/.zshrc, after compinit",
    )
    shell: CliPositionalArg[Literal["bash", "zsh"]] = Field(description="the shell")


class Kubechain(BaseSettings):
    """End-to-end conformance of the chain from a Deployment to the answer of its Service."""

    model_config = SettingsConfigDict(
        cli_kebab_case=True,
        cli_implicit_flags="toggle",
        cli_hide_none_type=True,
        # What a command line cannot hold: every text is a text, also "null".
        cli_parse_none_str="\0",
        cli_shortcuts={"processes": "n", "claims": "k"},
    )
    run: CliSubCommand[RunCommand] = Field(description="check every link of the chain on a cluster")
    faults: CliSubCommand[FaultsCommand] = Field(description="check that the suite finds faults")
    upgrade: CliSubCommand[UpgradeCommand] = Field(description="watch a cluster before, during and after an upgrade")
    list_: CliSubCommand[ListCommand] = Field(alias="list", description="print the catalogue of claims")
    report: CliSubCommand[ReportCommand] = Field(description="show the last report in a browser")
    clean: CliSubCommand[CleanCommand] = Field(description="remove what runs left behind")
    doctor: CliSubCommand[DoctorCommand] = Field(description="say what machine and cluster offer and lack")
    completion: CliSubCommand[CompletionCommand] = Field(description="print a script for bash or zsh")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Choose the command by the command line alone: the environment may hold a variable RUN or LIST."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


def commands() -> dict[str, type[Command]]:
    """Return the commands by name, in the order of the help."""
    return {
        info.alias or name: cast("type[Command]", get_args(info.annotation)[0]) for name, info in Kubechain.model_fields.items()
    }
