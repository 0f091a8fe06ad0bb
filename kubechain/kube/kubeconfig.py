"""What one context of a kubeconfig says: its cluster and its user, with absolute paths."""

from __future__ import annotations

import base64
import binascii
import re
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.secret_files import written
from kubechain.kube import kubeconfig_files
from kubechain.kube.objects import Json

# The scheme, and the name and the password, of a URL.
LOGIN = re.compile(r"(\w+://|)([^/@]+)@")


@dataclass(frozen=True)
class ContextEntry:
    """The cluster and the user of a context; `kubeconfig` names its files, as in $KUBECONFIG."""

    kubeconfig: str
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
                return str(written(secrets, base64.b64decode("".join(str(data).split()), validate=True)))
            except (binascii.Error, ValueError) as error:
                raise self.error(f"{field}-data is not base64") from error
        if path and not Path(path).is_file():
            what = "not a regular file" if Path(path).exists() else "no such file"
            raise self.error(f"{field}: {what}: {path}")
        return path

    def source(self, entry: Json, field: str) -> str:
        """Return where a file comes from, for a message: "FIELD-data", "FIELD PATH" or, of no entry, the credential plugin."""
        if entry.get(f"{field}-data"):
            return f"{field}-data"
        return f"{field} {entry.get(field) or 'of the credential plugin'}"


def private_copy(files: Sequence[Path], context: str, folder: Path) -> Path:
    """Write a kubeconfig with one context and absolute paths into a folder; return its path.

    It is for a context whose parts are in several files.
    """
    entry = _entry(kubeconfig_files.load(files), context)
    return alone(context, entry.cluster, entry.user, folder)


def alone(context: str, cluster: Json, user: Json, folder: Path) -> Path:
    """Write a kubeconfig of one context into a folder that only its owner can enter; return its path."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [{"name": "cluster", "cluster": cluster}],
        "users": [{"name": "user", "user": user}],
        "contexts": [{"name": context, "context": {"cluster": "cluster", "user": "user"}}],
    }
    return written(folder, yaml.safe_dump(content, allow_unicode=True).encode())


def read(kubeconfig: Path, context: str) -> ContextEntry:
    """Read a context of a kubeconfig file.

    Raises:
        SetupError: the file cannot be read, or the context, its cluster or its user is not in it (exit code KUBECONFIG).

    """
    return _entry(kubeconfig_files.load((kubeconfig,)), context)


def _entry(entries: kubeconfig_files.Entries, context: str) -> ContextEntry:
    nothing = ContextEntry(str(entries), context, {}, "", {})

    def find(section: str, name: str) -> Json:
        found = entries.sections[section].get(name)
        if found is None:
            raise nothing.error(f"{section.removesuffix('s')} {name or '(no name)'} is not in the file")
        return found

    chosen = find("contexts", context)
    cluster, name = find("clusters", str(chosen.get("cluster") or "")), str(chosen.get("user") or "")
    user = find("users", name) if name else {}
    if not cluster.get("server"):
        raise nothing.error(f"its cluster {chosen.get('cluster')} has no server")
    cluster, user = _split_login(cluster, user)
    made = ContextEntry(str(entries), context, cluster, name, user)
    for one, other in (("token", "username"), ("exec", "auth-provider")):
        if user.get(one) and user.get(other):
            raise made.error(f"user {name} has {one} and {other}; remove one of them, as for kubectl")
    has_ca = cluster.get("certificate-authority") or cluster.get("certificate-authority-data")
    if cluster.get("insecure-skip-tls-verify") and has_ca:
        raise made.error("its cluster has insecure-skip-tls-verify and a certificate-authority; remove one, as for kubectl")
    return made


def _split_login(cluster: Json, user: Json) -> tuple[Json, Json]:
    """Return a cluster whose server has no name and password in its URL; as in client-go, they come before a user's others."""
    server = str(cluster["server"])
    found = LOGIN.match(server)
    if not found:
        return cluster, user
    name, _, password = found[2].partition(":")
    rest = {field: value for field, value in user.items() if field not in ("token", "tokenFile", "exec", "auth-provider")}
    login = {"username": urllib.parse.unquote(name), "password": urllib.parse.unquote(password)}
    return {**cluster, "server": found[1] + server[found.end() :]}, {**rest, **login}
