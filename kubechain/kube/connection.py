"""Connections to the API server of a kubeconfig context: TLS, proxies, credentials, and a total deadline for every request."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.util.url import Url, parse_url

from kubechain.core import redact, secret_files
from kubechain.core.errors import ExitCode, SetupError
from kubechain.kube import credentials, proxies, socks
from kubechain.kube.bounded_sockets import BoundedTlsSocket, Pool, Pools, TlsPool, within
from kubechain.kube.credentials import Credential
from kubechain.kube.errors import ApiUnavailable, network_errors, refusal
from kubechain.kube.kubeconfig import ContextEntry, read
from kubechain.kube.refusals import REFUSALS
from kubechain.kube.traffic import TRAFFIC

CONNECT_SECONDS = 10.0
POOLS: Pools = {"http": Pool, "https": TlsPool}
# A proxy may close several connections one after another; more is trouble.
MOST_RESENDS = 3
MERGES = ("application/merge-patch+json", "application/strategic-merge-patch+json")
REVIEWS = "/apis/authorization.k8s.io/"


class Connection:
    """The way to one API server; each thread needs its own."""

    def __init__(self, kubeconfig: Path, context: str, secrets: Path) -> None:
        """Read a context of a kubeconfig; certificates and keys that it holds as text go to files in the folder `secrets`.

        Raises:
            SetupError: the context cannot be used (exit code KUBECONFIG).

        """
        secret_files.folder(secrets)
        self.entry: ContextEntry = read(kubeconfig, context)
        self.ca = self.entry.file(self.entry.cluster, "certificate-authority", secrets)
        self.verify = not self.entry.cluster.get("insecure-skip-tls-verify")
        self.server = self._server()
        self._credentials = credentials.of(self.entry, secrets)
        self._impersonation = credentials.impersonation(self.entry)
        self._used: Credential = self._credentials.get()
        self.proxy = self._chosen_proxy()
        self._where = f"{self.server} through proxy {proxies.bare(self.proxy)}" if self.proxy else self.server
        self._manager = self._make_manager(self._used)
        # (method, URL) -> monotonic seconds before which the server does not want the request again.
        self._not_before: dict[tuple[str, str], float] = {}

    @property
    def impersonated(self) -> str:
        """The name of the user that the kubeconfig impersonates, "" for none."""
        return str(self.entry.user.get("as") or "")

    def close(self) -> None:
        """Close the connections."""
        self._manager.clear()

    def credential(self, rejected: Credential | None = None, ahead: float = 0.0) -> Credential:
        """Return the credentials to use now; others than those that the server rejected, if there are others."""
        given = self._credentials.get(rejected, ahead)
        if given.client != self._used.client:
            try:
                manager = self._make_manager(given)
            except SetupError:
                if not given.version:
                    raise
                # Of two files, one has been replaced; the other follows.
                return self._used
            self._manager.clear()
            self._manager = manager
        self._used = given
        return given

    def headers(self, credential: Credential) -> list[tuple[str, str]]:
        """Return the headers that say who sends a request, and as whom."""
        bearer = [("Authorization", credential.authorization)] if credential.authorization else []
        return [*bearer, *self._impersonation]

    def renew(self) -> bool:
        """Replace the credentials that the server has rejected with 401; return whether there are others."""
        before = self._used
        after = self.credential(before)
        return (before.authorization, before.client) != (after.authorization, after.client)

    def send(
        self, method: str, path: str, body: object, headers: Mapping[str, str], *, seconds: float, refuse: bool, stream: bool
    ) -> urllib3.BaseHTTPResponse:
        """Send a request and return the response, with its body unless `stream`.

        With `refuse`, a status from 400 on is an error, and a request that is rejected with 429 is sent again after its
        Retry-After; so is one after 503, if it may be sent twice, because part of it may have been executed. All of it takes
        at most `seconds`. After 401, the credentials are renewed once. A request that may be sent twice (`repeatable`) is sent
        again if its connection breaks before the answer: load balancers close connections at any time. If a repeated DELETE is
        answered with 404, the first one has deleted the object.

        Raises:
            ApiRefused: status 4xx, except 429.
            ApiUnavailable: no response in time, status 429 or 5xx.

        """
        url, ends = self.server + path, time.monotonic() + seconds
        data = None if body is None else json.dumps(body)
        renewed, unclear, resends = False, False, 0
        twice = repeatable(method, path, headers, body)
        with network_errors(self._where), within(seconds):
            while True:
                self.wait_until_wanted(method, url, ends)
                all_headers = urllib3.HTTPHeaderDict(headers)
                for name, value in self.headers(self.credential()):
                    all_headers.add(name, value)
                timeout = urllib3.Timeout(connect=min(seconds, CONNECT_SECONDS), read=seconds)
                options: dict[str, Any] = {"redirect": False, "retries": False, "timeout": timeout, "preload_content": not stream}
                TRAFFIC.request(method, path)
                try:
                    response = self._manager.urlopen(method, url, body=data, headers=all_headers, **options)
                except (urllib3.exceptions.ProtocolError, urllib3.exceptions.SSLError) as error:
                    if resends == MOST_RESENDS or not broke(error) or not twice:
                        raise
                    unclear, resends = True, resends + 1
                    continue
                if response.status == HTTPStatus.UNAUTHORIZED and not renewed:
                    renewed = True
                    if self.renew():
                        response.drain_conn()
                        continue
                again = refuse and self.postpone(method, url, response.status, response.headers.get("Retry-After", ""), ends)
                if again and (twice or response.status == HTTPStatus.TOO_MANY_REQUESTS):
                    unclear = unclear or response.status != HTTPStatus.TOO_MANY_REQUESTS
                    response.drain_conn()
                    continue
                gone = unclear and method == "DELETE" and response.status == HTTPStatus.NOT_FOUND
                if response.status >= HTTPStatus.BAD_REQUEST and not gone:
                    _refused(method, path, response, refuse=refuse)
                return response

    def postpone(self, method: str, url: str, status: int, later: str, ends: float) -> bool:
        """Keep until when the server does not want a request again; return whether it may be sent again before `ends`.

        `later` is the Retry-After of an answer with this status, "" if it has none.
        """
        pause = retry_after(status, later)
        if pause:
            self._not_before[method, url] = time.monotonic() + pause
        return bool(pause) and self._not_before[method, url] <= ends

    def wait_until_wanted(self, method: str, url: str, ends: float) -> None:
        """Wait as long as a Retry-After of the same request says; ApiUnavailable if that is later than `ends`."""
        wanted = self._not_before.get((method, url), 0.0)
        left = wanted - time.monotonic()
        if wanted > ends:
            what = f"API server: it asks for a pause (429 or 503 with Retry-After), of which {left:.0f} s are left"
            raise ApiUnavailable(what, ExitCode.UNREACHABLE)
        self._not_before.pop((method, url), None)
        if left > 0:
            threading.Event().wait(left)

    def opened(self, seconds: float) -> HTTPConnection:
        """Return a new connection that is open, also through a proxy, for another protocol than HTTP."""
        url = parse_url(self.server)
        pool = self._manager.connection_from_host(url.host, url.port, url.scheme)
        connection: Any = pool._new_conn()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # there is no other way
        connection.timeout = min(seconds, CONNECT_SECONDS)
        if pool.proxy:
            connection.set_tunnel(url.host, url.port, headers=pool.proxy_headers, scheme=pool.proxy.scheme or "http")
        connection.connect()
        return connection

    def _make_manager(self, credential: Credential) -> urllib3.PoolManager:
        options: dict[str, Any] = {"maxsize": 10}
        if self.server.startswith("https"):
            options["ssl_context"] = self._tls_context(credential)
            name = self.entry.cluster.get("tls-server-name")
            options |= {"server_hostname": str(name)} if name else {}
        proxy = self.proxy
        if proxy and proxy.scheme not in proxies.SOCKS:
            # As in client-go, a proxy of https is trusted by the CA of the cluster.
            trust = self._tls_context(credential) if proxy.scheme == "https" else None
            bare, login = proxies.bare(proxy), proxies.headers(proxy)
            manager = urllib3.ProxyManager(bare, proxy_headers=login, proxy_ssl_context=trust, **options)
        else:
            manager = urllib3.PoolManager(**options)
        manager.pool_classes_by_scheme = socks.pools(proxy) if proxy and proxy.scheme in proxies.SOCKS else POOLS
        return manager

    def _server(self) -> str:
        server = str(self.entry.cluster["server"]).rstrip("/")
        if "://" not in server:
            secured = self.ca or not self.verify or any(self.entry.user.get(f"client-certificate{end}") for end in ("", "-data"))
            server = f"http{'s' if secured else ''}://{server}"
        try:
            url = parse_url(server)
        except urllib3.exceptions.LocationParseError:
            url = Url()
        if url.scheme not in ("http", "https") or not url.host:
            raise self.entry.error(f"server {server} is no URL such as https://10.0.0.1:6443")
        return url.scheme + server[len(url.scheme) :]

    def _chosen_proxy(self) -> Url | None:
        given = str(self.entry.cluster.get("proxy-url") or "")
        try:
            return proxies.of(parse_url(self.server), given)
        except ValueError as error:
            raise self.entry.error(f"the proxy {redact.text(given) or 'of the environment'}: {error}") from error

    def _tls_context(self, credential: Credential) -> ssl.SSLContext:
        """Return the TLS settings; SetupError (exit code KUBECONFIG) if a certificate or a key cannot be used."""
        try:
            context = ssl.create_default_context(cafile=self.ca or None)
        except (OSError, ValueError) as error:
            source = self.entry.source(self.entry.cluster, "certificate-authority")
            raise self.entry.error(f"{source}: {_reason(error)}") from error
        # Python 3.13 sets it, and then rejects CAs without key identifiers, to which kubectl connects.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.sslsocket_class = BoundedTlsSocket
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if credential.certificate:
            certificate, key = (self.entry.source(self.entry.user, field) for field in ("client-certificate", "client-key"))

            def no_password() -> str:
                raise self.entry.error(f"{key} is encrypted; kubectl cannot use it either")

            try:
                context.load_cert_chain(credential.certificate, credential.key, no_password)
            except (OSError, ValueError) as error:
                raise self.entry.error(f"{certificate} with {key}: {_reason(error)}") from error
        return context


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not in PEM format").lower().replace("_", " ")
    return (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__


def broke(error: urllib3.exceptions.HTTPError) -> bool:
    """Whether a connection was closed before the answer was complete, perhaps in its TLS handshake."""
    return isinstance(error, urllib3.exceptions.ProtocolError) or isinstance(next(iter(error.args), None), ssl.SSLEOFError)


def repeatable(method: str, path: str, headers: Mapping[str, str], body: object) -> bool:
    """Whether a request may be sent twice: the second one changes nothing, and is answered as the first one.

    A POST creates, except of a review, which is an answer alone; a JSON patch may append, unless it replaces alone, and an
    update with a resourceVersion conflicts with itself.
    """
    metadata: Any = cast("Mapping[str, Any]", body).get("metadata") if isinstance(body, Mapping) else None
    versioned = isinstance(metadata, Mapping) and "resourceVersion" in metadata
    operations = cast("list[dict[str, Any]]", body) if isinstance(body, list) else []
    replaces = bool(operations) and all(each.get("op") == "replace" for each in operations)
    patches = method == "PATCH" and (headers.get("Content-Type") in MERGES or replaces)
    review = method == "POST" and path.startswith(REVIEWS)
    return method in ("GET", "DELETE") or review or ((method == "PUT" or patches) and not versioned)


def _refused(method: str, path: str, response: urllib3.BaseHTTPResponse, *, refuse: bool) -> None:
    """Keep a request that was refused as evidence; with `refuse`, raise its error."""
    error = refusal(response.status, response.data.decode(errors="replace"))
    REFUSALS.add(method, path, response.status, str(error))
    if refuse:
        raise error


def retry_after(status: int, later: str) -> float:
    """Return the seconds of Retry-After in a response 429 or 503, 0 for other statuses and for a header without a time."""
    if status not in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE) or not later:
        return 0.0
    try:
        return urllib3.Retry().parse_retry_after(later)
    except urllib3.exceptions.InvalidHeader:
        return 0.0
