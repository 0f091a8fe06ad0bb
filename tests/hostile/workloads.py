"""The controllers of Deployments, ReplicaSets, Namespaces and dependents, the scheduler and the kubelet.

Each controller brings the stored objects one step nearer to what they ask for; the cluster calls all of them again until
none changes anything, and then after each change.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable

from kubechain.kube.objects import OWN_CONTAINERS, Json
from tests.hostile.addresses import NODES
from tests.hostile.admission import admitted
from tests.hostile.containers import service_variables
from tests.hostile.core import Core
from tests.hostile.store import Refused, key_of, owner_of, selected

HASH = "pod-template-hash"
ANNOTATION = "deployment.kubernetes.io/"
OWNERS = {"Deployment": "apps/v1", "ReplicaSet": "apps/v1", "Service": "v1"}


def owned_by(owner: Json) -> list[Json]:
    """Return the owner references of an object that `owner` controls."""
    kind, metadata = owner["kind"], owner["metadata"]
    reference = {"apiVersion": OWNERS[kind], "kind": kind, "name": metadata["name"], "uid": metadata["uid"]}
    return [{**reference, "controller": True, "blockOwnerDeletion": True}]


def _condition(core: Core, kind: str, status: str, reason: str = "", **rest: str) -> Json:
    when = core.store.timestamp()
    return {"type": kind, "status": status, "reason": reason, "lastTransitionTime": when, "lastUpdateTime": when, **rest}


def _set_conditions(status: Json, *conditions: Json) -> None:
    """Replace conditions of the same type that have another status or reason."""
    present: dict[str, Json] = {each["type"]: each for each in status.get("conditions", [])}
    for new in conditions:
        old = present.get(new["type"], {})
        if (old.get("status"), old.get("reason")) != (new["status"], new["reason"]):
            present[new["type"]] = new
    status["conditions"] = list(present.values())


def is_ready(pod: Json) -> bool:
    """Whether a Pod is ready and not being deleted."""
    conditions: list[Json] = pod["status"].get("conditions", [])
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def is_active(pod: Json) -> bool:
    """Whether a controller counts a Pod: it is neither over nor being deleted."""
    return pod["status"].get("phase") != "Failed" and not pod["metadata"].get("deletionTimestamp")


def _controlled(core: Core, kind: str, owner: Json) -> list[Json]:
    uid, space = owner["metadata"]["uid"], owner["metadata"]["namespace"]
    return [each for each in core.store.all(kind, space) if owner_of(each).get("uid") == uid]


def deployments(core: Core) -> None:
    """Make the ReplicaSet of each Deployment, and report its counts."""
    for deployment in core.store.all("Deployment"):
        if deployment["metadata"].get("deletionTimestamp"):
            continue
        sets = _controlled(core, "ReplicaSet", deployment)
        if not sets:
            core.store.create(_replica_set(deployment))
            continue
        replicas = deployment["spec"]["replicas"]
        if sets[0]["spec"]["replicas"] != replicas:
            core.store.modify(key_of(sets[0]), lambda body, replicas=replicas: body["spec"].update(replicas=replicas))
        ready = sum(each["status"].get("readyReplicas", 0) for each in sets)
        made = sum(each["status"].get("replicas", 0) for each in sets)

        def report(body: Json, ready: int = ready, made: int = made, replicas: int = replicas) -> None:
            body["metadata"].setdefault("annotations", {})[ANNOTATION + "revision"] = "1"
            status = body["status"]
            status |= {"observedGeneration": body["metadata"]["generation"], "replicas": made, "updatedReplicas": made}
            counts = {"readyReplicas": ready, "availableReplicas": ready, "unavailableReplicas": replicas - ready}
            status |= counts
            for name in [name for name, count in counts.items() if not count]:
                del status[name]
            up = ready >= replicas
            available = ("True", "MinimumReplicasAvailable") if up else ("False", "MinimumReplicasUnavailable")
            progress = "NewReplicaSetAvailable" if up else "ReplicaSetUpdated"
            _set_conditions(status, _condition(core, "Available", *available), _condition(core, "Progressing", "True", progress))

        core.store.modify(key_of(deployment), report)


def _replica_set(deployment: Json) -> Json:
    spec, metadata = deployment["spec"], deployment["metadata"]
    digest = hashlib.sha256(json.dumps(spec["template"], sort_keys=True).encode()).hexdigest()[:10]
    template: Json = {**spec["template"], "metadata": {"labels": {**spec["template"]["metadata"]["labels"], HASH: digest}}}
    replicas = spec["replicas"]
    numbers = {"revision": 1, "desired-replicas": replicas, "max-replicas": replicas + math.ceil(replicas / 4)}
    labels = template["metadata"]["labels"]
    return {
        "kind": "ReplicaSet",
        "apiVersion": "apps/v1",
        "metadata": {
            "name": f"{metadata['name']}-{digest}",
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": {ANNOTATION + name: str(number) for name, number in numbers.items()},
            "ownerReferences": owned_by(deployment),
        },
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
        "status": {"replicas": 0},
    }


def replica_sets(core: Core) -> None:
    """Make as many Pods as each ReplicaSet asks for, and report their counts."""
    for owner in core.store.all("ReplicaSet"):
        if owner["metadata"].get("deletionTimestamp"):
            continue
        pods = [pod for pod in _controlled(core, "Pod", owner) if is_active(pod)]
        failure: list[Json] = []
        for pod in pods[owner["spec"]["replicas"] :]:
            core.store.delete(key_of(pod))
        for _ in range(owner["spec"]["replicas"] - len(pods)):
            template, name = owner["spec"]["template"], f"{owner['metadata']['name']}-{core.suffix()}"
            metadata = {"name": name, "namespace": owner["metadata"]["namespace"], "ownerReferences": owned_by(owner)}
            labels = template["metadata"]["labels"]
            pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {**metadata, "labels": labels}, "spec": template["spec"]}
            try:
                core.store.create(core.mutate(admitted(core.store, core.addresses, pod, None)))
            except Refused as refused:
                failure = [_condition(core, "ReplicaFailure", "True", "FailedCreate", message=refused.message)]
                break
        ready = sum(map(is_ready, pods))

        def report(body: Json, made: int = len(pods), ready: int = ready, failure: list[Json] = failure) -> None:
            counts = {"replicas": made, "fullyLabeledReplicas": made, "readyReplicas": ready, "availableReplicas": ready}
            before: Json = body["status"]
            body["status"] = {**counts, "observedGeneration": body["metadata"]["generation"]}
            if failure:
                body["status"]["conditions"] = before.get("conditions") or failure

        core.store.modify(key_of(owner), report)


def scheduler(core: Core) -> None:
    """Bind each Pod to the Node with the fewest Pods."""
    for pod in core.store.all("Pod"):
        if pod["spec"].get("nodeName"):
            continue
        places = [other["spec"].get("nodeName") for other in core.store.all("Pod")]
        fitting = [number for number in range(1, NODES + 1) if _fits(core, pod, core.node_name(number))]
        if not fitting:
            why = f"0/{NODES} nodes are available: {core.full or f'{NODES} node(s) had untolerated taint(s)'}."
            unbound = _condition(core, "PodScheduled", "False", "Unschedulable", message=why)
            core.store.modify(key_of(pod), lambda body, unbound=unbound: _set_conditions(body["status"], unbound))
            continue
        node = min(fitting, key=lambda number: (places.count(core.node_name(number)), number))

        def bind(body: Json, node: int = node) -> None:
            body["spec"]["nodeName"] = core.node_name(node)
            _set_conditions(body["status"], _condition(core, "PodScheduled", "True"))

        core.store.modify(key_of(pod), bind)
        core.event(pod, "Scheduled", f"bound to {core.node_name(node)}")


def _fits(core: Core, pod: Json, name: str) -> bool:
    """Whether a Pod has the labels of a Node in its nodeSelector, and tolerates its taints, and the Node is not full."""
    node = core.store.required(("Node", "", name))
    selector: dict[str, str] = pod["spec"].get("nodeSelector", {})
    tolerated = {toleration.get("key") for toleration in pod["spec"].get("tolerations", [])}
    taints: list[Json] = node["spec"].get("taints", [])
    return not core.full and selected(node, selector) and all(taint["key"] in tolerated for taint in taints)


def kubelet(core: Core) -> None:
    """Run the Pods of all Nodes: start their containers, report their state, and end those that are deleted."""
    for pod in core.store.all("Pod"):
        node = pod["spec"].get("nodeName")
        if not node:
            continue
        if pod["metadata"].get("deletionTimestamp"):
            core.network.stop(pod["metadata"]["uid"])
            core.store.remove(key_of(pod))
        elif core.turned_away and owner_of(pod) and pod["status"]["phase"] == "Pending":
            core.turned_away -= 1
            why = {"phase": "Failed", "reason": "OutOfpods", "message": "Node didn't have enough resource: pods"}
            core.store.modify(key_of(pod), lambda body, why=why: body["status"].update(why))
        elif core.absent in [container["image"] for container in pod["spec"]["containers"]]:
            statuses: list[Json] = pod["status"].get("containerStatuses", [])
            if not statuses or statuses[0]["state"]["waiting"]["reason"] == "ErrImagePull":
                core.event(pod, "Failed", "Error: ErrImagePull")
            core.store.modify(key_of(pod), lambda body: _unpulled(core, body))
        elif pod["status"]["phase"] == "Pending":
            core.store.modify(key_of(pod), _started(core, pod, int(node.rpartition("-")[2])))
            for reason in ("Pulled", "Created", "Started"):
                core.event(pod, reason, f"container of {pod['metadata']['name']}")
        elif is_active(pod) and not is_ready(pod) and all(core.passes(container) for container in pod["spec"]["containers"]):
            core.store.modify(key_of(pod), lambda body: _report(core, body, ready=True))


def _started(core: Core, pod: Json, node: int) -> Callable[[Json], None]:
    taken = [other["status"].get("podIP", "") for other in core.store.all("Pod")]
    address = core.addresses.pod(node, taken)
    space = pod["metadata"]["namespace"] if pod["spec"].get("enableServiceLinks", True) else "default"
    core.environments[pod["metadata"]["uid"]] = service_variables(core.store, space)
    containers = pod["spec"]["containers"]
    for port in (port for each in containers if each["name"] in OWN_CONTAINERS for port in each.get("ports", [])):
        core.network.serve(pod["metadata"]["uid"], pod["metadata"]["name"], address, port["containerPort"])

    def start(body: Json) -> None:
        host, places = core.addresses.each(core.addresses.node(node))[0], core.addresses.each(address)
        asks = any(each.get("resources") for each in containers)
        body["status"] |= {"qosClass": "Burstable" if asks else "BestEffort"}
        body["status"] |= {"phase": "Running", "podIP": places[0], "podIPs": [{"ip": each} for each in places], "hostIP": host}
        _report(core, body, ready=False)

    return start


def _unpulled(core: Core, body: Json) -> None:
    container = body["spec"]["containers"][0]
    pull = f'failed to pull and unpack image "{container["image"]}": not found'
    waiting = {"reason": "ErrImagePull", "message": pull}
    if "containerStatuses" in body["status"]:
        waiting = {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{container["image"]}"'}
    status = {"name": container["name"], "image": container["image"], "imageID": "", "restartCount": 0, "ready": False}
    body["status"]["containerStatuses"] = [{**status, "state": {"waiting": waiting}, "lastState": {}}]
    _set_conditions(
        body["status"], *[_condition(core, kind, "False", "ContainersNotReady") for kind in ("ContainersReady", "Ready")]
    )


def _report(core: Core, body: Json, *, ready: bool) -> None:
    now = core.store.timestamp()
    body["status"]["containerStatuses"] = [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": f"{container['image']}@sha256:{hashlib.sha256(container['image'].encode()).hexdigest()}",
            "restartCount": 0,
            "ready": ready,
            "state": {"running": {"startedAt": now}},
            "lastState": {},
        }
        for container in body["spec"]["containers"]
    ]
    value = "True" if ready else "False"
    why = "" if ready else "ContainersNotReady"
    conditions = [_condition(core, "Initialized", "True")]
    conditions += [_condition(core, kind, value, why) for kind in ("ContainersReady", "Ready")]
    _set_conditions(body["status"], *conditions)


def garbage(core: Core) -> None:
    """Delete the objects whose owners do not exist."""
    with core.store.changed:
        uids = {body["metadata"]["uid"] for body in core.store.objects.values()}
        for key, body in list(core.store.objects.items()):
            owners: list[Json] = body["metadata"].get("ownerReferences") or []
            if owners and not any(owner["uid"] in uids for owner in owners) and not body["metadata"].get("deletionTimestamp"):
                core.store.delete(key)


def namespaces(core: Core) -> None:
    """Furnish each new namespace, and empty each one that is being deleted."""
    for space in core.store.all("Namespace"):
        name = space["metadata"]["name"]
        if not space["metadata"].get("deletionTimestamp"):
            certificate = {"apiVersion": "v1", "data": {"ca.crt": core.ca}}
            for kind, key, rest in (("ServiceAccount", "default", Json()), ("ConfigMap", "kube-root-ca.crt", certificate)):
                if core.store.get(kind, name, key) is None:
                    core.store.create({"kind": kind, "apiVersion": "v1", "metadata": {"name": key, "namespace": name}, **rest})
            continue
        content = [key for key in list(core.store.objects) if key[1] == name]
        for key in content:
            if key in core.store.objects and not core.store.objects[key]["metadata"].get("deletionTimestamp"):
                core.store.delete(key)
        if not content and space["spec"].get("finalizers") == ["kubernetes"] and not space["metadata"].get("finalizers"):
            core.store.modify(key_of(space), lambda body: body["spec"].pop("finalizers"))


def matching(core: Core, namespace: str, selector: dict[str, str]) -> list[Json]:
    """Return the Pods of a namespace that a selector matches and that have an address."""
    return [pod for pod in core.store.all("Pod", namespace) if selected(pod, selector) and pod["status"].get("podIP")]
