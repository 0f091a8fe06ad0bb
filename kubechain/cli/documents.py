"""The documents of the project, which a wheel carries too, for `kubechain docs`."""

from __future__ import annotations

import sys

from kubechain.core.bundle import ROOT

FOLDER = ROOT / "docs"


def names() -> list[str]:
    """Return the names of the documents, as the command takes them."""
    return sorted(path.stem.lower() for path in FOLDER.glob("*.md"))


def show(name: str) -> None:
    """Print a document; without a name, the names of all with their titles."""
    if name:
        sys.stdout.write((FOLDER / f"{name.upper()}.md").read_text(encoding="utf-8"))
        return
    for each in names():
        with (FOLDER / f"{each.upper()}.md").open(encoding="utf-8") as file:
            sys.stdout.write(f"{each:14}{file.readline().strip('# ')}")
