"""Completion scripts for bash and zsh: commands, options and their values."""

from __future__ import annotations

import shlex
from typing import Literal

from kubechain.cli.commands import Kubechain, commands
from kubechain.cli.options import Option, options
from kubechain.core.default_folders import PROJECT

BASH = """\
_{name}() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} command=${{COMP_WORDS[1]}}
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    mapfile -t COMPREPLY < <(compgen -W "{commands} --help --version" -- "$word")
    return
  fi
  case "$command $before" in
{values}
  esac
  case "$command" in
{options}
  esac
}}
complete -F _{name} {name}
"""
ZSH = """\
#compdef {name}
_{name}() {{
  local -a commands
  commands=(
{commands}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
{options}
  esac
}}
compdef _{name} {name}
"""


def script(shell: Literal["bash", "zsh"]) -> str:
    """Return the completion script for a shell."""
    return _bash() if shell == "bash" else _zsh()


def _bash() -> str:
    values: list[str] = []
    words: list[str] = []
    for command, model in commands().items():
        offered = options(model)
        values += [_bash_value(command, option) for option in offered if option.flags and option.value != "flag"]
        flags = [*(flag for option in offered for flag in option.flags), "--help"]
        positional = [choice for option in offered if not option.flags for choice in option.choices]
        files = "-f " if any(option.value == "path" for option in offered if not option.flags) else ""
        reply = f'mapfile -t COMPREPLY < <(compgen {files}-W "{" ".join([*positional, *flags])}" -- "$word")'
        words.append(f"    {command}) {reply} ;;")
    return BASH.format(name=PROJECT, commands=" ".join(commands()), values="\n".join(values), options="\n".join(words))


def _bash_value(command: str, option: Option) -> str:
    patterns = "|".join(f"'{command} {flag}'" for flag in option.flags)
    kind = f'-W "{" ".join(option.choices)}"' if option.choices else "-f" if option.value == "path" else ""
    reply = f'mapfile -t COMPREPLY < <(compgen {kind} -- "$word"); ' if kind else ""
    return f"    {patterns}) {reply}return ;;"


def _zsh() -> str:
    helps = {info.alias or name: info.description or "" for name, info in Kubechain.model_fields.items()}
    descriptions = [f"    {shlex.quote(f'{name}:{what}')}" for name, what in helps.items()]
    cases: list[str] = []
    for command, model in commands().items():
        specs = [spec for option in options(model) for spec in _zsh_specs(option)]
        cases.append(
            f"    {command}) _arguments {' '.join(shlex.quote(spec) for spec in [*specs, '--help[explain the options]'])} ;;"
        )
    return ZSH.format(name=PROJECT, commands="\n".join(descriptions), options="\n".join(cases))


def _zsh_specs(option: Option) -> list[str]:
    meaning = "".join(f"\\{char}" if char in "[]:\\" else char for char in option.meaning)
    action = f"({' '.join(option.choices)})" if option.choices else "_files" if option.value == "path" else ""
    value = f":{option.name}:{action}"
    if not option.flags:
        # Without a number: the next argument.
        return [value]
    argument = value if option.value != "flag" else ""
    return [f"{flag}{'=' if argument and flag.startswith('--') else ''}[{meaning}]{argument}" for flag in option.flags]
