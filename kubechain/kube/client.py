"""The Kubernetes API as the project uses it: plain JSON in and out, a timeout on every call, no hidden retries.

But one: a request that a busy server turned away unread (429 with Retry-After) is made again when it says so, as client-go
does (https://kubernetes.io/docs/concepts/cluster-administration/flow-control/).
"""

# The kubernetes package has no types; this module is the border behind which everything is typed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

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
# How often a request is made that a busy server turns away, and the longest pause between two tries.
BUSY_TRIES, BUSY_SECONDS = 4, 2.0
# RFC 7234, 5.5: a code, who warns, and the text in quotes; one header may have several.
WARNING = re.compile(r'\d{3} \S+ "((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Listing:
    """A complete list of a kind and the resourceVersion at which it was taken."""

    items: list[KubeObject]
    version: str


@dataclass(frozen=True, slots=True)
class Executed:
    """What a command in a container printed, and its exit status."""

    stdout: str
    stderr: str
    status: int


class Api:
    """One connection pool to one cluster; use one per thread."""

    def __init__(self, kubeconfig: Path, context: str, secrets: Path) -> None:
        """Read a kubeconfig; certificates and keys that it holds as text, and that must be files, go to the folder `secrets`."""
        self.kubeconfig, self.context, self.secrets = kubeconfig, context, secrets.absolute()
        self.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = Configuration()
        settings.retries = False  # pyright: ignore[reportAttributeAccessIssue]  # handed to urllib3, which takes False
        kubeconfigs.load_kube_config(
            config_file=str(kubeconfig), context=context, client_configuration=settings, temp_file_path=str(self.secrets)
        )
        self._client = ApiClient(configuration=settings)
        self._configuration: Any = self._client.configuration

    @property
    def server(self) -> str:
        """The address of the API server."""
        return str(self._configuration.host)

    def twin(self) -> Api:
        """Return another connection to the same cluster, for another thread."""
        return Api(self.kubeconfig, self.context, self.secrets)

    def close(self) -> None:
        """Drop the connections."""
        self._client.close()

    def credentials(self, folder: Path) -> Json:
        """Return what another program needs to connect: paths of "ca", "certificate", "key" and "token" ("" without), "verify".

        A bearer token is written into `folder`; those of some clouds last for minutes, so it is to be written anew at times.
        """
        headers: dict[str, str] = {}
        self._client.update_params_for_auth(headers, [], ["BearerToken"], "/", "GET", None)
        token, new = folder / "token", folder / ".token.new"
        # At once: a reader sees the old or the new one. What is there may be another's, and open to all.
        if headers.get("authorization"):
            new.unlink(missing_ok=True)
            new.touch(mode=0o600)
            new.write_text(headers["authorization"].removeprefix("Bearer "))
            new.replace(token)
        else:
            token.unlink(missing_ok=True)
        files = {"ca": "ssl_ca_cert", "certificate": "cert_file", "key": "key_file"}
        found = {name: str(getattr(self._configuration, attribute) or "") for name, attribute in files.items()}
        return {**found, "token": str(token) if token.exists() else "", "verify": bool(self._configuration.verify_ssl)}

    def warnings(self, kind: str, namespace: str) -> list[str]:
        """Return the texts of the Warning headers with which the server lists a kind, such as those of deprecated APIs."""
        response = self._send("GET", path_of(kind, namespace), None, None, seconds=REQUEST_SECONDS)
        found: list[str] = response.headers.getlist("Warning")
        return [re.sub(r"\\(.)", r"\1", text) for header in found for text in WARNING.findall(header)]

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
        """Make one request and return the response's text.

        Raises:
            ApiRefused: the server answered with a 4xx status.
            ApiUnavailable: no answer within `seconds`, or 429 or 5xx.

        """
        response = self._send(method, path, query, body, seconds=seconds, content=content, accept=accept)
        with network_errors():
            return response.data.decode(errors="replace")

    def status(self, method: str, path: str, body: object = None) -> int:
        """Make one request and return the HTTP status of the answer, whatever it is; ApiUnavailable without one."""
        return self._send(method, path, None, body, seconds=REQUEST_SECONDS, refuse=False).status

    def get(self, kind: str, namespace: str, name: str) -> KubeObject | None:
        """Return an object, None if there is none of that name."""
        try:
            return KubeObject(json.loads(self.call("GET", path_of(kind, namespace, name))))
        except ApiRefused as refused:
            if refused.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def list(self, kind: str, namespace: str = "", selector: str = "") -> Listing:
        """Return all objects of a kind in a namespace that match a label selector."""
        query = {"labelSelector": selector} if selector else {}
        found = json.loads(self.call("GET", path_of(kind, namespace), query))
        # Items of a list come without their kind.
        items = [KubeObject({**item, "kind": kind}) for item in found.get("items") or []]
        return Listing(items, found["metadata"]["resourceVersion"])

    def table(self, kind: str, namespace: str) -> Json:
        """Return the Table of a kind that the server makes for people (kubectl get)."""
        accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
        return json.loads(self.call("GET", path_of(kind, namespace), accept=accept))

    def create(self, body: Json, namespace: str = "", *, dry_run: bool = False) -> KubeObject:
        """Create an object; with `dry_run`, return what would be made of it, and make nothing."""
        query = {"dryRun": "All"} if dry_run else {}
        return KubeObject(json.loads(self.call("POST", path_of(body["kind"], namespace), query, body)))

    def replace(self, resource: Json, namespace: str, sub: str = "") -> KubeObject:
        """Replace an object, or a subresource such as "scale" of the object it is named after."""
        path = path_of(resource["kind"], namespace, resource["metadata"]["name"], sub)
        return KubeObject(json.loads(self.call("PUT", path, body=resource)))

    def patch(self, kind: str, namespace: str, name: str, patch: object, *, sub: str = "", form: str = "merge") -> KubeObject:
        """Patch an object; `form` is "merge", "strategic-merge" or "json"."""
        content = f"application/{form}-patch+json"
        return KubeObject(json.loads(self.call("PATCH", path_of(kind, namespace, name, sub), body=patch, content=content)))

    def delete(self, kind: str, namespace: str, name: str, options: Json | None = None, *, missing_ok: bool = False) -> None:
        """Delete an object; `options` is a DeleteOptions (propagationPolicy, preconditions, gracePeriodSeconds).

        With `missing_ok`, it may be that there is no such object, or only another one of that name (preconditions).
        """
        given = options or {}
        missing = {HTTPStatus.NOT_FOUND, *([HTTPStatus.CONFLICT] if "preconditions" in given else [])}
        try:
            self.call("DELETE", path_of(kind, namespace, name), body={"kind": "DeleteOptions", "apiVersion": "v1", **given})
        except ApiRefused as refused:
            if not missing_ok or refused.status not in missing:
                raise

    def watch(self, kind: str, namespace: str, version: str, seconds: float) -> Iterator[tuple[str, Json]]:
        """Open a watch; it yields (type, object) for each change after `version` until the server ends it."""
        query = {
            "watch": "1",
            "resourceVersion": version,
            "timeoutSeconds": str(int(seconds)),
            "allowWatchBookmarks": "true",
        }
        # The server closes the stream after timeoutSeconds; a dead connection is given a little longer.
        return _events(self._send("GET", path_of(kind, namespace), query, None, seconds=seconds + REQUEST_SECONDS))

    def execute(self, namespace: str, pod: str, argv: Sequence[str], *, seconds: float = EXEC_SECONDS) -> Executed:
        """Run a command in the first container of a Pod and return what it printed.

        Raises:
            HarnessError: the command could not be started, or was not done after `seconds`.

        """
        query = [("command", word) for word in argv] + [("stdout", "true"), ("stderr", "true")]
        url = self.server + path_of("Pod", namespace, pod, "exec") + "?" + urllib.parse.urlencode(query)
        headers: dict[str, str] = {"sec-websocket-protocol": "v4.channel.k8s.io"}
        self._client.update_params_for_auth(headers, [], ["BearerToken"], "", "GET", None)
        try:
            session: Any = ws_client.WSClient(
                self._configuration, ws_client.get_websocket_url(url, None), headers, capture_all=False
            )
        except Exception as error:  # whatever the library makes of a failed handshake
            raise HarnessError(f"cannot run `{' '.join(argv)}` in pod {pod}: {first_line(error)}") from error
        try:
            session.run_forever(timeout=seconds)
            out, err = session.read_channel(ws_client.STDOUT_CHANNEL), session.read_channel(ws_client.STDERR_CHANNEL)
            if session.is_open():
                raise HarnessError(f"`{' '.join(argv)}` in pod {pod} was not done after {seconds:.0f} s")
            return Executed(out, err, _exit_status(session.read_channel(ws_client.ERROR_CHANNEL), argv, pod))
        except (OSError, WebSocketException) as error:
            raise HarnessError(f"`{' '.join(argv)}` in pod {pod}: the stream broke: {first_line(error)}") from error
        finally:
            # The library's close() leaves the socket open when the server has closed the stream.
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
        """Make one request; an answer that is no success is an error unless it is not to `refuse`."""
        url = self.server + path + ("?" + urllib.parse.urlencode(query) if query else "")
        headers: dict[str, str] = {"Accept": accept, "Content-Type": content, "User-Agent": "kubechain"}
        self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        timeouts = (min(seconds, REQUEST_SECONDS), seconds)
        with network_errors():
            response = self._client.call_api(method, url, headers, body, _request_timeout=timeouts).response
            for _ in range(BUSY_TRIES):
                pause = turned_away(response) if refuse else 0.0
                if not pause:
                    break
                threading.Event().wait(pause)
                response = self._client.call_api(method, url, headers, body, _request_timeout=timeouts).response
            if refuse and response.status >= HTTPStatus.BAD_REQUEST:
                raise refusal(response.status, response.data.decode(errors="replace"))
        return response


def _events(response: urllib3.HTTPResponse) -> Iterator[tuple[str, Json]]:
    """Yield (type, object) for each line of a watch."""
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


def turned_away(response: urllib3.HTTPResponse) -> float:
    """Return after how many seconds a busy server wants to be asked again, 0 if it has answered."""
    later = response.headers.get("Retry-After", "")
    busy = response.status == HTTPStatus.TOO_MANY_REQUESTS and later.isdecimal()
    return min(float(later), BUSY_SECONDS) if busy else 0.0


def _exit_status(status: str, argv: Sequence[str], pod: str) -> int:
    """Read the exit status of a command from the Status object that ends its stream."""
    answer: Json = json.loads(status or "{}")
    if answer.get("status") == "Success":
        return 0
    causes: list[Json] = answer.get("details", {}).get("causes", [])
    code = next((str(c["message"]) for c in causes if c.get("reason") == "ExitCode"), None)
    if code is None:
        raise HarnessError(f"`{' '.join(argv)}` in pod {pod}: {answer.get('message', 'the stream ended early')}")
    return int(code)
