"""The options of a command, read from its settings model, for the parser, the completion and docs/REFERENCE.md."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from kubechain.cli.commands import Kubechain
from kubechain.core.settings import PREFIX, Group, MakeVariable


@dataclass(frozen=True)
class Option:
    """A setting as an option of a command.

    `flags` is empty for a positional argument. `variable` is the environment variable, `make` the variable of make.
    `choices` omits the empty text. `default` is "" if the default is empty or computed.
    """

    name: str
    flags: tuple[str, ...]
    variable: str
    make: str
    title: str
    meaning: str
    default: str
    choices: tuple[str, ...]
    value: Literal["flag", "text", "path"]

    @property
    def help(self) -> str:
        """The help text: meaning, default and environment variable."""
        if self.flags and self.flags[0].startswith("--no-"):
            return f"do not {self.meaning} [{self.variable}=false]"
        default = f" (default: {self.default})" if self.default else ""
        return f"{self.meaning}{default} [{self.variable}]"

    @property
    def metavar(self) -> str:
        """The placeholder of the value in the help."""
        return f"{{{','.join(self.choices)}}}" if self.choices and self.flags else self.name.upper()


def options(model: type[Group]) -> list[Option]:
    """Return the options of a command, sorted by group."""
    groups = [owner for owner in model.__mro__ if issubclass(owner, Group)]
    title = {name: owner.title for owner in reversed(groups) for name in inspect.get_annotations(owner)}
    titles = [owner.title for owner in groups]
    unsorted = [_option(name, info, title[name]) for name, info in model.model_fields.items()]
    return sorted(unsorted, key=lambda option: titles.index(option.title))


def _option(name: str, info: FieldInfo, title: str) -> Option:
    alias = info.alias or name
    return Option(
        name=alias,
        flags=() if _is_positional(info) else _flags(alias, info),
        variable=f"{PREFIX}{alias.upper()}",
        make=next((mark.name for mark in info.metadata if isinstance(mark, MakeVariable)), alias.upper()),
        title=title,
        meaning=info.description or "",
        default=_default(info),
        choices=tuple(str(choice) for choice in get_args(info.annotation) if choice) if _is_literal(info) else (),
        value="flag" if info.annotation is bool else "path" if "Path" in str(info.annotation) else "text",
    )


def _is_literal(info: FieldInfo) -> bool:
    return get_origin(info.annotation) is Literal


def _is_positional(info: FieldInfo) -> bool:
    return any("PositionalArg" in getattr(mark, "__name__", "") for mark in info.metadata)


def _flags(alias: str, info: FieldInfo) -> tuple[str, ...]:
    shortcuts = Kubechain.model_config.get("cli_shortcuts") or {}
    long = f"--{'no-' if info.default is True else ''}{alias.replace('_', '-')}"
    return (long, f"-{shortcuts[alias]}") if alias in shortcuts else (long,)


def _default(info: FieldInfo) -> str:
    if info.is_required() or info.default_factory or not info.default:
        return ""
    return f"{info.default:g}" if isinstance(info.default, float) else "on" if info.default is True else str(info.default)
