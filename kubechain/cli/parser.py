"""Parses the command line into the settings of a command."""

from __future__ import annotations

import argparse
import inspect
import os
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import ValidationError
from pydantic_settings import CliApp, CliSettingsSource, get_subcommand

from kubechain import __version__
from kubechain.cli.commands import Command, Kubechain, commands
from kubechain.cli.options import options
from kubechain.core.cli import Parser
from kubechain.core.default_folders import PROJECT
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.near_misses import suggestion
from kubechain.core.setting_groups import PREFIX
from kubechain.core.settings import Nested, complaint

EPILOG = (
    "kubechain COMMAND --help explains the options of a command. Each option has an environment variable: its name is in []. "
    "Exit codes: 0 the chain holds, or the command did its work; 1 a link is broken; 2 interrupted; 4 bad input; 10 claims are "
    "inconclusive; the others say what was missing (`kubechain docs reference`, Exit codes)."
)

# Names of the environment that are no settings: the mark of what runs of a process make.
INTERNAL = {"OWNER"}


def parse(words: Sequence[str]) -> Command:
    """Return the command with its settings, which come from the command line, else from the environment.

    Raises:
        SetupError: the command is missing or unknown, an option is unknown, or a value is not allowed (exit code USAGE).

    """
    parser = Parser(prog=PROJECT, description=Kubechain.__doc__, epilog=EPILOG, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"{PROJECT} {__version__}")
    arguments = Arguments()
    source = CliSettingsSource[argparse.ArgumentParser](
        Kubechain,
        root_parser=parser,
        add_argument_method=arguments.add,
        add_subparsers_method=arguments.add_commands,
        add_parser_method=add_command,
    )
    arguments.name_commands()
    if words and not words[0].startswith("-") and words[0] not in commands():
        known = f"expected one of {', '.join(commands())}"
        raise SetupError(f"no such command: {words[0]}{suggestion(words[0], commands())}; {known} (see --help)", ExitCode.USAGE)
    namespace, unknown = parser.parse_known_args(with_command(words))
    if unknown:
        flags = [flag for option in options(commands()[words[0]]) for flag in option.flags] if words[0] in commands() else []
        hint = suggestion(unknown[0].partition("=")[0], flags)
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    for dest, value in vars(namespace).items():
        # A variable of a shell that is not set: --context "$CLUSTER" must not create a cluster, nor --namespace "$TEAM" use all.
        if value == "":
            spelled = dest.rpartition(".")[2].replace("_", "-")
            parser.error(f"--{spelled} is empty: give it a value, or omit it")
    require_spelled(os.environ, arguments)
    try:
        command = get_subcommand(CliApp.run(Kubechain, cli_args=namespace, cli_settings_source=source), is_required=False)
    except ValidationError as error:
        options_given = [dest.rpartition(".")[2] for dest in vars(namespace)]
        raise SetupError(f"{complaint(error, options_given)} (see --help)", ExitCode.USAGE) from error
    if command is None:
        raise SetupError(f"no command: expected one of {', '.join(commands())} (see --help)", ExitCode.USAGE)
    return cast("Command", command)


def require_spelled(environment: Mapping[str, str], arguments: Arguments) -> None:
    """Raise SetupError (exit code USAGE) if the environment has a misspelled name of a setting, which would be without effect."""
    offered = [option for found in arguments.options.values() for option in found.values()]
    settings = {option.variable.removeprefix(PREFIX) for option in (*offered, *options(Nested))}
    for name in sorted(environment):
        own = name.removeprefix(PREFIX)
        if own != name and own not in settings | INTERNAL and (hint := suggestion(own, settings)):
            raise SetupError(f"{name}: no such setting{hint}; use that name, or unset it", ExitCode.USAGE)


def with_command(words: Sequence[str]) -> list[str]:
    """Return the words of a command line with those after -- as one option: `during -- kubectl apply -f "a b"`.

    Raises:
        SetupError: there is a command before -- and another after it (exit code USAGE).

    """
    if "--" not in words or words[0] != "during":
        return [*words]
    place = words.index("--")
    if words[place + 1 :] and any(word.partition("=")[0] == "--command" for word in words[:place]):
        raise SetupError("--command: not with a command after --; omit one of them (see --help)", ExitCode.USAGE)
    return [*words[:place], *(["--command", shlex.join(words[place + 1 :])] if words[place + 1 :] else [])]


def add_command(subparsers: Any, name: str, **details: Any) -> argparse.ArgumentParser:
    """Add the parser of a command, with its examples as the epilog of its help."""
    model = commands()[name]
    examples = "\n".join(f"  {example}" for example in model.examples)
    details["description"] = inspect.cleandoc(model.__doc__ or "")
    required = [option for option in options(model) if not option.flags]
    spelled = [f"{{{'|'.join(option.choices)}}}" if option.choices else option.metavar for option in required]
    usage = " ".join(filter(None, [PROJECT, name, model.arguments or " ".join(spelled), "[options]"]))
    return subparsers.add_parser(name, **details, usage=usage, epilog=f"examples:\n{examples}")


class Arguments:
    """Adds the options of commands to their parsers, in groups, with the help texts of the settings."""

    def __init__(self) -> None:
        self.options = {name: {option.name: option for option in options(model)} for name, model in commands().items()}
        self.groups: dict[tuple[str, str], Any] = {}
        self.subparsers: list[Any] = []

    def add_commands(self, parser: argparse.ArgumentParser, **details: Any) -> Any:
        """Add the parsers of the commands."""
        details["title"] = "commands"
        self.subparsers.append(parser.add_subparsers(**details))
        return self.subparsers[-1]

    def name_commands(self) -> None:
        """Write COMMAND in messages, where the library lists all commands."""
        for subparser in self.subparsers:
            subparser.metavar = "COMMAND"

    def add(self, parser: argparse.ArgumentParser, *flags: str, **details: Any) -> argparse.Action:
        """Add an option whose destination is COMMAND.NAME."""
        command, _, name = details.get("dest", flags[0]).partition(".")
        option = self.options[command][name]
        for title in dict.fromkeys(offered.title for offered in self.options[command].values()):
            if (command, title) not in self.groups:
                self.groups[command, title] = parser.add_argument_group(title)
        if "metavar" in details:
            details["metavar"] = option.metavar
        if option.choices and not option.flags:
            details["choices"] = option.choices
        details["help"] = option.help.replace("%", "%%")
        return self.groups[command, option.title].add_argument(*flags, **details)
