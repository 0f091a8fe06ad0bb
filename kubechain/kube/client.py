"""A client for the Kubernetes API: plain JSON in and out, a timeout on every call, and a single kind of retry.

A request that the server rejects with 429 and Retry-After was not executed; it is sent again after that time, as client-go
does (https://kubernetes.io/docs/concepts/cluster-administration/flow-control/).
"""

# The package kubernetes has no types; only this module uses it, so that all other code is typed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import contextlib
import json
import re
import threading
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import config as kubeconfigs
from kubernetes.client import ApiClient, Configuration
from kubernetes.stream import ws_client
from websocket import WebSocketException

from kubechain.core.errors import HarnessError
from kubechain.kube.errors import ApiRefused, first_line, network_errors, refusal
from kubechain.kube.objects import Json, KubeObject
from kubechain.kube.paths import path_of

REQUEST_SECONDS = 10.0
EXEC_SECONDS = 30.0
# Retries of a request that the server rejects with 429, and the longest pause before a retry in seconds.
BUSY_TRIES, BUSY_SECONDS = 4, 2.0
# RFC 7234, 5.5: code, agent and quoted text; a header may hold several warnings.
WARNING = re.compile(r'\d{3} \S+ "((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Listing:
    """All objects of a list, and the resourceVersion of the list, from which a watch goes on."""

    items: list[KubeObject]
    version: str


@dataclass(frozen=True, slots=True)
class Executed:
    """The output of a command in a container, and its exit status."""

    stdout: str
    stderr: str
    status: int


class Api:
    """A pool of connections to one cluster; each thread needs its own."""

    _watched: Any = None

    def __init__(self, kubeconfig: Path, context: str, secrets: Path) -> None:
        """Read a kubeconfig; write certificates and keys that it holds as text to files in the folder `secrets`."""
        self.kubeconfig, self.context, self.secrets = kubeconfig, context, secrets.absolute()
        self.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = Configuration()
        settings.keep_alive = True  # a dead connection is noticed though nothing is sent
        settings.retries = False  # pyright: ignore[reportAttributeAccessIssue]  # urllib3 accepts False
        kubeconfigs.load_kube_config(
            config_file=str(kubeconfig), context=context, client_configuration=settings, temp_file_path=str(self.secrets)
        )
        self._client = ApiClient(configuration=settings)
        self._configuration: Any = self._client.configuration

    @property
    def server(self) -> str:
        """The URL of the API server, such as "https://127.0.0.1:6443"."""
        return str(self._configuration.host)

    def twin(self) -> Api:
        """Return a client with connections of its own to the same cluster, for another thread."""
        return Api(self.kubeconfig, self.context, self.secrets)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def credentials(self, folder: Path) -> Json:
        """Return what another program needs to connect: "ca", "certificate", "key" and "token" (paths, or ""), "verify" (bool).

        A bearer token is written to a file in `folder`. The tokens of some clouds expire after minutes, so a program that
        runs longer needs repeated calls.
        """
        headers: dict[str, str] = {}
        self._client.update_params_for_auth(headers, [], ["BearerToken"], "/", "GET", None)
        token, new = folder / "token", folder / ".token.new"
        # Replaced atomically, so that a reader sees the old or the new token; a file that exists may be readable by others.
        if headers.get("authorization"):
            new.unlink(missing_ok=True)
            new.touch(mode=0o600)
            new.write_text(headers["authorization"].removeprefix("Bearer "))
            new.replace(token)
        else:
            token.unlink(missing_ok=True)
        files = {"ca": "ssl_ca_cert", "certificate": "cert_file", "key": "key_file"}
        paths = {name: str(getattr(self._configuration, attribute) or "") for name, attribute in files.items()}
        return {**paths, "token": str(token) if token.exists() else "", "verify": bool(self._configuration.verify_ssl)}

    def warnings(self, kind: str, namespace: str) -> list[str]:
        """Return the texts of the Warning headers of the list of a kind, such as that its API is deprecated."""
        response = self._send("GET", path_of(kind, namespace), None, None, seconds=REQUEST_SECONDS)
        headers: list[str] = response.headers.getlist("Warning")
        return [re.sub(r"\\(.)", r"\1", text) for header in headers for text in WARNING.findall(header)]

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        *,
        seconds: float = REQUEST_SECONDS,
        content: str = "application/json",
        accept: str = "application/json",
    ) -> str:
        """Send a request and return the body of the response.

        Raises:
            ApiRefused: status 4xx, except 429.
            ApiUnavailable: no response within `seconds`, status 429 or 5xx.

        """
        response = self._send(method, path, query, body, seconds=seconds, content=content, accept=accept)
        with network_errors():
            return response.data.decode(errors="replace")

    def status(self, method: str, path: str, body: object = None) -> int:
        """Send a request and return the HTTP status of the response, also 4xx and 5xx; ApiUnavailable without a response."""
        return self.request(method, path, body)[0]

    def request(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        """Send a request once and return the HTTP status and the body of the response, also of 4xx and 5xx."""
        response = self._send(method, path, None, body, seconds=REQUEST_SECONDS, refuse=False)
        with network_errors():
            return response.status, response.data.decode(errors="replace")

    def get(self, kind: str, namespace: str, name: str) -> KubeObject | None:
        """Return an object, None if it does not exist (404)."""
        try:
            return KubeObject(json.loads(self.call("GET", path_of(kind, namespace, name))))
        except ApiRefused as refused:
            if refused.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def list(self, kind: str, namespace: str = "", selector: str = "") -> Listing:
        """Return the objects of a kind that match a label selector, in one namespace or ("") in all."""
        query = {"labelSelector": selector} if selector else {}
        listed = json.loads(self.call("GET", path_of(kind, namespace), query))
        # The API server leaves out the kind of the items of a list.
        items = [KubeObject({**item, "kind": kind}) for item in listed.get("items") or []]
        return Listing(items, listed["metadata"]["resourceVersion"])

    def table(self, kind: str, namespace: str) -> Json:
        """Return the Table (meta.k8s.io/v1) of a kind, from which `kubectl get` prints its columns."""
        accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
        return json.loads(self.call("GET", path_of(kind, namespace), accept=accept))

    def create(self, body: Json, namespace: str = "", *, dry_run: bool = False) -> KubeObject:
        """Create an object and return it as the server stored it; with `dry_run`, the server stores nothing."""
        query = {"dryRun": "All"} if dry_run else {}
        return KubeObject(json.loads(self.call("POST", path_of(body["kind"], namespace), query, body)))

    def replace(self, resource: Json, namespace: str, sub: str = "") -> KubeObject:
        """Replace an object (PUT), or its subresource `sub`, such as "scale", with a body of the same name."""
        path = path_of(resource["kind"], namespace, resource["metadata"]["name"], sub)
        return KubeObject(json.loads(self.call("PUT", path, body=resource)))

    def patch(self, kind: str, namespace: str, name: str, patch: object, *, sub: str = "", form: str = "merge") -> KubeObject:
        """Patch an object; `form` is "merge", "strategic-merge" or "json"."""
        content = f"application/{form}-patch+json"
        return KubeObject(json.loads(self.call("PATCH", path_of(kind, namespace, name, sub), body=patch, content=content)))

    def delete(self, kind: str, namespace: str, name: str, options: Json | None = None, *, missing_ok: bool = False) -> None:
        """Delete an object; `options` are fields of DeleteOptions (propagationPolicy, preconditions, gracePeriodSeconds).

        With `missing_ok`, it is no error if the object does not exist (404) or another object has its name (409, if
        `options` has preconditions).
        """
        fields = options or {}
        missing = {HTTPStatus.NOT_FOUND, *([HTTPStatus.CONFLICT] if "preconditions" in fields else [])}
        try:
            self.call("DELETE", path_of(kind, namespace, name), body={"kind": "DeleteOptions", "apiVersion": "v1", **fields})
        except ApiRefused as refused:
            if not missing_ok or refused.status not in missing:
                raise

    def watch(self, kind: str, namespace: str, version: str, seconds: float) -> Iterator[tuple[str, Json]]:
        """Open a watch from the resourceVersion `version`; yield (type, object) until the server ends it after `seconds`.

        https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
        """
        query = {
            "watch": "1",
            "resourceVersion": version,
            "timeoutSeconds": str(int(seconds)),
            "allowWatchBookmarks": "true",
        }
        # The server closes the stream after timeoutSeconds; the client waits longer, so that only a dead connection times out.
        self._watched = self._send("GET", path_of(kind, namespace), query, None, seconds=seconds + REQUEST_SECONDS)
        return _events(self._watched)

    def interrupt(self) -> None:
        """Shut down the connection of the last watch: the thread that reads it gets ApiUnavailable."""
        with contextlib.suppress(RuntimeError, ValueError, OSError):  # the watch has ended
            if self._watched:
                self._watched.shutdown()

    def execute(self, namespace: str, pod: str, argv: Sequence[str], *, seconds: float = EXEC_SECONDS) -> Executed:
        """Run a command in the first container of a Pod and return its output and its exit status.

        Raises:
            HarnessError: the command cannot be started, or has not ended after `seconds`.

        """
        query = [("command", word) for word in argv] + [("stdout", "true"), ("stderr", "true")]
        url = self.server + path_of("Pod", namespace, pod, "exec") + "?" + urllib.parse.urlencode(query)
        headers: dict[str, str] = {"sec-websocket-protocol": "v4.channel.k8s.io"}
        self._client.update_params_for_auth(headers, [], ["BearerToken"], "", "GET", None)
        try:
            session: Any = ws_client.WSClient(
                self._configuration, ws_client.get_websocket_url(url, None), headers, capture_all=False
            )
        except Exception as error:  # the library raises many types for a failed handshake
            raise HarnessError(f"cannot run `{' '.join(argv)}` in pod {pod}: {first_line(error)}") from error
        try:
            session.run_forever(timeout=seconds)
            out, err = session.read_channel(ws_client.STDOUT_CHANNEL), session.read_channel(ws_client.STDERR_CHANNEL)
            if session.is_open():
                raise HarnessError(f"`{' '.join(argv)}` in pod {pod} did not end within {seconds:.0f} s")
            return Executed(out, err, _exit_status(session.read_channel(ws_client.ERROR_CHANNEL), argv, pod))
        except (OSError, WebSocketException) as error:
            raise HarnessError(f"`{' '.join(argv)}` in pod {pod}: the stream broke: {first_line(error)}") from error
        finally:
            # close() of the library leaves the socket open after the server has closed the stream.
            session.sock.shutdown()

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: object,
        *,
        seconds: float,
        content: str = "application/json",
        accept: str = "application/json",
        refuse: bool = True,
    ) -> urllib3.HTTPResponse:
        """Send a request; with `refuse`, retry on 429 with Retry-After and raise the error of a status from 400 on."""
        url = self.server + path + ("?" + urllib.parse.urlencode(query) if query else "")
        headers: dict[str, str] = {"Accept": accept, "Content-Type": content, "User-Agent": "kubechain"}
        self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        timeouts = (min(seconds, REQUEST_SECONDS), seconds)
        with network_errors():
            response = self._client.call_api(method, url, headers, body, _request_timeout=timeouts).response
            for _ in range(BUSY_TRIES):
                pause = retry_after(response) if refuse else 0.0
                if not pause:
                    break
                threading.Event().wait(pause)
                response = self._client.call_api(method, url, headers, body, _request_timeout=timeouts).response
            if refuse and response.status >= HTTPStatus.BAD_REQUEST:
                raise refusal(response.status, response.data.decode(errors="replace"))
        return response


def _events(response: urllib3.HTTPResponse) -> Iterator[tuple[str, Json]]:
    """Yield (type, object) for each line of a watch; ApiUnavailable if the connection breaks."""
    with network_errors():
        try:
            buffer = b""
            while chunk := response.read1():
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in filter(None, lines):
                    event: Json = json.loads(line)
                    yield event["type"], event["object"]
        finally:
            response.close()


def retry_after(response: urllib3.HTTPResponse) -> float:
    """Return the seconds of Retry-After in a response 429, at most BUSY_SECONDS; 0 for every other response."""
    seconds = response.headers.get("Retry-After", "")
    busy = response.status == HTTPStatus.TOO_MANY_REQUESTS and seconds.isdecimal()
    return min(float(seconds), BUSY_SECONDS) if busy else 0.0


def _exit_status(status: str, argv: Sequence[str], pod: str) -> int:
    """Return the exit status of a command from the Status object on its error channel; HarnessError if there is none."""
    body: Json = json.loads(status or "{}")
    if body.get("status") == "Success":
        return 0
    causes: list[Json] = body.get("details", {}).get("causes", [])
    code = next((str(c["message"]) for c in causes if c.get("reason") == "ExitCode"), None)
    if code is None:
        raise HarnessError(f"`{' '.join(argv)}` in pod {pod}: {body.get('message', 'the stream ended before its exit status')}")
    return int(code)
