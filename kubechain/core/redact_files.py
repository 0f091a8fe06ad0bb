"""Remove secrets from the files of a folder before it is published."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from xml.etree import ElementTree  # nosec B405  # only files that the run itself wrote are read

from kubechain.core import redact

# The HTML report is made from redacted files; its JavaScript has names that look like secrets and must stay intact.
FINISHED = ("report",)
# Made from redacted texts, also by the runs of the suite within a run. A pattern would take the tags after a name such as
# "token:" for its value.
PAGE = "chain.html"


def folder(root: Path, *, private: Collection[str] = ()) -> None:
    """Redact every file below a folder in place, except in its entries `private` and FINISHED, and each PAGE.

    A file that cannot be redacted is removed, so that it is not published.

    Raises:
        OSError: such a file cannot be removed.

    """
    for path in sorted(root.rglob("*")):
        top = path.relative_to(root).parts[0]
        if top in private or top in FINISHED or path.name == PAGE or (path.is_dir() and not path.is_symlink()):
            continue
        try:
            file(path)
        except (OSError, RecursionError):
            path.unlink()


def file(path: Path) -> None:
    """Redact one file in place; remove a symbolic link, because its target is no file of the run."""
    if path.is_symlink():
        path.unlink()
        return
    before = path.read_bytes()
    after = _redacted(before.decode(errors="replace"), path.suffix).encode()
    if after != before:
        path.write_bytes(after)


def _redacted(content: str, form: str) -> str:
    """Return a file's content without secrets; JSON and XML are redacted value by value, so that they stay valid."""
    try:
        match form:
            case ".json":
                value = json.loads(content)
                shown = redact.tree(value)
                return content if shown == value else json.dumps(shown, indent=2)
            case ".jsonl" | ".ndjson":
                return "".join(f"{json.dumps(redact.tree(json.loads(line)))}\n" for line in content.splitlines())
            case ".xml":
                return _xml(content)
            case _:
                return redact.text(content)
    except (ValueError, ElementTree.ParseError):
        return redact.text(content)


def _xml(content: str) -> str:
    tree = ElementTree.fromstring(content)  # noqa: S314  # nosec B314  # the run wrote it
    for element in tree.iter():
        element.text = element.text and redact.text(element.text)
        element.tail = element.tail and redact.text(element.tail)
        element.attrib = {name: redact.text(value) for name, value in element.attrib.items()}
    return '<?xml version="1.0" encoding="utf-8"?>' + ElementTree.tostring(tree, encoding="unicode")
