"""A client for the Kubernetes API: plain JSON in and out, and a total deadline on every call.

A request that the server rejects with 429 and Retry-After was not executed; it is sent again after that time, as client-go
does (https://kubernetes.io/docs/concepts/cluster-administration/flow-control/).
"""

from __future__ import annotations

import contextlib
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path

import urllib3

from kubechain.kube import creation, handover
from kubechain.kube.bounded_sockets import within
from kubechain.kube.connection import Connection, repeatable
from kubechain.kube.creation import CHANGE_SECONDS
from kubechain.kube.decoding import as_json, as_object, as_table, as_time, warning_texts
from kubechain.kube.errors import ApiRefused, network_errors
from kubechain.kube.exec import Executed, run_command
from kubechain.kube.listing import METADATA_ONLY, Keep, Listing, in_pages, trimmed
from kubechain.kube.objects import Json, KubeObject
from kubechain.kube.paths import path_of
from kubechain.kube.rights import Permit
from kubechain.kube.shape import Shape
from kubechain.kube.watch_stream import events

REQUEST_SECONDS = 10.0
EXEC_SECONDS = 30.0


class Api:
    """A pool of connections to one cluster; each thread needs its own. `shape` is that of the objects that it creates."""

    shape = Shape()
    _watched: urllib3.BaseHTTPResponse | None = None
    _keep: Keep = staticmethod(trimmed)

    def __init__(self, kubeconfig: Path, context: str, secrets: Path, *, patience: float = 0.0, keep: Keep = trimmed) -> None:
        """Read a kubeconfig; write certificates and keys that it holds as text to files in the folder `secrets`.

        A GET that finds the API server unavailable is sent again for `patience` seconds; `keep` returns what is kept of each
        object of a list or a watch.

        Raises:
            SetupError: the context cannot be used (exit code KUBECONFIG).

        """
        self._keep = keep
        self.kubeconfig, self.context, self.secrets = kubeconfig, context, secrets.absolute()
        self._connection = Connection(kubeconfig, context, self.secrets)
        self._patience, self.permit = patience, Permit()

    @property
    def server(self) -> str:
        """The URL of the API server, such as "https://127.0.0.1:6443"."""
        return self._connection.server

    @property
    def user(self) -> str:
        """The user for a message: that of the context, or the one that its kubeconfig entry impersonates."""
        name = self._connection.impersonated
        return f"the user {name}, whom context {self.context} impersonates," if name else f"the user of context {self.context}"

    def twin(self, keep: Keep = trimmed, *, patient: bool = False) -> Api:
        """Return a client with connections of its own to the same cluster, `patient` or not; `keep` is that of the class."""
        twin = Api(self.kubeconfig, self.context, self.secrets, patience=self._patience if patient else 0.0, keep=keep)
        twin.shape = self.shape
        return twin

    def at(self, address: str) -> Api:
        """Return a client for the API server at one address of several (`handover.at_address`)."""
        there = handover.at_address(self._connection, address, self.secrets)
        return Api(there, self.context, self.secrets, patience=self._patience)

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def for_sampler(self, folder: Path) -> Json:
        """Return how a sampler connects (`handover.for_sampler`); SetupError (exit code KUBECONFIG) if it cannot."""
        return handover.for_sampler(self._connection, folder)

    def for_kubectl(self) -> Path:
        """Return a kubeconfig of the context for kubectl, in the folder of secrets."""
        return handover.for_kubectl(self._connection, self.secrets)

    def warnings(self, kind: str, namespace: str) -> list[str]:
        """Return the texts of the Warning headers of the list of a kind, such as that its API is deprecated."""
        response = self._send("GET", path_of(kind, namespace), None, None, seconds=REQUEST_SECONDS)
        headers: list[str] = response.headers.getlist("Warning")
        return warning_texts(headers)

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
        return response.data.decode(errors="replace")

    def status(self, method: str, path: str, body: object = None) -> int:
        """Send a request and return the HTTP status of the response, also 4xx and 5xx; ApiUnavailable without a response."""
        return self.request(method, path, body)[0]

    def request(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        """Send a request once and return the HTTP status and the body of the response, also of 4xx and 5xx."""
        response = self._send(method, path, None, body, seconds=REQUEST_SECONDS, refuse=False)
        with network_errors():
            return response.status, response.data.decode(errors="replace")

    def server_time(self) -> float:
        """Return the API server's time of day in Unix seconds, from the header Date of an answer; HarnessError without one."""
        date = self._send("GET", "/version", None, None, seconds=REQUEST_SECONDS).headers.get("Date", "")
        return as_time(date, self.server)

    def get(self, kind: str, namespace: str, name: str) -> KubeObject | None:
        """Return an object, None if it does not exist (404)."""
        try:
            return as_object(self.call("GET", path_of(kind, namespace, name)), kind)
        except ApiRefused as refused:
            if refused.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def list(self, kind: str, namespace: str = "", selector: str = "", *, only: str = "", metadata_only: bool = False) -> Listing:
        """Return the objects of a kind that match a label selector, in one namespace or ("") in all.

        `only` is a field selector, such as "metadata.name=a"; with `metadata_only`, nothing of them but their metadata.
        """
        wanted = {key: value for key, value in (("labelSelector", selector), ("fieldSelector", only)) if value}
        accept = METADATA_ONLY if metadata_only else "application/json"

        def get_page(page: Mapping[str, str]) -> str:
            return self.call("GET", path_of(kind, namespace), {**wanted, **page}, accept=accept)

        return in_pages(get_page, kind, self._keep)

    def count(self, kind: str) -> int:
        """Return the number of objects of a kind in the whole cluster, from the first object of a list if that says it."""
        listed = as_json(self.call("GET", path_of(kind), {"limit": "1"}), f"list of {kind}")
        metadata: Json = listed.get("metadata") or {}
        left = metadata.get("remainingItemCount", None if metadata.get("continue") else 0)
        return len(self.list(kind, metadata_only=True).items) if left is None else len(listed.get("items") or []) + int(left)

    def table(self, kind: str, namespace: str) -> Json:
        """Return the Table (meta.k8s.io/v1) of a kind, from which `kubectl get` prints its columns."""
        accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
        return as_table(self.call("GET", path_of(kind, namespace), accept=accept), kind)

    def create(
        self, body: Json, namespace: str = "", *, dry_run: bool = False, seconds: float = creation.CREATE_SECONDS
    ) -> KubeObject:
        """Create an object and return it as the server stored it; with `dry_run`, the server stores nothing.

        Every object of a run is created here, in the shape of the run (`Shape.apply`). An object with a name is created once,
        also if an answer is lost: after 5xx or no answer, the creation is tried again until `seconds` have passed. A dry run,
        and an object whose name the server chooses, is tried once.
        """
        body = self.shape.apply(body)
        kind, name = body["kind"], body.get("metadata", {}).get("name", "")
        query = {"dryRun": "All"} if dry_run else {}

        def post() -> KubeObject:
            return as_object(self.call("POST", path_of(kind, namespace), query, body, seconds=creation.ATTEMPT_SECONDS), kind)

        if dry_run or not name:
            return post()
        return creation.create(post, lambda: self.get(kind, namespace, name), body, seconds)

    def replace(self, resource: Json, namespace: str, sub: str = "", *, of: str = "") -> KubeObject:
        """Replace an object (PUT) or its subresource `sub`; `of` is the kind of the object if the body has another: a Scale.

        A replacement of any version is sent again for CHANGE_SECONDS after 5xx or no answer.
        """
        path = path_of(of or resource["kind"], namespace, resource["metadata"]["name"], sub)
        again = CHANGE_SECONDS if repeatable("PUT", path, {}, resource) else 0.0
        return creation.persistently(lambda: as_object(self.call("PUT", path, body=resource), resource["kind"]), again)

    def patch(
        self,
        kind: str,
        namespace: str,
        name: str,
        patch: object,
        *,
        sub: str = "",
        form: str = "merge",
        seconds: float = CHANGE_SECONDS,
    ) -> KubeObject:
        """Patch an object; `form` is "merge", "strategic-merge" or "json".

        A patch that can be applied twice (`connection.repeatable`) is sent again for `seconds` after 5xx or no answer.
        """
        content, path = f"application/{form}-patch+json", path_of(kind, namespace, name, sub)
        again = seconds if repeatable("PATCH", path, {"Content-Type": content}, patch) else 0.0
        return creation.persistently(lambda: as_object(self.call("PATCH", path, body=patch, content=content), kind), again)

    def delete(
        self,
        kind: str,
        namespace: str,
        name: str,
        options: Json | None = None,
        *,
        missing_ok: bool = False,
        seconds: float = CHANGE_SECONDS,
    ) -> None:
        """Delete an object; `options` are fields of DeleteOptions (propagationPolicy, preconditions, gracePeriodSeconds).

        With `missing_ok`, it is no error if the object does not exist (404) or another object has its name (409, if
        `options` has preconditions). After 5xx or no answer the deletion is sent again; what is missing then was deleted.
        """
        fields = options or {}
        missing = {HTTPStatus.NOT_FOUND, *([HTTPStatus.CONFLICT] if "preconditions" in fields else [])}
        body, path = {"kind": "DeleteOptions", "apiVersion": "v1", **fields}, path_of(kind, namespace, name)
        creation.delete(lambda: self.call("DELETE", path, body=body), missing, seconds, missing_ok=missing_ok)

    def watch(
        self, kind: str, namespace: str, version: str, seconds: float, selector: str = "", *, only: str = ""
    ) -> Iterator[tuple[str, Json]]:
        """Open a watch from a resourceVersion, of what `list` selects; yield (type, object) until it ends after `seconds`."""
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": str(int(seconds)), "allowWatchBookmarks": "true"}
        query |= {key: value for key, value in (("labelSelector", selector), ("fieldSelector", only)) if value}
        # The server closes the stream after timeoutSeconds; the client waits longer: only a dead connection times out.
        limit = seconds + REQUEST_SECONDS
        # The answer begins at once, also where nothing changes.
        with within(REQUEST_SECONDS):
            response = self._send("GET", path_of(kind, namespace), query, None, seconds=limit, stream=True)
        self._watched = response
        # An ERROR carries a Status, which is no object of the kind.
        return ((change, body if change == "ERROR" else self._keep(body)) for change, body in events(response, limit))

    def interrupt(self) -> None:
        """Shut down the connection of the last watch: the thread that reads it gets ApiUnavailable."""
        with contextlib.suppress(RuntimeError, ValueError, OSError):  # the watch has ended
            if self._watched:
                self._watched.shutdown()

    def execute(
        self, namespace: str, pod: str, argv: Sequence[str], *, container: str = "", seconds: float = EXEC_SECONDS
    ) -> Executed:
        """Run a command in a container of a Pod ("": the only one) and return its output and its exit status.

        Raises:
            HarnessError: the command cannot be started, or has not ended after `seconds`.

        """
        query = [*(("command", word) for word in argv), ("stdout", "true"), ("stderr", "true")]
        query += [("container", container)] if container else []
        path = path_of("Pod", namespace, pod, "exec")
        for method in ("GET", "POST"):  # both are checked: https://kubernetes.io/docs/reference/access-authn-authz/rbac/
            self.permit.check(method, path)
        path += "?" + urllib.parse.urlencode(query)
        return run_command(self._connection, path, argv, pod, agent=self.permit.agent, seconds=seconds)

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
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """Send a request; with `refuse`, obey Retry-After of 429 and raise the error of a status from 400 on."""
        self.permit.check(method, path, query)
        url = f"{path}?{urllib.parse.urlencode(query)}" if query else path
        headers = {"Accept": accept, "Content-Type": content, "User-Agent": self.permit.agent}

        def send() -> urllib3.BaseHTTPResponse:
            return self._connection.send(method, url, body, headers, seconds=seconds, refuse=refuse, stream=stream)

        return creation.persistently(send, self._patience if method == "GET" and refuse and not stream else 0.0)
