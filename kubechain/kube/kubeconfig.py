"""What one context of a kubeconfig file says: its cluster and its user, with absolute paths. The file is only read."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from kubechain.core.errors import ExitCode, SetupError
from kubechain.kube.objects import Json

PATHS = {"cluster": ("certificate-authority",), "user": ("client-certificate", "client-key", "tokenFile")}


@dataclass(frozen=True)
class ContextEntry:
    """The cluster and the user of a context; relative paths are resolved against the folder of the kubeconfig."""

    kubeconfig: Path
    context: str
    cluster: Json
    user_name: str
    user: Json

    def error(self, why: str) -> SetupError:
        """Return the error (exit code KUBECONFIG) of a context that cannot be used."""
        return SetupError(f"{self.kubeconfig}: context {self.context} cannot be used: {why}", ExitCode.KUBECONFIG)

    def file(self, entry: Json, field: str, secrets: Path) -> str:
        """Return the path of a file of an entry, "" if it has none; `FIELD-data` goes to a file in the folder `secrets`."""
        data, path = entry.get(f"{field}-data"), str(entry.get(field) or "")
        if data:
            try:
                return str(written(secrets, base64.b64decode(str(data), validate=False)))
            except (binascii.Error, ValueError) as error:
                raise self.error(f"{field}-data is not base64") from error
        if path and not Path(path).is_file():
            raise self.error(f"{field}: no such file: {path}")
        return path


def private_copy(kubeconfig: Path, context: str, folder: Path) -> Path:
    """Write a kubeconfig with one context and absolute paths, for programs that may write to it; return its path.

    kubectl stores the new tokens of an auth provider in its kubeconfig.
    """
    entry = read(kubeconfig, context)
    user = dict(entry.user)
    plugin: Json = user.get("exec") or {}
    if "/" in str(plugin.get("command") or ""):
        user["exec"] = {**plugin, "command": str(kubeconfig.absolute().parent / str(plugin["command"]))}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [{"name": "cluster", "cluster": entry.cluster}],
        "users": [{"name": "user", "user": user}],
        "contexts": [{"name": context, "context": {"cluster": "cluster", "user": "user"}}],
    }
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return written(folder, yaml.safe_dump(content).encode())


def written(folder: Path, content: bytes) -> Path:
    """Write a secret to a file that only its owner can read, named by its content; return the path."""
    path = folder / hashlib.sha256(content).hexdigest()[:16]
    if not path.exists():
        # Replaced atomically: other processes of the run write and read the same file.
        descriptor, new = tempfile.mkstemp(dir=folder)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(new).replace(path)
    return path


def read(kubeconfig: Path, context: str) -> ContextEntry:
    """Read a context of a kubeconfig file.

    Raises:
        SetupError: the file cannot be read, or the context, its cluster or its user is not in it (exit code KUBECONFIG).

    """
    nothing = ContextEntry(kubeconfig, context, {}, "", {})
    try:
        loaded: Any = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise nothing.error(str(error).splitlines()[0]) from error
    if not isinstance(loaded, dict):
        raise nothing.error("not a kubeconfig")
    content = cast("Json", loaded)
    chosen = _named(nothing, content, "contexts", "context", context)
    cluster = _named(nothing, content, "clusters", "cluster", str(chosen.get("cluster") or ""))
    name = str(chosen.get("user") or "")
    user = _named(nothing, content, "users", "user", name) if name else {}
    if not cluster.get("server"):
        raise nothing.error(f"its cluster {chosen.get('cluster')} has no server")
    folder = kubeconfig.absolute().parent
    for entry, fields in ((cluster, PATHS["cluster"]), (user, PATHS["user"])):
        for field in fields:
            if entry.get(field):
                entry[field] = str(folder / str(entry[field]))
    return ContextEntry(kubeconfig, context, cluster, name, user)


def _named(entry: ContextEntry, content: Json, section: str, field: str, name: str) -> Json:
    """Return a copy of the entry of a name in a section of a kubeconfig; SetupError if there is none."""
    listed: Any = content.get(section)
    items = cast("list[Any]", listed) if isinstance(listed, list) else []
    entries = [cast("Json", each) for each in items if isinstance(each, dict)]
    named = next((each for each in entries if each.get("name") == name), None)
    if named is None:
        raise entry.error(f"{field} {name or '(no name)'} is not in the file")
    value: Any = named.get(field) or {}
    if not isinstance(value, dict):
        raise entry.error(f"{field} {name} is not a mapping")
    return {**cast("Json", value)}
