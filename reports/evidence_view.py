"""What chain.html shows of the evidence on a claim: its sections, and the owner graph as a tree. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from kubechain.diagnostics.evidence import GRAPH, OBJECTS, TIMELINE, TITLES

SECTION = re.compile(rf"(?:^|\n\n)# ((?:{'|'.join(map(re.escape, TITLES))})|log of \S+)\n")
BRANCH = re.compile(r"(?P<indent> *)(?P<kind>\w+)/(?P<name>\S+) \((?P<summary>.*)\)")
READY = re.compile(r"(\d+)/(\d+) ready")
# Sections that are read last, and so folded.
FOLDED = (OBJECTS, TIMELINE)


@dataclass
class Branch:
    """An object in the owner graph, with what it controls; `fine` is None where its summary says nothing of its state."""

    kind: str
    name: str
    summary: str
    fine: bool | None
    below: list[Branch] = field(default_factory=list["Branch"])


@dataclass(frozen=True)
class Part:
    """One section: its title, its text, and the roots of the owner graph if it is one."""

    title: str
    text: str
    folded: bool
    roots: Sequence[Branch] = ()


def parts(text: str) -> list[Part]:
    """Return the sections of the evidence in a file; a text without sections is one section without a title."""
    head, *found = SECTION.split(text)
    sections = list(zip(found[::2], found[1::2], strict=True))
    if not sections:
        return [Part("", head, folded=False)]
    return [
        Part(title, body, title in FOLDED or title.startswith("log of "), tree(body) if title == GRAPH else ())
        for title, body in sections
    ]


def tree(text: str) -> list[Branch]:
    """Return the roots of an owner graph, whose lines are indented by two spaces a level; [] if a line has another form."""
    roots: list[Branch] = []
    above: list[Branch] = []
    for line in text.rstrip("\n").splitlines():
        match = BRANCH.fullmatch(line)
        if match is None:
            return []
        depth = len(match["indent"]) // 2
        branch = Branch(match["kind"], match["name"], match["summary"], _fine(match["kind"], match["summary"]))
        if depth > len(above):
            return []
        (above[depth - 1].below if depth else roots).append(branch)
        above[depth:] = [branch]
    return roots


def _fine(kind: str, summary: str) -> bool | None:
    if kind == "Pod":
        return summary.startswith("ready, ")
    ready = READY.search(summary)
    if ready:
        return ready[1] == ready[2]
    return None if kind == "Service" else summary != "no address"
