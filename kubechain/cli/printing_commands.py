"""The commands that print what an installation carries."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from pydantic_settings import CliPositionalArg

from kubechain.cli.command_base import Command
from kubechain.core.settings import OneNamespace, RoleName

DocumentName = Literal[
    "",
    "access",
    "architecture",
    "bench",
    "build",
    "catalogue",
    "coverage",
    "ends",
    "engine",
    "faults",
    "glossary",
    "hostile",
    "in_cluster",
    "load",
    "mutants",
    "ownership",
    "reference",
    "results",
    "rights",
    "terrains",
]


class ListCommand(Command):
    """Print the catalogue of claims."""

    examples: ClassVar[tuple[str, ...]] = ("kubechain list", "kubechain list --format json")
    format: Literal["text", "json", "markdown"] = Field("text", description="output format")


class RightsCommand(Command, OneNamespace):
    """Print the RBAC manifest with the rights that a run on an existing cluster needs, for kubectl apply."""

    examples: ClassVar[tuple[str, ...]] = (
        "kubechain rights run | kubectl apply -f -",
        "kubechain rights namespace --namespace team-a | kubectl apply -f -",
    )
    role: CliPositionalArg[RoleName] = Field(description="the runs that need the rights")


class DocsCommand(Command):
    """Print a document, such as the reference of all settings and exit codes; without a name, the names of all."""

    arguments: ClassVar[str] = "[DOCUMENT]"
    examples: ClassVar[tuple[str, ...]] = ("kubechain docs", "kubechain docs reference | less")
    document: CliPositionalArg[DocumentName] = Field("", description="the document")
