"""Conditions on Pods (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping

from kubechain.conditions.condition import Condition, Result, equal, expect, fields, hopeless, unmet
from kubechain.conditions.objects import one
from kubechain.conditions.text import counted, field, some, text
from kubechain.conditions.timeouts import CONTROLLER, DELETION, PODS_READY, RESCHEDULED
from kubechain.kube.objects import Json, KubeObject, NamespaceState, names

READY_CONDITIONS = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
# Waiting reasons that no amount of waiting heals, because what the Pod asks for does not exist or cannot run.
HOPELESS = {"ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError"}
# Of the Pods that are not ready, a message tells the state of this many.
MOST_PODS = 3


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
    """Say why a Pod cannot start by itself, None if it may."""
    statuses: list[Json] = pod.at("status.containerStatuses", [])
    for status in statuses:
        waiting: Json = status.get("state", {}).get("waiting", {})
        if waiting.get("reason") in HOPELESS:
            return f"{waiting['reason']}: {waiting.get('message', '')}"
    return None


def not_running(pod: KubeObject) -> list[str]:
    """Say of each container of a Pod that does not run why: "nginx: ErrImagePull", "nginx: CrashLoopBackOff after OOMKilled"."""
    statuses: list[Json] = pod.at("status.containerStatuses", [])
    found = [(each["name"], _reason(each.get("state", {})), _reason(each.get("lastState", {}))) for each in statuses]
    return [f"{name}: {now} after {last}" if last else f"{name}: {now}" for name, now, last in found if now]


def _reason(state: Json) -> str:
    return str(next((each.get("reason", "") for kind, each in state.items() if kind in ("waiting", "terminated")), ""))


def progress(pod: KubeObject) -> str:
    """Say how far a Pod has come: "Ready is False (containers with unready status: [nginx])"."""
    for kind in READY_CONDITIONS:
        condition = pod.condition(kind)
        if condition.get("status") != "True":
            why = condition.get("message") or condition.get("reason") or "not reported"
            return f"{kind} is {condition.get('status', 'absent')} ({'; '.join([why, *not_running(pod)])})"
    return "being deleted" if pod.deleting else "ready"


def why_not_ready(pod: KubeObject) -> str:
    """Say how far a Pod has come, by its name."""
    return f"{pod.name}: {progress(pod)}"


def exactly_ready(labels: Mapping[str, str], count: int) -> Condition[NamespaceState]:
    """Exactly `count` Pods have these labels, and all are ready; hopeless when one cannot start."""

    def check(state: NamespaceState) -> Result:
        pods = state.all("Pod", labels)
        lost = [f"{pod.name}: {why}" for pod in pods if (why := stuck(pod))]
        if lost:
            return hopeless(lost[0])
        waiting = [why_not_ready(pod) for pod in pods if not is_ready(pod)]
        ready = f"{len(pods) - len(waiting)} of {len(pods)} ready"
        if waiting:
            return unmet(f"{ready}: {some(waiting, '; ', MOST_PODS)}")
        return expect(len(pods) == count, ready)

    return Condition(f"exactly {count} ready Pods with {text(labels)}", check, PODS_READY)


def ready(name: str) -> Condition[NamespaceState]:
    """The Pod of that name is ready; hopeless when it cannot start."""

    def check(pod: KubeObject) -> Result:
        lost = stuck(pod)
        return hopeless(lost) if lost else expect(is_ready(pod), progress(pod))

    return one("Pod", name, "ready", check, PODS_READY)


def each(labels: Mapping[str, str], what: str, check: Callable[[KubeObject], Result]) -> Condition[NamespaceState]:
    """There are Pods with these labels, and each passes `check`."""

    def check_all(state: NamespaceState) -> Result:
        results = [check(pod).of(f"Pod {pod.name} with") for pod in state.all("Pod", labels)]
        return next((result for result in results if not result.met), expect(bool(results), "no Pods"))

    return Condition(f"each Pod ({text(labels)}) {what}", check_all, CONTROLLER)


def on_nodes(labels: Mapping[str, str], addresses: Mapping[str, str]) -> Condition[NamespaceState]:
    """Each Pod is bound to one of the Nodes and reports its address as hostIP; `addresses` is node name -> address."""

    def check(pod: KubeObject) -> Result:
        node = pod.at("spec.nodeName")
        if node not in addresses:
            return unmet(text(node), f"spec.nodeName among {text(sorted(addresses))}")
        return equal("status.hostIP", pod.at("status.hostIP"), addresses[node])

    return each(labels, "bound to a Node, at its address", check)


def conditions_true(labels: Mapping[str, str]) -> Condition[NamespaceState]:
    """Each Pod reports READY_CONDITIONS as True."""
    what = f"{', '.join(READY_CONDITIONS)} True"
    return each(
        labels,
        f"with {what}",
        lambda pod: expect(all(map(pod.is_true, READY_CONDITIONS)), progress(pod), what),
    )


def same_and_ready(*wanted: KubeObject) -> Condition[NamespaceState]:
    """Each of these Pods is still there under its UID, ready, and not restarted."""

    def check(state: NamespaceState) -> Result:
        for before in wanted:
            now = state.one("Pod", before.name)
            if now is None or now.uid != before.uid:
                return hopeless(f"{before.name} with UID {now.uid} instead of {before.uid}" if now else f"no Pod {before.name}")
            if not is_ready(now):
                return unmet(why_not_ready(now))
            if restarts(now) != restarts(before):
                return unmet(f"{now.name} with restartCount {restarts(now)} instead of {restarts(before)}")
        return expect(bool(wanted), "no Pod to look at")

    return Condition(f"Pods {names(wanted)} to stay, ready and without a restart", check, CONTROLLER)


def in_pod_cidr(labels: Mapping[str, str], cidrs: Mapping[str, list[str]]) -> Condition[NamespaceState]:
    """Each Pod's IP lies in a podCIDR of its node, and no two share one; `cidrs` is node name -> spec.podCIDRs."""

    def check(state: NamespaceState) -> Result:
        pods = state.all("Pod", labels)
        addresses = [str(pod.at("status.podIP", "")) for pod in pods]
        for pod, address in zip(pods, addresses, strict=True):
            ranges = cidrs.get(str(pod.at("spec.nodeName")), [])
            inside = [cidr for cidr in ranges if address and ipaddress.ip_address(address) in ipaddress.ip_network(cidr)]
            if not inside:
                return unmet(address or "none", f"Pod {pod.name} with status.podIP in the podCIDRs of its Node ({text(ranges)})")
        return expect(bool(pods) and len(set(addresses)) == len(pods), text(addresses))

    return Condition(f"Pods with {text(labels)} to have one podIP each, in the podCIDR of its Node", check, CONTROLLER)


def never_restarted(labels: Mapping[str, str]) -> Condition[NamespaceState]:
    """There are Pods with these labels, all containers run, and none was ever restarted."""

    def check(state: NamespaceState) -> Result:
        pods = state.all("Pod", labels)
        again = [f"{pod.name} with restartCount {restarts(pod)}" for pod in pods if restarts(pod)]
        if again:
            return hopeless(some(again))
        phases = {pod.at("status.phase") for pod in pods}
        if phases != {"Running"}:
            return unmet(f"status.phase {text(phases)}")
        idle = [pod.name for pod in pods if not all(map(runs, pod.at("status.containerStatuses") or [Json()]))]
        return expect(not idle, f"a container that does not run in {some(idle)}")

    return Condition(f"Pods with {text(labels)} Running, without a restart", check, CONTROLLER)


def gone(kind: str, uids: frozenset[str]) -> Condition[NamespaceState]:
    """None of the objects with these UIDs is left."""

    def check(state: NamespaceState) -> Result:
        left = [o.name for o in state.all(kind) if o.uid in uids]
        return expect(bool(uids) and not left, f"{some(left)} still there" if uids else f"no {kind} to look for")

    return Condition(f"{counted(len(uids), kind)} gone", check, DELETION)


def controlled_count(uid: str, count: int) -> Condition[NamespaceState]:
    """Exactly `count` Pods have the object with that UID as their controller."""

    def check(state: NamespaceState) -> Result:
        mine = [pod for pod in state.all("Pod") if (pod.controller or {}).get("uid") == uid]
        return expect(len(mine) == count, _counted(mine))

    return Condition(f"exactly {count} Pods controlled by UID {uid}", check, PODS_READY)


def count(labels: Mapping[str, str], number: int) -> Condition[NamespaceState]:
    """Exactly `number` Pods have these labels, ready or not."""

    def check(state: NamespaceState) -> Result:
        pods = state.all("Pod", labels)
        return expect(len(pods) == number, _counted(pods))

    return Condition(f"{f'exactly {number}' if number else 'no'} Pods with {text(labels)}", check, DELETION)


def _counted(pods: Iterable[KubeObject]) -> str:
    found = [pod.name for pod in pods]
    return f"{len(found)} ({some(found)})" if found else "0"


def with_values(labels: Mapping[str, str], wanted: Mapping[str, object]) -> Condition[NamespaceState]:
    """Each Pod with these labels has the `wanted` value at each dotted path."""
    what = f"with {some([field(*entry) for entry in wanted.items()])}"
    return each(labels, what, lambda pod: fields({path: pod.at(path) for path in wanted}, wanted))


def tolerating(seconds: Mapping[str, int], labels: Mapping[str, str]) -> Condition[NamespaceState]:
    """Each Pod tolerates these NoExecute taints of a Node's condition (such as "not-ready") for so many seconds."""
    wanted = {f"tolerationSeconds of {key}": value for key, value in seconds.items()}

    def check(pod: KubeObject) -> Result:
        tolerations: list[Json] = pod.at("spec.tolerations", [])
        found = {
            f"tolerationSeconds of {t.get('key', '').removeprefix('node.kubernetes.io/')}": t.get("tolerationSeconds")
            for t in tolerations
            if t.get("effect") == "NoExecute" and t.get("operator") == "Exists"
        }
        return fields({name: found.get(name) for name in wanted}, wanted)

    return each(labels, f"with {some([field(*entry) for entry in wanted.items()])}", check)


def with_projected_token(labels: Mapping[str, str]) -> Condition[NamespaceState]:
    """Each Pod has a volume that projects a token which expires, the CA of the API server, and the namespace."""
    what = "a projected token that expires within a day, ConfigMap kube-root-ca.crt and metadata.namespace"

    def check(pod: KubeObject) -> Result:
        sources: list[Json] = [
            source for volume in pod.at("spec.volumes", []) for source in volume.get("projected", {}).get("sources", [])
        ]
        lives = [source["serviceAccountToken"].get("expirationSeconds") for source in sources if "serviceAccountToken" in source]
        maps = [source["configMap"]["name"] for source in sources if "configMap" in source]
        paths = [i["fieldRef"]["fieldPath"] for s in sources for i in s.get("downwardAPI", {}).get("items", [])]
        expires = [0 < (seconds or 0) <= 86400 for seconds in lives]
        complete = expires == [True] and maps == ["kube-root-ca.crt"] and paths == ["metadata.namespace"]
        tokens = f"{len(lives)} projected tokens (expirationSeconds {text(lives)})"
        return expect(complete, f"{tokens}, ConfigMaps {text(maps)}, fields {text(paths)}", what)

    return each(labels, f"with {what}", check)


def serving_elsewhere(labels: Mapping[str, str], node: str, number: int) -> Condition[NamespaceState]:
    """Exactly `number` Pods with these labels are ready and not ending, none of them on that Node."""

    def check(state: NamespaceState) -> Result:
        places = [str(pod.at("spec.nodeName")) for pod in ready_pods(state, labels)]
        return expect(len(places) == number and node not in places, f"{len(places)} on {text(places)}")

    return Condition(f"exactly {number} ready Pods with {text(labels)}, none on {node}", check, RESCHEDULED)
