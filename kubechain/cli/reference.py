"""The table of all settings in docs/REFERENCE.md, generated from the commands."""

from __future__ import annotations

from kubechain.cli.commands import commands
from kubechain.cli.options import Option, options
from kubechain.core.settings import PREFIX, Nested

BEGIN, END = "<!-- settings: begin (written by `make catalogue`) -->", "<!-- settings: end -->"
HEAD = "| variable of make | option | environment | commands | meaning |\n|---|---|---|---|---|"


def document(text: str) -> str:
    """Return the document with the current table of settings between its two markers.

    Raises:
        ValueError: a marker is missing.

    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"docs/REFERENCE.md: expected the markers {BEGIN} and {END}")
    return f"{before}{begin}\n{table()}\n{end}{after}"


def table() -> str:
    """Return the table: a row for each setting, in the order of the commands."""
    by_name: dict[str, tuple[Option, list[str]]] = {}
    for command, model in commands().items():
        for option in options(model):
            by_name.setdefault(option.name, (option, []))[1].append(command)
    rows = [_row(option, names) for option, names in by_name.values()]
    return "\n".join([HEAD, *rows, *(_nested(option) for option in options(Nested))])


def variables() -> dict[str, str]:
    """Return the environment variable of each variable of make."""
    return {option.make: option.variable for model in commands().values() for option in options(model) if is_of_make(option)}


def is_of_make(option: Option) -> bool:
    """Return whether a setting has a variable of make: a positional argument with choices has targets of make instead."""
    return bool(option.flags) or not option.choices


def _row(option: Option, names: list[str]) -> str:
    make = f"`{option.make}`" if is_of_make(option) else ""
    spelled = ", ".join(f"`{flag}`" for flag in option.flags) or f"`{option.name.upper()}`"
    explained = all(choice in option.meaning for choice in option.choices)
    what = option.meaning if explained else f"{option.meaning}: {', '.join(option.choices)}"
    default = f" (default: `{option.default}`)" if option.default else ""
    cells = (make, spelled, f"`{option.variable}`", ", ".join(names), f"{what}{default}")
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _nested(option: Option) -> str:
    return f"| | | `{PREFIX}{option.name.upper()}` | | {option.meaning}; runs set it for the nested runs that they start |"
