"""The files of a kubeconfig, read and merged as kubectl does. They are only read.

https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

from kubechain.core import files
from kubechain.core.errors import ExitCode, SetupError
from kubechain.kube.objects import Json

# Section of the file -> (name of the entry in it, fields that are paths).
SECTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "clusters": ("cluster", ("certificate-authority",)),
    "users": ("user", ("client-certificate", "client-key", "tokenFile")),
    "contexts": ("context", ()),
}
TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.CSafeLoader):
    """Reads what looks like a date as text, as kubectl does: it may be a name."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != TIMESTAMP]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True)
class Entries:
    """The entries of a kubeconfig by section and name, with absolute paths; `files` are the files that they are from."""

    files: tuple[Path, ...]
    sections: dict[str, dict[str, Json]] = field(default_factory=lambda: {section: dict[str, Json]() for section in SECTIONS})

    def __str__(self) -> str:
        """The files, as in $KUBECONFIG."""
        return os.pathsep.join(map(str, self.files))

    def error(self, why: str) -> SetupError:
        """Return the error (exit code KUBECONFIG) of files that cannot be used."""
        return SetupError(f"kubeconfig {self}: {why}", ExitCode.KUBECONFIG)


def named(option: str) -> tuple[Path, ...]:
    """Return the file of the option --kubeconfig, else the files of $KUBECONFIG, else the user's own file.

    Of several files in $KUBECONFIG, those that do not exist are left out.
    """
    words = [option] if option else [word for word in os.environ.get("KUBECONFIG", "").split(os.pathsep) if word]
    # Not Path.expanduser, which raises for a user whose home is not known, such as any uid of a container.
    paths = tuple(dict.fromkeys(Path(os.path.expanduser(word)) for word in words or ["~/.kube/config"]))  # noqa: PTH111
    there = tuple(path for path in paths if _is_there(path))
    return paths if len(paths) == 1 or not there else there


def _is_there(path: Path) -> bool:
    """Whether a file exists. One in a folder that may not be entered counts: what reads it says why it cannot be read."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def load(files: Sequence[Path]) -> Entries:
    """Read files; of entries with the same name, that of the first file counts as a whole.

    Raises:
        SetupError: a file cannot be read, or is no kubeconfig; or no file has a context (exit code KUBECONFIG).

    """
    merged = Entries(tuple(files))
    for path in files:
        for section, entries in _read(path).sections.items():
            merged.sections[section] = {**entries, **merged.sections[section]}
    if not merged.sections["contexts"]:
        raise merged.error("it has no contexts")
    return merged


def _read(path: Path) -> Entries:
    made = Entries((path,))
    try:
        # Bytes, so that the reader recognizes UTF-16, which PowerShell writes.
        documents = yaml.load_all(files.regular(path).read_bytes(), _Loader)
        loaded: Any = next(documents, None)
    except OSError as error:
        raise made.error(error.strerror or type(error).__name__) from error
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise made.error(f"not a kubeconfig: {_where(error)}") from error
    if loaded is None:
        raise made.error("the file is empty")
    if not isinstance(loaded, dict):
        raise made.error("not a kubeconfig: it is no mapping")
    content = cast("Json", loaded)
    kind = content.get("kind") or "Config"
    if kind != "Config":
        raise made.error(f"not a kubeconfig: its kind is {kind}")
    for section in SECTIONS:
        _add(made, path.absolute().parent, section, content.get(section) or [])
    return made


def _where(error: Exception) -> str:
    """Return the reason and the place of an error of YAML, without the text at that place, which may be a secret."""
    mark = getattr(error, "problem_mark", None)
    why = str(getattr(error, "problem", None) or "") or str(error).splitlines()[0]
    return f"{why} (line {mark.line + 1})" if mark else why


def _add(made: Entries, folder: Path, section: str, listed: Any) -> None:
    kind, paths = SECTIONS[section]
    for each in cast("list[Any]", listed) if isinstance(listed, list) else [None]:
        item = cast("Json", each) if isinstance(each, dict) else {}
        name: Any = item.get("name")
        entry: Any = item.get(kind) or {}
        if not isinstance(name, str) or not isinstance(entry, dict):
            raise made.error(f"not a kubeconfig: {section} are no list of entries with a name (text) and a {kind} (mapping)")
        if name in made.sections[section]:
            raise made.error(f"two {section} have the name {name}; rename or remove one")
        made.sections[section][name] = _absolute(cast("Json", entry), folder, paths)


def _absolute(entry: Json, folder: Path, paths: Sequence[str]) -> Json:
    """Return an entry whose paths, which are relative to the folder of its file, are absolute."""
    made = {**entry, **{path: str(folder / str(entry[path])) for path in paths if entry.get(path)}}
    plugin = entry.get("exec")
    if isinstance(plugin, dict) and "/" in str(cast("Json", plugin).get("command") or ""):
        known = cast("Json", plugin)
        made["exec"] = {**known, "command": str(folder / str(known["command"]))}
    return made
