"""The credentials of a kubeconfig user: read or fetched once, kept until they expire, and renewed on demand."""

# The package kubernetes has no types; of it, only the auth providers of old kubeconfigs are used here.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from kubernetes import config as kubeconfigs
from kubernetes.client import Configuration

from kubechain.core import files, known_secrets
from kubechain.core.errors import SetupError
from kubechain.core.secret_files import written
from kubechain.kube import exec_plugin
from kubechain.kube.kubeconfig import ContextEntry
from kubechain.kube.objects import Json

# client-go reads a tokenFile again after this time.
FILE_SECONDS = 60.0
# The only auth provider that Kubernetes has left; gcp and azure became credential plugins.
PROVIDER = "oidc"
HEADER_CHARACTERS = "!#$&'*+-.^_`|~"


@dataclass(frozen=True)
class Credential:
    """An Authorization header ("" if none), paths of a client certificate and its key ("" if none), and Unix seconds.

    `version` identifies the content of the files of the certificate, which may be replaced; "" for those that cannot be.
    """

    authorization: str = ""
    certificate: str = ""
    key: str = ""
    expires: float = float("inf")
    version: str = ""

    @property
    def client(self) -> tuple[str, str, str]:
        """What identifies the client certificate."""
        return self.certificate, self.key, self.version


@dataclass
class Credentials:
    """The credentials of a user; `renewable` says whether `load` can return others.

    Of `files`, those that were read last remain in use while the files cannot be read, as in client-go.
    """

    load: Callable[[], Credential]
    renewable: bool
    files: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _current: Credential | None = None

    def get(self, rejected: Credential | None = None, ahead: float = 0.0) -> Credential:
        """Return the credentials; those that expire within `ahead` seconds, or were rejected by the server, are loaded anew."""
        with self._lock:
            current = self._current
            if current is None or current.expires <= time.time() + ahead or (self.renewable and current is rejected):
                try:
                    current = self._current = self.load()
                except SetupError:
                    if current is None or not self.files:
                        raise
            return current


# Credentials of this process by user and cluster: a plugin runs once for all connections.
_shared: dict[str, Credentials] = {}
_shared_lock = threading.Lock()


def of(entry: ContextEntry, secrets: Path) -> Credentials:
    """Return the credentials of a context; keys that come as text go to files in the folder `secrets`.

    Raises:
        SetupError: the user has no credentials, or their files do not exist (exit code KUBECONFIG).

    """
    user = entry.user
    identity = json.dumps([entry.kubeconfig, entry.cluster, user, str(secrets)], sort_keys=True, default=str)
    with _shared_lock:
        known = _shared.get(identity)
        if known is None:
            known = _shared[identity] = _credentials(entry, secrets)
        return known


def _credentials(entry: ContextEntry, secrets: Path) -> Credentials:
    user = entry.user
    _remember(entry)
    certificate = entry.file(user, "client-certificate", secrets), entry.file(user, "client-key", secrets)
    if any(certificate) and not all(certificate):
        raise entry.error(f"user {entry.user_name} needs both client-certificate and client-key")
    if user.get("exec") and not user.get("token") and not user.get("tokenFile"):
        return Credentials(lambda: _from_plugin(entry, secrets, certificate), renewable=True)
    authorization, changes = _authorization(entry, secrets)
    if not authorization and not all(certificate) and not _needs_none(entry):
        which = f"user {entry.user_name}" if entry.user_name else "no user, which"
        raise entry.error(f"it has {which} without credentials, so that every request would be anonymous")
    # As in client-go, files of a certificate may be replaced; one that the kubeconfig holds as text may not.
    replaceable = all(user.get(field) and not user.get(f"{field}-data") for field in ("client-certificate", "client-key"))

    def load() -> Credential:
        expires = time.time() + FILE_SECONDS if changes or replaceable else float("inf")
        version = _version(entry, certificate) if replaceable else ""
        return Credential(authorization() if authorization else "", *certificate, expires, version)

    return Credentials(load, renewable=changes or replaceable, files=not user.get("auth-provider"))


def _authorization(entry: ContextEntry, secrets: Path) -> tuple[Callable[[], str] | None, bool]:
    """Return what gives the Authorization header, None for none, and whether it may change."""
    user = entry.user
    # As in client-go, a token stands in for a tokenFile that does not exist.
    if user.get("tokenFile") and (not user.get("token") or Path(user["tokenFile"]).is_file()):
        return lambda: _token_file(entry, secrets), True
    if user.get("token"):
        bearer = _bearer(entry, str(user["token"]), "token", secrets)
        return lambda: bearer, False
    if user.get("auth-provider"):
        return lambda: _from_provider(entry, secrets), True
    if user.get("username"):
        pair = f"{user['username']}:{user.get('password', '')}"
        basic = "Basic " + base64.b64encode(pair.encode()).decode()
        return lambda: basic, False
    return None, False


def _version(entry: ContextEntry, files: Iterable[str]) -> str:
    try:
        return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()
    except OSError as error:
        raise entry.error(f"{error.filename}: {error.strerror}") from error


def _remember(entry: ContextEntry) -> None:
    """Hide what the kubeconfig holds as text or as a file, wherever it is printed; what comes later is remembered then."""
    user = entry.user
    settings: Json = user.get("auth-provider") or {}
    provider: Json = settings.get("config") or {}
    proxy = urllib.parse.urlsplit(str(entry.cluster.get("proxy-url") or "")).password
    known_secrets.remember(user.get("token"), user.get("password"), user.get("client-key-data"), proxy)
    known_secrets.remember(*(value for name, value in provider.items() if name.endswith(("token", "secret"))))
    with contextlib.suppress(OSError, UnicodeDecodeError):
        # A file that cannot be read is reported where it is used.
        known_secrets.remember(files.regular(Path(str(user.get("client-key") or ""))).read_text(encoding="utf-8"))


def _needs_none(entry: ContextEntry) -> bool:
    """Whether the server is a local proxy without TLS, such as `kubectl proxy`, which has credentials of its own."""
    url = urllib.parse.urlsplit(str(entry.cluster["server"]))
    return url.scheme == "http" and url.hostname in ("127.0.0.1", "localhost", "::1") and not entry.user


def _bearer(entry: ContextEntry, text: str, what: str, secrets: Path) -> str:
    token = text.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise entry.error(f"{what} of user {entry.user_name} holds no token")
    known_secrets.remember(token, folder=secrets)
    return f"Bearer {token}"


def _token_file(entry: ContextEntry, secrets: Path) -> str:
    path = entry.user["tokenFile"]
    try:
        return _bearer(entry, files.regular(Path(path)).read_text(encoding="utf-8"), f"tokenFile {path}", secrets)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise entry.error(f"tokenFile {path}: {why}") from error


def _from_plugin(entry: ContextEntry, secrets: Path, certificate: tuple[str, str]) -> Credential:
    status = exec_plugin.credential(entry)
    token, pem = str(status.get("token") or ""), str(status.get("clientCertificateData") or "")
    if pem:
        known_secrets.remember(status["clientKeyData"], folder=secrets)
        certificate = str(written(secrets, pem.encode())), str(written(secrets, str(status["clientKeyData"]).encode()))
    try:
        ends = str(status.get("expirationTimestamp") or "")
        expires = datetime.fromisoformat(ends).timestamp() if ends else float("inf")
    except ValueError as error:
        raise entry.error(f"credential plugin {entry.user['exec']['command']}: expirationTimestamp is no time") from error
    return Credential(_bearer(entry, token, "exec", secrets) if token else "", *certificate, expires)


def _from_provider(entry: ContextEntry, secrets: Path) -> str:
    """Return the header of an auth provider, whose new tokens stay in memory: the kubeconfig is never written."""
    name, provider = "given", str(entry.user["auth-provider"].get("name"))
    if provider != PROVIDER:
        why = "is not known to kubectl any more; use its credential plugin (exec)"
        raise entry.error(f"auth-provider {provider} of user {entry.user_name} {why}")
    content: Json = {
        "clusters": [{"name": name, "cluster": {"server": entry.cluster["server"]}}],
        "users": [{"name": name, "user": {"auth-provider": entry.user["auth-provider"]}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    settings = Configuration()
    try:
        kubeconfigs.load_kube_config_from_dict(content, name, settings, persist_config=False)
        header = str(settings.api_key["BearerToken"])
    except Exception as error:  # the library raises many types
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise entry.error(f"auth-provider {provider} gives no token: {why}") from error
    known_secrets.remember(header.removeprefix("Bearer "), folder=secrets)
    return header


def impersonation(entry: ContextEntry) -> list[tuple[str, str]]:
    """Return the Impersonate-* headers of a user, as (name, value).

    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation

    Raises:
        SetupError: groups, a UID or extras without a user name (exit code KUBECONFIG).

    """
    user = entry.user
    name, uid = str(user.get("as") or ""), str(user.get("as-uid") or "")
    groups: list[str] = user.get("as-groups") or []
    extra: dict[str, list[str]] = user.get("as-user-extra") or {}
    if not name and (uid or groups or extra):
        raise entry.error(f"user {entry.user_name} has as-uid, as-groups or as-user-extra without `as`")
    headers = [("Impersonate-User", name)] if name else []
    headers += [("Impersonate-Group", str(group)) for group in groups]
    headers += [("Impersonate-Uid", uid)] if uid else []
    for key, values in extra.items():
        header = f"Impersonate-Extra-{urllib.parse.quote(str(key).lower(), safe=HEADER_CHARACTERS)}"
        headers += [(header, str(value)) for value in values]
    return headers
