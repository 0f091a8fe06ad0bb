"""What the harness's own tests are made of: a clock that only moves when waited on, feeds, and hand-made objects."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kubechain.claims.claim import Claim, Link, Outcome
from kubechain.claims.records import ClaimRecord, ClusterRecord, CollectedClaim, PeakRecord, RunRecord
from kubechain.core.errors import ExitCode, HarnessError
from kubechain.kube.client import Api
from kubechain.kube.objects import Json, KubeObject, NamespaceState
from kubechain.kube.rights import Permit
from kubechain.workload.manifests import CONTAINER_PORT, LABELS, WEB

HASH = "5d4f"
RS_NAME = f"{WEB}-{HASH}"
POD_LABELS = {**LABELS, "pod-template-hash": HASH}
STARTED = {"PodScheduled": "True", "Initialized": "True"}
MOST_READINGS = 20_000
_versions = itertools.count(1)


class FakeClock:
    """Time that passes only while something waits; actions happen at their time and wake the wait."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.readings = 0
        self._due: list[tuple[float, Callable[[], object]]] = []

    def at(self, seconds: float, action: Callable[[], object]) -> None:
        """Let `action` happen in `seconds` from now."""
        self._due.append((self.time + seconds, action))
        self._due.sort(key=lambda entry: entry[0])

    def now(self) -> float:
        """Return the fake time."""
        self.readings += 1
        assert self.readings < MOST_READINGS, "a wait spins without waiting"
        return self.time

    def wall(self) -> float:
        """Return fake Unix seconds."""
        return 1_700_000_000.0 + self.time

    def wait(self, changed: threading.Condition, seconds: float) -> None:  # noqa: ARG002
        """Let time pass up to the next action, or all of it."""
        end = self.time + seconds
        if self._due and self._due[0][0] <= end:
            self.time, action = self._due.pop(0)
            action()
        else:
            self.time = end


class FakeApi(Api):
    """An API without a connection: `answer` gets (method, path, body) and returns text or raises."""

    def __init__(self, answer: Callable[[str, str, Any], str], server: str = "https://127.0.0.1:6443") -> None:
        self.kubeconfig, self.context = Path("none"), "fake"
        self.answer, self.address, self.permit = answer, server, Permit()

    @property
    def user(self) -> str:
        """A user without a name."""
        return f"the user of context {self.context}"

    @property
    def server(self) -> str:
        """The address that was given."""
        return self.address

    def call(self, method: str, path: str, query: Any = None, body: object = None, **_: Any) -> str:  # noqa: ARG002
        """Answer."""
        return self.answer(method, path, body)


def thing(kind: str, name: str, *, uid: str = "", version: str = "", **rest: Any) -> KubeObject:
    """Return an object; `rest` are metadata fields, `spec`, `status` and other top-level fields by name."""
    metadata: Json = {
        "name": name,
        "uid": uid or f"uid-{kind}-{name}",
        "resourceVersion": version or str(next(_versions)),
    }
    fields = ("labels", "annotations", "ownerReferences", "deletionTimestamp", "generation", "managedFields")
    metadata |= {key: rest.pop(key) for key in fields if key in rest}
    return KubeObject({"kind": kind, "metadata": metadata, **rest})


def changed(resource: KubeObject, path: str, value: Any) -> KubeObject:
    """Return the object with another value at a dotted path; numbers in the path are places in lists."""
    return KubeObject(_put(resource.body, path.split("."), value))


def _put(node: Any, keys: list[str], value: Any) -> Any:
    if not keys:
        return value
    first, *rest = keys
    if isinstance(node, list):
        copy: list[Any] = [*node]  # pyright: ignore[reportUnknownVariableType]  # JSON
        copy[int(first)] = _put(copy[int(first)], rest, value)
        return copy
    return {**node, first: _put(node.get(first, {}), rest, value)}


def without(resource: KubeObject, *path: str) -> KubeObject:
    """Return the object without the field at a path of keys."""

    def drop(node: Json, keys: tuple[str, ...]) -> Json:
        if len(keys) == 1:
            return {key: each for key, each in node.items() if key != keys[0]}
        return {**node, keys[0]: drop(node[keys[0]], keys[1:])}

    return KubeObject(drop(resource.body, path))


def owned_by(owner: KubeObject, api: str = "apps/v1") -> list[Json]:
    """Return owner references that make `owner` the controller."""
    return [{"apiVersion": api, "kind": owner.kind, "name": owner.name, "uid": owner.uid, "controller": True}]


def conditions(**states: str) -> list[Json]:
    """Return status.conditions: type -> status."""
    return [{"type": kind, "status": state} for kind, state in states.items()]


def deployment(**over: Any) -> KubeObject:
    """Return a complete Deployment of two replicas."""
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 2)
    state = [{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}]
    given: Json = {
        "generation": 1,
        "labels": LABELS,
        "annotations": {"deployment.kubernetes.io/revision": "1"},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": 1, **counts, "conditions": state},
    }
    return thing("Deployment", WEB, **{**given, **over})


def replica_set(owner: KubeObject | None = None, **over: Any) -> KubeObject:
    """Return the Deployment's ReplicaSet with two Pods."""
    counts = dict.fromkeys(("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas"), 2)
    template = {"metadata": {"labels": POD_LABELS}}
    given: Json = {
        "labels": POD_LABELS,
        "annotations": {"deployment.kubernetes.io/revision": "1"},
        "ownerReferences": owned_by(owner or deployment()),
        "spec": {"replicas": 2, "selector": {"matchLabels": POD_LABELS}, "template": template},
        "status": counts,
    }
    return thing("ReplicaSet", over.pop("name", RS_NAME), **{**given, **over})


def pod(number: int = 0, **over: Any) -> KubeObject:
    """Return a ready Pod of the ReplicaSet; Pod n has the address 10.244.n.5 on node n."""
    ready = conditions(**STARTED, ContainersReady="True", Ready="True")
    container: Json = {"name": "nginx", "restartCount": 0, "imageID": "docker.io/nginx@sha256:aa", "state": {"running": {}}}
    given: Json = {
        "labels": POD_LABELS,
        "ownerReferences": owned_by(replica_set()),
        "spec": {"nodeName": f"node-{number}", "containers": [{"name": "nginx", "image": "nginx:1"}]},
        "status": {
            "phase": "Running",
            "podIP": f"10.244.{number}.5",
            "hostIP": f"172.18.0.{number}",
            "conditions": ready,
            "containerStatuses": [container],
        },
    }
    return thing("Pod", over.pop("name", f"{RS_NAME}-{number}"), **{**given, **over})


def not_ready(resource: KubeObject) -> KubeObject:
    """Return the Pod with its Ready condition False."""
    return changed(resource, "status.conditions", conditions(**STARTED, ContainersReady="False", Ready="False"))


def service(**over: Any) -> KubeObject:
    """Return the NodePort Service."""
    port = {"port": 80, "targetPort": CONTAINER_PORT, "protocol": "TCP", "nodePort": 30080}
    spec = {"type": "NodePort", "clusterIP": "10.96.0.9", "selector": LABELS, "ports": [port], "ipFamilies": ["IPv4"]}
    given: Json = {"spec": spec}
    return thing("Service", WEB, **{**given, **over})


def entry(target: KubeObject, *, ready: bool | None = True, ip: str = "") -> Json:
    """Return an endpoint of a slice for a Pod; `ready` None leaves the condition out."""
    state = {} if ready is None else {"ready": ready}
    reference = {"kind": "Pod", "name": target.name, "uid": target.uid}
    return {"addresses": [ip or target.at("status.podIP")], "conditions": state, "targetRef": reference}


def endpoint_slice(*entries: Json, name: str = "web-x1", port: int = CONTAINER_PORT, **over: Any) -> KubeObject:
    """Return an EndpointSlice of the Service."""
    labels = {
        "kubernetes.io/service-name": WEB,
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    given: Json = {
        "labels": labels,
        "ownerReferences": owned_by(service(), "v1"),
        "addressType": "IPv4",
        "endpoints": list(entries),
        "ports": [{"port": port, "protocol": "TCP"}],
    }
    return thing("EndpointSlice", name, **{**given, **over})


def endpoints(*targets: KubeObject, port: int = CONTAINER_PORT) -> KubeObject:
    """Return the Endpoints object of the Service."""
    addresses = [{"ip": t.at("status.podIP"), "targetRef": {"kind": "Pod", "uid": t.uid}} for t in targets]
    return thing("Endpoints", WEB, subsets=[{"addresses": addresses, "ports": [{"port": port}]}] if targets else [])


def state(*objects: KubeObject) -> NamespaceState:
    """Return a snapshot of these objects."""
    return NamespaceState(objects)


def healthy() -> list[KubeObject]:
    """Return all objects of a chain that is up, with two Pods."""
    two = [pod(0), pod(1)]
    return [deployment(), replica_set(), *two, service(), endpoint_slice(*map(entry, two)), endpoints(*two)]


def claim_of(link: Link, **over: Any) -> Claim:
    """Return a claim on a link."""
    given: dict[str, Any] = {"must": "It MUST hold.", "spec": "x/", "upstream": "", "level": "quick"}
    return Claim(over.pop("id", f"CHAIN-{link}-010"), link, **{**given, **over})


def collected(link: Link, **over: Any) -> CollectedClaim:
    """Return the entry of a claim that was collected."""
    claim = claim_of(link, **over)
    return CollectedClaim.of(claim, f"suites/test_x.py::test_{claim.id}")


def record(link: Link, outcome: str, message: str | None = None, **over: Any) -> ClaimRecord:
    """Return the record of a claim; `over` may name fields of its metadata as well as those of its end."""
    entry = collected(link, **{key: over.pop(key) for key in ("id", "must") if key in over})
    return entry.ended(Outcome(outcome), message, **over)


def run_record(first: str | None, *claims: ClaimRecord, code: int = 1) -> RunRecord:
    """Return a run.json with that first broken link and these claims; the chain holds with exit code 0."""
    return RunRecord(
        run="ab12",
        started=datetime(2026, 1, 1, tzinfo=UTC),
        verdict="said",
        holds=code == ExitCode.HOLDS,
        first_broken_link=Link(first) if first else None,
        exit_code=ExitCode(code),
        counts={},
        cluster=ClusterRecord(),
        versions={},
        probe_from=None,
        phases=[],
        change_to_wait_ms=None,
        timeline=[],
        peak_mib=PeakRecord(harness=1.0, largest_child=1.0),
        report=None,
        claims=list(claims),
    )


def no_answer(*_: object) -> str:
    """Fail: an API for tests that must send no request."""
    raise HarnessError("this test must send no request to the API")
