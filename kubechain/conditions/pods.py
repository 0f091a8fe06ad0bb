"""Conditions on Pods (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping

from kubechain.conditions.condition import Condition, Result, equal, expect, hopeless, met, unmet
from kubechain.conditions.objects import one
from kubechain.kube.objects import Json, KubeObject, NamespaceState, names

READY_CONDITIONS = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
# Waiting reasons that no amount of waiting heals, because what the Pod asks for does not exist or cannot run.
HOPELESS = {"ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError"}


def is_ready(pod: KubeObject) -> bool:
    """Whether a Pod counts as ready to serve: its Ready condition is True and it is not being deleted."""
    return pod.is_true("Ready") and not pod.deleting


def ready_pods(state: NamespaceState, labels: Mapping[str, str]) -> tuple[KubeObject, ...]:
    """Return the ready Pods with these labels."""
    return tuple(pod for pod in state.all("Pod", labels) if is_ready(pod))


def restarts(pod: KubeObject) -> int:
    """Return the number of restarts of all containers of a Pod."""
    statuses: list[Json] = pod.at("status.containerStatuses", [])
    return sum(int(status["restartCount"]) for status in statuses)


def runs(status: Json) -> bool:
    """Whether a container runs, by its status."""
    return "running" in status.get("state", {})


def stuck(pod: KubeObject) -> str | None:
    """Say why a Pod will not start by itself, None if it may."""
    statuses: list[Json] = pod.at("status.containerStatuses", [])
    for status in statuses:
        waiting: Json = status.get("state", {}).get("waiting", {})
        if waiting.get("reason") in HOPELESS:
            return f"{pod.name}: {waiting['reason']}: {waiting.get('message', '')}"
    return None


def not_running(pod: KubeObject) -> list[str]:
    """Say of each container of a Pod that does not run why: "nginx: ErrImagePull", "nginx: CrashLoopBackOff after OOMKilled"."""
    statuses: list[Json] = pod.at("status.containerStatuses", [])
    found = [(each["name"], _reason(each.get("state", {})), _reason(each.get("lastState", {}))) for each in statuses]
    return [f"{name}: {now} after {last}" if last else f"{name}: {now}" for name, now, last in found if now]


def _reason(state: Json) -> str:
    return str(next((each.get("reason", "") for kind, each in state.items() if kind in ("waiting", "terminated")), ""))


def why_not_ready(pod: KubeObject) -> str:
    """Say how far a Pod has come."""
    for kind in READY_CONDITIONS:
        condition = pod.condition(kind)
        if condition.get("status") != "True":
            why = condition.get("message") or condition.get("reason") or "not reported"
            return f"{pod.name}: {kind} is {condition.get('status', 'absent')} ({'; '.join([why, *not_running(pod)])})"
    return f"{pod.name}: being deleted" if pod.deleting else f"{pod.name}: ready"


def exactly_ready(labels: Mapping[str, str], count: int) -> Condition[NamespaceState]:
    """Exactly `count` Pods have these labels, and all are ready; hopeless when one cannot start."""

    def check(state: NamespaceState) -> Result:
        pods = state.all("Pod", labels)
        lost = next(filter(None, map(stuck, pods)), None)
        if lost:
            return hopeless(lost)
        waiting = [why_not_ready(pod) for pod in pods if not is_ready(pod)]
        if waiting:
            return unmet(f"{len(pods) - len(waiting)}/{count} Pods ready; {'; '.join(waiting)}")
        return equal("number of ready Pods", len(pods), count)

    return Condition(f"{count} Pods ready", check)


def ready(name: str) -> Condition[NamespaceState]:
    """The Pod of that name is ready; hopeless when it cannot start."""

    def check(pod: KubeObject) -> Result:
        lost = stuck(pod)
        return hopeless(lost) if lost else expect(is_ready(pod), why_not_ready(pod))

    return one("Pod", name, "ready", check)


def each(labels: Mapping[str, str], what: str, check: Callable[[KubeObject], Result]) -> Condition[NamespaceState]:
    """There are Pods with these labels, and each is as `judge` wants it."""

    def judge_all(state: NamespaceState) -> Result:
        pods = state.all("Pod", labels)
        results = [check(pod) for pod in pods]
        if not results:
            return unmet("there are no Pods")
        return next((v for v in results if not v.met), met())

    return Condition(f"each Pod {what}", judge_all)


def on_nodes(labels: Mapping[str, str], addresses: Mapping[str, str]) -> Condition[NamespaceState]:
    """Each Pod is bound to one of the Nodes and reports its address as hostIP; `addresses` is node name -> address."""

    def check(pod: KubeObject) -> Result:
        node = str(pod.at("spec.nodeName"))
        if node not in addresses:
            return unmet(f"{pod.name} is bound to {node}, the Nodes are {sorted(addresses)}")
        return equal(f"{pod.name}: hostIP", pod.at("status.hostIP"), addresses[node])

    return each(labels, "bound to a Node", check)


def conditions_true(labels: Mapping[str, str]) -> Condition[NamespaceState]:
    """Each Pod reports READY_CONDITIONS as True."""
    return each(
        labels,
        f"with {', '.join(READY_CONDITIONS)}",
        lambda pod: expect(all(map(pod.is_true, READY_CONDITIONS)), why_not_ready(pod)),
    )


def image_ids(pods: Iterable[KubeObject]) -> set[str]:
    """Return the imageIDs of all containers of the Pods."""
    # A Pod that reports no container counts as one without an imageID.
    statuses: list[Json] = [status for pod in pods for status in pod.at("status.containerStatuses") or [Json()]]
    return {str(status.get("imageID", "")) for status in statuses}


def run_image(labels: Mapping[str, str], image: str) -> Condition[NamespaceState]:
    """Each Pod asks for `image`, and all report one imageID for it."""

    def check(state: NamespaceState) -> Result:
        pods = state.all("Pod", labels)
        asked: set[str] = {container["image"] for pod in pods for container in pod.at("spec.containers")}
        result = equal("images of the Pods", asked, {image})
        seen = image_ids(pods)
        return result if not result.met else expect(len(seen) == 1 and "" not in seen, f"imageIDs are {seen}")

    return Condition(f"Pods run {image}", check)


def run_image_of(labels: Mapping[str, str], digests: frozenset[str]) -> Condition[NamespaceState]:
    """Every imageID of the Pods ends with one of these digests."""

    def check(state: NamespaceState) -> Result:
        seen = {each.rpartition("@")[2] for each in image_ids(state.all("Pod", labels))}
        return expect(bool(seen) and seen <= digests, f"imageIDs are {sorted(seen)}, not of {sorted(digests)}")

    return Condition("Pods run the image that was loaded", check)


def same_and_ready(*wanted: KubeObject) -> Condition[NamespaceState]:
    """Each of these Pods is still there under its UID, ready, and not restarted."""

    def check(state: NamespaceState) -> Result:
        for before in wanted:
            now = state.one("Pod", before.name)
            if now is None or now.uid != before.uid:
                return hopeless(f"{before.name} was {before.uid}, now {now.uid if now else 'gone'}")
            if not is_ready(now) or restarts(now) != restarts(before):
                return unmet(f"{why_not_ready(now)}, {restarts(now)} restarts")
        return expect(bool(wanted), "no Pod was named")

    return Condition(f"{names(wanted)} untouched", check)


def in_pod_cidr(labels: Mapping[str, str], cidrs: Mapping[str, list[str]]) -> Condition[NamespaceState]:
    """Each Pod's IP lies in a podCIDR of its node, and no two share one; `cidrs` is node name -> spec.podCIDRs."""

    def check(state: NamespaceState) -> Result:
        pods = state.all("Pod", labels)
        addresses = [str(pod.at("status.podIP", "")) for pod in pods]
        for pod, address in zip(pods, addresses, strict=True):
            if not address:
                return unmet(f"{pod.name} has no podIP")
            ranges = cidrs.get(str(pod.at("spec.nodeName")), [])
            if not any(ipaddress.ip_address(address) in ipaddress.ip_network(cidr) for cidr in ranges):
                return unmet(f"{pod.name}: podIP {address} is not in {ranges} of its node")
        return expect(bool(pods) and len(set(addresses)) == len(pods), f"podIPs are {addresses}")

    return Condition("each podIP in its node's podCIDR", check)


def never_restarted(labels: Mapping[str, str]) -> Condition[NamespaceState]:
    """There are Pods with these labels, all containers run, and none was ever restarted."""

    def check(state: NamespaceState) -> Result:
        pods = state.all("Pod", labels)
        again = [f"{pod.name}: {restarts(pod)}" for pod in pods if restarts(pod)]
        if again:
            return hopeless(f"restarts: {', '.join(again)}")
        phases = {pod.at("status.phase") for pod in pods}
        result = equal("phases of the Pods", phases, {"Running"})
        idle = [pod.name for pod in pods if not all(map(runs, pod.at("status.containerStatuses") or [Json()]))]
        return result if not result.met else expect(not idle, f"with a container that does not run: {idle}")

    return Condition("Pods running without a restart", check)


def gone(kind: str, uids: frozenset[str]) -> Condition[NamespaceState]:
    """None of the objects with these UIDs is left."""

    def check(state: NamespaceState) -> Result:
        left = [o for o in state.all(kind) if o.uid in uids]
        return expect(bool(uids) and not left, f"still there: {names(left)}" if uids else f"no {kind} was named")

    return Condition(f"{len(uids)} {kind}{'s' if len(uids) != 1 else ''} gone", check)


def controlled_count(uid: str, count: int) -> Condition[NamespaceState]:
    """Exactly `count` Pods have the object with that UID as their controller."""

    def check(state: NamespaceState) -> Result:
        mine = [pod for pod in state.all("Pod") if (pod.controller or {}).get("uid") == uid]
        return equal("number of controlled Pods", len(mine), count)

    return Condition(f"{count} Pods controlled", check)


def count(labels: Mapping[str, str], number: int) -> Condition[NamespaceState]:
    """Exactly `number` Pods have these labels, ready or not."""
    return Condition(f"{number} Pods", lambda state: equal("number of Pods", len(state.all("Pod", labels)), number))


def with_values(labels: Mapping[str, str], wanted: Mapping[str, object]) -> Condition[NamespaceState]:
    """Each Pod with these labels has the `wanted` value at each dotted path."""

    def check(pod: KubeObject) -> Result:
        return equal(pod.name, {path: pod.at(path) for path in wanted}, dict(wanted))

    return each(labels, f"with {', '.join(wanted)} as promised", check)


def tolerating(seconds: Mapping[str, int], labels: Mapping[str, str]) -> Condition[NamespaceState]:
    """Each Pod tolerates these NoExecute taints of a Node's condition (such as "not-ready") for so many seconds."""

    def check(pod: KubeObject) -> Result:
        tolerations: list[Json] = pod.at("spec.tolerations", [])
        found = {
            t.get("key", "").removeprefix("node.kubernetes.io/"): t.get("tolerationSeconds")
            for t in tolerations
            if t.get("effect") == "NoExecute" and t.get("operator") == "Exists"
        }
        return equal(f"{pod.name}: tolerations", {key: found.get(key) for key in seconds}, dict(seconds))

    return each(labels, "tolerating a lost Node for a while", check)


def with_projected_token(labels: Mapping[str, str]) -> Condition[NamespaceState]:
    """Each Pod has a volume that projects a token which expires, the CA of the API server, and the namespace."""

    def check(pod: KubeObject) -> Result:
        sources: list[Json] = [
            source for volume in pod.at("spec.volumes", []) for source in volume.get("projected", {}).get("sources", [])
        ]
        tokens = [source["serviceAccountToken"] for source in sources if "serviceAccountToken" in source]
        maps = [source["configMap"]["name"] for source in sources if "configMap" in source]
        fields = [i["fieldRef"]["fieldPath"] for s in sources for i in s.get("downwardAPI", {}).get("items", [])]
        expires = [0 < token.get("expirationSeconds", 0) <= 86400 for token in tokens]
        complete = expires == [True] and maps == ["kube-root-ca.crt"] and fields == ["metadata.namespace"]
        return expect(complete, f"{pod.name}: projected are {tokens}, {maps}, {fields}")

    return each(labels, "with a projected token", check)


def serving_elsewhere(labels: Mapping[str, str], node: str, number: int) -> Condition[NamespaceState]:
    """Exactly `number` Pods with these labels are ready and not ending, none of them on that Node."""

    def check(state: NamespaceState) -> Result:
        places = [str(pod.at("spec.nodeName")) for pod in ready_pods(state, labels)]
        return expect(len(places) == number and node not in places, f"ready Pods are on {places}")

    return Condition(f"{number} Pods ready away from {node}", check)
