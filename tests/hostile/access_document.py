"""docs/ACCESS.md: what people have, what happens, and the test of it; from the ways and the rows."""

from __future__ import annotations

from types import ModuleType

from tests.hostile.access_records import MODULES, WAYS
from tests.hostile.access_rows import SECTIONS, Row
from tests.hostile.access_way import Way

HEAD = """# Access

How people reach their clusters, and what comes of it. Generated from the tests by `make catalogue`; `make lint` fails if it is
stale.

One piece of code (`kubechain/kube/connection.py`) reads a context as kubectl does, and all go its way: requests, watches,
commands in Pods, the samplers of an upgrade, and kubectl itself where a claim runs it (`kubechain/kube/handover.py`). The rules
in words are in [the reference](REFERENCE.md#settings).

The last column is the test. A name in small letters is one of {ways} ways. `kubechain doctor` (a run, where it says so) goes each
way to a cluster on loopback that does nothing wrong, or nowhere. The exit code is the one stated, the reason (a regular
expression) is on one line of the output, no secret is shown, and neither temporary files nor processes are left. kubectl goes
the same way; where it ends otherwise, the row says so. `pytest --hostile tests/test_hostile_access.py -k NAME` goes one way,
`make hostile` all. A name in capitals is a record of [misbehaving clusters](HOSTILE.md), any other a test in `tests`.
"""


def markdown() -> str:
    """Return the document."""
    parts = [HEAD.format(ways=len(WAYS))]
    for module in MODULES:
        head = "| what people have | what happens | exit code | test |\n|---|---|---|---|\n"
        parts.append(f"## {_title(module)}\n\n{head}{''.join(map(_way, module.WAYS))}")
    for title, rows in SECTIONS.items():
        parts.append(f"## {title}\n\n| what people have | what happens | test |\n|---|---|---|\n{''.join(map(_row, rows))}")
    return "\n".join(parts)


def _title(module: ModuleType) -> str:
    title = (module.__doc__ or "").split("\n")[0].partition(": ")[2].rstrip(".")
    return f"{title[0].upper()}{title[1:]}"


def _way(way: Way) -> str:
    connects = way.code == 0
    happens = ("a run connects" if way.whole else "it connects") if connects else f"`{way.says}`"
    happens += "" if connects or not way.whole else " (a run)"
    happens += "" if connects == way.kubectl else "; kubectl connects" if way.kubectl else "; kubectl does not"
    return f"| {_cell(way.text)} | {_cell(happens)} | {int(way.code)} | {way.id}{' *short*' if way.short else ''} |\n"


def _row(row: Row) -> str:
    return f"| {_cell(row.text)} | {_cell(row.happens)} | {row.test} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
