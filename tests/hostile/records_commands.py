"""Records of controllers that do nothing, of commands in Pods, and of the commands doctor and clean."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count

from kubechain.claims.claim import Link
from kubechain.core.errors import ExitCode
from kubechain.core.run import EXPIRES_LABEL, RUN_LABEL
from tests.hostile.acts import any_request, both, failing, on, reshaped, rule, without_fields
from tests.hostile.channels import end_channels, open_channels, send_frame, send_output
from tests.hostile.cluster import Cluster
from tests.hostile.exchange import Exchange, Request
from tests.hostile.furniture import namespace
from tests.hostile.records import CLEAN, DOCTOR, HOLDS, IMPATIENT, UNDECIDED, Ending, Record, broken
from tests.hostile.records_objects import null_lists
from tests.hostile.store import key_of


def _without(id: str, what: str, name: str, link: Link, *, undeletable: bool = False) -> Record:  # noqa: A002  # as of a record
    """Return the record of a cluster without the controller `name`; the chain is broken at `link`."""

    def make(cluster: Cluster) -> None:
        cluster.off.add(name)

    return Record(id, f"has no {what}", make, (broken(link),), command=IMPATIENT, seconds=200, undeletable=undeletable)


def _taken_over(*names: str) -> Callable[[Cluster], None]:
    """Have none of these controllers for TAKEN_OVER_SECONDS from the first Deployment on, as between two leaders."""

    def make(cluster: Cluster) -> None:
        def lose(exchange: Exchange) -> None:
            cluster.off.update(names)
            threading.Timer(TAKEN_OVER_SECONDS, lambda: cluster.off.difference_update(names)).start()
            exchange.serve()

        rule(on("create", "Deployment"), lose, times=1)(cluster)

    return make


def _drained(cluster: Cluster) -> None:
    """Evict all Pods of the client's Node when a Service is changed for the first time."""

    def drain(exchange: Exchange) -> None:
        pods = cluster.store.all("Pod")
        nodes = {pod["spec"].get("nodeName") for pod in pods if pod["metadata"]["name"] == "client"}
        for pod in (each for each in pods if each["spec"].get("nodeName") in nodes):
            cluster.store.modify(key_of(pod), lambda body: body["status"].setdefault("conditions", []).append(EVICTED))
            cluster.store.delete(key_of(pod))
        exchange.serve()

    rule(on("patch", "Service"), drain, times=1)(cluster)


def _turning_away(cluster: Cluster) -> None:
    """Have Nodes that do not take the first two Pods of controllers."""
    cluster.core.turned_away = 2


def is_exec(request: Request) -> bool:
    """Whether a request runs a command in a container."""
    return request.place.sub == "exec"


def _every_other_exec() -> Callable[[Request], bool]:
    numbers = count()
    return lambda request: is_exec(request) and next(numbers) % 2 == 0


def _left(run: str, expires: float) -> Callable[[Cluster], None]:
    """Have a namespace of a run that expires so many seconds from now."""

    def make(cluster: Cluster) -> None:
        labels = {RUN_LABEL: run, EXPIRES_LABEL: str(int(cluster.store.now() + expires))}

        cluster.store.create(namespace(f"kubechain-{run}-main-0", **labels))

    return make


def _hangs(exchange: Exchange) -> None:
    exchange.hang()
    exchange.close()


def _breaks(exchange: Exchange) -> None:
    """Send half of the output, and close."""
    done = exchange.api.ran(exchange.request)
    open_channels(exchange)
    send_frame(exchange, b"\x01" + done.stdout.encode()[: len(done.stdout) // 2])


def _no_status(exchange: Exchange) -> None:
    """Send the output and end without the exit status."""
    done = exchange.api.ran(exchange.request)
    open_channels(exchange)
    send_output(exchange, done)
    end_channels(exchange)


def _stops(exchange: Exchange) -> None:
    """Accept the command and send nothing."""
    open_channels(exchange)
    exchange.hang()


EITHER = (HOLDS, UNDECIDED)
# The Lease of the last leader lasts for 15 s, the next tries to take it every 2 s, and begins with lists.
TAKEN_OVER_SECONDS = 19.0
MANAGER = ("namespace", "garbage collector", "Deployment", "ReplicaSet", "EndpointSlice", "Endpoints")
EVICTED = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "evicting"}
WHOLE = Ending(ExitCode.HOLDS, "")
RECORDS = (
    _without("OFF-DEPLOYMENT", "Deployment controller", "Deployment", Link.DEPLOYMENT),
    _without("OFF-REPLICASET", "ReplicaSet controller", "ReplicaSet", Link.REPLICASET),
    _without("OFF-SCHEDULER", "scheduler", "scheduler", Link.PODS),
    _without("OFF-KUBELET", "kubelet", "kubelet", Link.PODS, undeletable=True),
    _without("OFF-ENDPOINTSLICE", "EndpointSlice controller", "EndpointSlice", Link.ENDPOINTS),
    _without("OFF-ENDPOINTS", "Endpoints controller", "Endpoints", Link.ENDPOINTS),
    _without("OFF-KUBE-PROXY", "kube-proxy", "kube-proxy", Link.CLUSTERIP),
    _without("OFF-GARBAGE", "garbage collector", "garbage collector", Link.DELETION),
    Record("MANAGER-LOST", "has no controller manager until another takes over, after 19 s", _taken_over(*MANAGER), seconds=180),
    Record("SCHEDULER-LOST", "has no scheduler until another takes over, after 19 s", _taken_over("scheduler"), seconds=180),
    Record("NODE-DRAINED", "loses all Pods of a Node, which somebody drains, in the middle of the run", _drained),
    Record("PODS-TURNED-AWAY", "has Nodes that do not take the first two Pods of controllers", _turning_away),
    Record("EXEC-500", "answers the first command in a Pod with 500", rule(is_exec, failing(500), times=1)),
    Record(
        "EXEC-500-EVER",
        "answers every command in a Pod with 500",
        rule(is_exec, failing(500)),
        (UNDECIDED,),
        says="500",
        seconds=600,
    ),
    Record("EXEC-403", "refuses every command in a Pod with 403", rule(is_exec, failing(403)), (UNDECIDED,), says="403"),
    Record("EXEC-HANGS", "never answers the first command in a Pod", rule(is_exec, _hangs, times=1), EITHER, seconds=120),
    Record(
        "EXEC-STOPS", "starts the first command in a Pod and sends nothing", rule(is_exec, _stops, times=1), EITHER, seconds=120
    ),
    Record("EXEC-BREAKS", "breaks the stream of the first command in a Pod", rule(is_exec, _breaks, times=1)),
    Record("EXEC-NO-STATUS", "sends no exit status of the first command in a Pod", rule(is_exec, _no_status, times=1)),
    Record("EXEC-BREAKS-EVERY-OTHER", "breaks the stream of every other command in a Pod", rule(_every_other_exec(), _breaks)),
    Record("DOCTOR", "does nothing wrong", lambda _: None, (WHOLE,), says="v1.37.2", command=DOCTOR),
    Record(
        "DOCTOR-503",
        "answers every request with 503",
        rule(any_request, failing(503)),
        (Ending(ExitCode.UNREACHABLE, "503"),),
        command=DOCTOR,
    ),
    Record(
        "DOCTOR-NO-STATUS",
        "leaves out the status of Nodes",
        rule(on("list", "Node"), reshaped(without_fields(".status"))),
        (WHOLE,),
        command=DOCTOR,
    ),
    Record(
        "DOCTOR-NULLS",
        "sends null in place of empty lists and maps",
        rule(any_request, reshaped(null_lists)),
        (WHOLE,),
        command=DOCTOR,
    ),
    Record(
        "CLEAN", "has a namespace of a run that has expired", _left("0000dead", -60), (WHOLE,), says="0000dead", command=CLEAN
    ),
    Record(
        "CLEAN-ALIVE",
        "has a namespace of a run that has not expired",
        _left("0000a11e", 3600),
        (WHOLE,),
        says="remains",
        command=CLEAN,
        undeletable=True,
    ),
    Record(
        "CLEAN-DELETE-503",
        "answers the deletion of an expired namespace with 503 once",
        both(_left("0000dead", -60), rule(on("delete", "Namespace"), failing(503), times=1)),
        (WHOLE,),
        command=CLEAN,
    ),
)
