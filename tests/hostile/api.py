"""The API server of the cluster: objects, lists, watches, proxies and exec, over HTTP/1.1 and TLS."""

from __future__ import annotations

import json
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from kubechain.kube.objects import OWN_CONTAINERS, Json
from tests.hostile import discovery, subresources
from tests.hostile.access import ADMIN, Access
from tests.hostile.admission import admitted, without_node_ports
from tests.hostile.channels import run_in
from tests.hostile.containers import NOT_FOUND, Container, Done
from tests.hostile.core import VERSION, Core
from tests.hostile.exchange import Exchange, Request, Response, of_json
from tests.hostile.proxied import proxied
from tests.hostile.resources import REVIEW, TABLE, is_namespaced, listed, matches, meant, selector_of
from tests.hostile.store import Refused, Store, key_of, merged
from tests.hostile.tables import table

LOOK_SECONDS = 0.25
# Does everything with an exchange in place of `Exchange.serve`.
Act = Callable[[Exchange], None]


@dataclass
class Rule:
    """A misbehaviour: the requests for which it is meant, what happens to them, and how often (0: always)."""

    meant: Callable[[Request], bool]
    act: Act
    times: int = 0
    used: int = 0

    def applies(self, request: Request) -> bool:
        """Whether it is meant for a request, which it then counts."""
        if (self.times and self.used >= self.times) or not self.meant(request):
            return False
        self.used += 1
        return True


@dataclass
class ApiServer:
    """Answers requests; the first rule that is meant for one decides what happens to it.

    `bookmarks` are the seconds between two bookmarks of a watch, 0 for none; `dated` says whether answers have a Date;
    `allows` decides what a user may do: (user, verb, resource with its subresource); `only_in` is the only namespace in which
    anybody may do anything, "" for all; `errors` are those of the rules and the server, which are defects of the tests.
    """

    core: Core
    access: Access
    rules: list[Rule] = field(default_factory=list[Rule])
    bookmarks: float = 1.0
    dated: bool = True
    allows: Callable[[str, str, str], bool] = lambda user, _verb, _resource: user == ADMIN
    only_in: str = ""
    closed: threading.Event = field(default_factory=threading.Event)
    requests: list[Request] = field(default_factory=list[Request])
    errors: list[str] = field(default_factory=list[str])
    watches: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def store(self) -> Store:
        """The objects."""
        return self.core.store

    def handle(self, exchange: Exchange) -> None:
        """Answer a request, by a rule or as an API server does."""
        with self._lock:
            self.requests.append(exchange.request)
            act = next((rule.act for rule in self.rules if rule.applies(exchange.request)), Exchange.serve)
        try:
            act(exchange)
        except Refused as refused:
            exchange.send(of_json(refused.status, refused.as_json()))
        except Exception as error:
            # The connection may be closed at any time. The client takes an error of a rule for an outage.
            if not isinstance(error, (OSError, ValueError)):
                self.errors.append(traceback.format_exc())
            raise

    def answer(self, request: Request) -> Response:
        """Execute a request that is neither a watch nor an exec."""
        try:
            if not request.user:
                raise Refused(401, "Unauthorized", "Unauthorized")
            if request.path == "/version":
                return of_json(200, {"gitVersion": VERSION, "major": "1", "minor": "37"})
            if request.path in discovery.VERSIONS:
                return of_json(200, discovery.resources(request.path))
            if request.path in discovery.PATHS:
                answer = of_json(200, discovery.groups(request.path))
                return replace(answer, headers={"Content-Type": discovery.TYPE})
            if request.place.kind == REVIEW:
                return of_json(201, self._review(request))
            if not request.place.kind:
                raise Refused(404, "NotFound", "the server could not find the requested resource")
            self._authorize(request)
            return self._subresource(request) if request.place.sub else self._resource(request)
        except Refused as refused:
            return of_json(refused.status, refused.as_json())

    def _subresource(self, request: Request) -> Response:
        if request.place.sub == "log":
            self._container_of(self._get(request), request.query.get("container", ""))
            return Response(200, b"a line\n", {"Content-Type": "text/plain"})
        if request.place.sub in subresources.PARTS:
            return of_json(200, subresources.answer(self.store, request))
        return proxied(self.store, request.place)

    def _resource(self, request: Request) -> Response:
        if request.verb == "list":
            return self._list(request)
        changes = {
            "create": self._create,
            "delete": self._delete,
            "deletecollection": self._delete_collection,
            "get": self._get,
        }
        with self.store.changed:
            return of_json(201 if request.verb == "create" else 200, changes.get(request.verb, self._change)(request))

    def _get(self, request: Request) -> Json:
        return self.store.required((request.place.kind, request.place.namespace, request.place.name))

    def _authorize(self, request: Request) -> None:
        place = request.place
        resource = "/".join(filter(None, [place.plural, place.sub.partition("/")[0]]))
        space = place.namespace or (place.name if place.kind == "Namespace" else "")
        if not self._permits(request.user, request.verb, resource, space):
            group = place.version.partition("/")[0] if "/" in place.version else ""
            where = f' in the namespace "{place.namespace}"' if place.namespace else " at the cluster scope"
            what = f'cannot {request.verb} resource "{resource}" in API group "{group}"{where}'
            raise Refused(403, "Forbidden", f'{place.plural} is forbidden: User "{request.user}" {what}')

    def _review(self, request: Request) -> Json:
        spec: Json = request.body["spec"]
        asked: dict[str, str] = spec.get("resourceAttributes") or spec["nonResourceAttributes"]
        resource = "/".join(filter(None, [asked.get("resource", asked.get("path", "")), asked.get("subresource", "")]))
        return {
            **request.body,
            "status": {"allowed": self._permits(request.user, asked["verb"], resource, asked.get("namespace", ""))},
        }

    def _permits(self, user: str, verb: str, resource: str, namespace: str) -> bool:
        inside = not self.only_in or (namespace == self.only_in and (resource != "namespaces" or verb == "get"))
        return inside and self.allows(user, verb, resource)

    def _list(self, request: Request) -> Response:
        place, selector = request.place, selector_of(request.query.get("labelSelector", ""))
        with self.store.changed:
            version, start = self.store.version, 0
            given = request.query.get("continue", "")
            if given:
                version, start = map(int, given.split("/"))
                if version < self.store.oldest:
                    raise Refused(410, "Expired", "The provided continue parameter is too old")
            found = self.store.at(version, place.kind, place.namespace) if given else self.store.all(place.kind, place.namespace)
        fields = request.query.get("fieldSelector", "")
        items = [item for item in found if matches(item, selector) and meant(item, fields)]
        if TABLE in request.headers.get("accept", ""):
            return of_json(200, table(place.kind, items))
        size = int(request.query.get("limit", "0")) or len(items)
        following = f"{version}/{start + size}" if start + size < len(items) else ""
        return of_json(200, listed(place, items[start : start + size], version, following))

    def _create(self, request: Request) -> Json:
        place = request.place
        body: Json = json.loads(json.dumps(request.body))
        if is_namespaced(place.kind):
            body["metadata"]["namespace"] = place.namespace
        body["metadata"]["managedFields"] = [{"manager": request.headers.get("user-agent", ""), "operation": "Update"}]
        if request.query.get("dryRun") and place.kind == "Service":
            # Kubernetes allocates nothing in a dry run, and accepts every nodePort.
            without_node_ports(body["spec"])
        made = self.core.mutate(admitted(self.store, self.core.addresses, body, None))
        return made if request.query.get("dryRun") else self.store.create(made)

    def _delete(self, request: Request) -> Json:
        place, options = request.place, Json(request.body or {})
        key = place.kind, place.namespace, place.name
        found, wanted = self.store.required(key), options.get("preconditions", {}).get("uid", "")
        if wanted not in ("", found["metadata"]["uid"]):
            why = f"the UID in the precondition ({wanted}) does not match the UID in record ({found['metadata']['uid']})"
            raise Refused(409, "Conflict", f"Operation cannot be fulfilled: Precondition failed: {why}")
        return self.store.delete(key)

    def _delete_collection(self, request: Request) -> Json:
        place = request.place
        found = self.store.all(place.kind, place.namespace)
        return listed(place, [self.store.delete(key_of(body)) for body in found], self.store.version)

    def _change(self, request: Request) -> Json:
        place = request.place
        key = place.kind, place.namespace, place.name
        before = self.store.required(key)
        after = merged(before, request.body) if request.verb == "patch" else {**before, **request.body}
        wanted = Json(request.body.get("metadata") or {}).get("resourceVersion")
        if wanted not in (None, before["metadata"]["resourceVersion"]):
            raise Refused(409, "Conflict", "the object has been modified; please apply your changes to the latest version")
        made = admitted(self.store, self.core.addresses, after, before)
        return self.store.modify(key, lambda body: (body.clear(), body.update(made)))

    @contextmanager
    def watching(self) -> Generator[None]:
        """Count a watch as open during the body."""
        with self._lock:
            self.watches += 1
        try:
            yield
        finally:
            with self._lock:
                self.watches -= 1

    def watch(self, request: Request) -> Iterator[Json | None]:
        """Yield the events of a watch until its time is over; None every LOOK_SECONDS.

        Raises:
            Refused: the version is too old (410), or the user may not watch.

        """
        if not request.user:
            raise Refused(401, "Unauthorized", "Unauthorized")
        self._authorize(request)
        version = int(request.query.get("resourceVersion", "0") or 0)
        if version < self.store.oldest:
            raise Refused(410, "Expired", f"too old resource version: {version} ({self.store.oldest})")
        return self._events(request, version)

    def _events(self, request: Request, version: int) -> Iterator[Json | None]:
        place, store, seen = request.place, self.store, 0
        selector, fields = selector_of(request.query.get("labelSelector", "")), request.query.get("fieldSelector", "")
        ends = time.monotonic() + float(request.query.get("timeoutSeconds", "60"))
        marked = time.monotonic()
        while time.monotonic() < ends and not self.closed.is_set():
            with store.changed:
                if len(store.log) == seen:
                    store.changed.wait(LOOK_SECONDS)
                new, seen = store.log[seen:], len(store.log)
                newest = store.version
            for change in new:
                here = change.key[0] == place.kind and place.namespace in ("", change.key[1])
                if change.version > version and here and matches(change.body, selector) and meant(change.body, fields):
                    yield {"type": change.type, "object": change.body}
            if self.bookmarks and time.monotonic() - marked >= self.bookmarks:
                marked = time.monotonic()
                metadata = {"resourceVersion": str(newest)}
                yield {"type": "BOOKMARK", "object": {"kind": place.kind, "apiVersion": place.version, "metadata": metadata}}
            yield None

    def ran(self, request: Request) -> Done:
        """Run the command of an exec and return what it printed."""
        self._authorize(request)
        pod = self.store.required((request.place.kind, request.place.namespace, request.place.name))
        container = self._container_of(pod, request.query.get("container", ""))
        if container not in (*OWN_CONTAINERS, pod["metadata"]["name"]):
            return Done("", NOT_FOUND, "a sidecar has none of these programs\n")
        return Container(self.core, pod, self._ask_as).run([value for name, value in request.pairs if name == "command"])

    def _container_of(self, pod: Json, name: str) -> str:
        """Return the container that a request is about; Refused if it must be named, or does not exist."""
        names = [each["name"] for each in pod["spec"]["containers"]]
        if not name and len(names) > 1:
            why = f"a container name must be specified for pod {pod['metadata']['name']}, choose one of: [{' '.join(names)}]"
            raise Refused(400, "BadRequest", why)
        if name and name not in names:
            raise Refused(400, "BadRequest", f"container {name} is not valid for pod {pod['metadata']['name']}")
        return name or names[0]

    def _ask_as(self, user: str, method: str, path: str) -> tuple[int, str]:
        answered = self.answer(Request(method, path, {}, (), {}, {"metadata": {"name": "x"}}, user))
        return answered.status, answered.body.decode()

    def execute(self, exchange: Exchange) -> None:
        """Answer an exec: run the command and send what it prints."""
        if not exchange.request.user:
            raise Refused(401, "Unauthorized", "Unauthorized")
        run_in(exchange, self.ran(exchange.request))
