"""Conditions on Pods (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Iterable, Mapping

from kubechain.conditions.condition import Condition, Result, expect, fields, hopeless, unmet
from kubechain.conditions.objects import events_of
from kubechain.conditions.text import counted, field, some, text
from kubechain.conditions.timeouts import CONTROLLER, DELETION, PODS_EXACT, PODS_READY, RESCHEDULED
from kubechain.kube.families import pod_addresses
from kubechain.kube.objects import Json, KubeObject, NamespaceState, names

READY_CONDITIONS = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
# With these waiting reasons the Pod's image or configuration does not exist or cannot run: a longer wait does not help.
HOPELESS = {"ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError"}
# The kubelet waits before it pulls an image again. A registry may have been away for a moment, so that two failures count.
BACK_OFF, PULL_FAILED, FAILURES = "ImagePullBackOff", "ErrImagePull", 2
# How the messages of Events begin by which the kubelet says that a pull has ended.
PULL_ENDED = ("Failed to pull image", "Successfully pulled image")
# The runtime could not start the command of a container, as if the image lacks it.
NOT_STARTED = ("StartError", "ContainerCannotRun")
# A message shows the state of at most this many Pods that are not ready.
MOST_PODS = 3


def is_ready(pod: KubeObject) -> bool:
    """Return whether the Pod's Ready condition is True and it has no deletionTimestamp."""
    return pod.is_true("Ready") and not pod.deleting


def lasting(state: NamespaceState, labels: Mapping[str, str] | None = None) -> tuple[KubeObject, ...]:
    """Return the Pods with these labels, without those that are over and stay: a Node has evicted or not taken them.

    One that is over because it is deleted goes in a moment, and counts until then.
    """
    return tuple(pod for pod in state.all("Pod", labels) if pod.deleting or not pod.over)


def ready_pods(state: NamespaceState, labels: Mapping[str, str]) -> tuple[KubeObject, ...]:
    """Return the ready Pods with these labels."""
    return tuple(pod for pod in state.all("Pod", labels) if is_ready(pod))


def restarts(pod: KubeObject) -> int:
    """Return the number of restarts of the containers of a Pod, without sidecars that admission added."""
    return sum(int(status["restartCount"]) for status in pod.own("status.containerStatuses"))


def runs(status: Json) -> bool:
    """Return whether a container status is in state running."""
    return "running" in (status.get("state") or Json())


def stuck(state: NamespaceState, pod: KubeObject) -> str | None:
    """Return the reason and message of a container that waits with a HOPELESS reason, else None.

    A container that was twice not started, or whose image could twice not be pulled, is hopeless as well.
    """
    statuses: list[Json] = pod.at("status.containerStatuses", [])
    for status in statuses:
        waiting: Json = (status.get("state") or Json()).get("waiting") or Json()
        in_vain = waiting.get("reason") == BACK_OFF and failed_pulls(state, pod) >= FAILURES
        if in_vain or waiting.get("reason") in HOPELESS:
            return f"{waiting['reason']}: {waiting.get('message', '')}"
        last: Json = (status.get("lastState") or Json()).get("terminated") or Json()
        if last.get("reason") in NOT_STARTED and status.get("restartCount", 0) > 0 and not runs(status):
            return f"{last['reason']}: {last.get('message', '')}"
    return None


def failed_pulls(state: NamespaceState, pod: KubeObject) -> int:
    """Return how often the kubelet has reported that it cannot pull an image of a Pod, by its Events."""
    return _times(each for each in events_of(state, pod) if PULL_FAILED in str(each.at("message", "")))


def is_pulling(state: NamespaceState, pod: KubeObject) -> bool:
    """Whether the kubelet has begun more pulls for a Pod than have ended, by its Events; one may wait for those of other Pods.

    https://kubernetes.io/docs/concepts/containers/images/#serial-and-parallel-image-pulls
    """
    events = events_of(state, pod)
    ended = (each for each in events if str(each.at("message", "")).startswith(PULL_ENDED))
    return _times(each for each in events if each.at("reason") == "Pulling") > _times(ended)


def _times(events: Iterable[KubeObject]) -> int:
    """Return how often these Events have happened: equal ones are one with a count."""
    return sum(int(each.at("count") or each.at("series.count") or 1) for each in events)


def not_running(pod: KubeObject) -> list[str]:
    """Return why each container that does not run does not: "nginx: ErrImagePull", "nginx: CrashLoopBackOff after OOMKilled"."""
    statuses: list[Json] = pod.at("status.containerStatuses", [])
    reasons = [(each["name"], _reason(each.get("state")), _reason(each.get("lastState"))) for each in statuses]
    return [f"{name}: {now} after {last}" if last else f"{name}: {now}" for name, now, last in reasons if now]


def _reason(state: Json | None) -> str:
    details: list[Json] = [detail for kind, detail in (state or Json()).items() if kind in ("waiting", "terminated") and detail]
    return str(next((detail.get("reason", "") for detail in details), ""))


def progress(pod: KubeObject) -> str:
    """Return the Pod's first condition that is not True: "Ready is False (containers with unready status: [nginx])"."""
    for kind in READY_CONDITIONS:
        condition = pod.condition(kind)
        if condition.get("status") != "True":
            why = condition.get("message") or condition.get("reason") or "not reported"
            return f"{kind} is {condition.get('status', 'absent')} ({'; '.join([why, *not_running(pod)])})"
    return "being deleted" if pod.deleting else "ready"


def why_not_ready(pod: KubeObject) -> str:
    """Return the Pod's name and progress."""
    return f"{pod.name}: {progress(pod)}"


def exactly_ready(labels: Mapping[str, str], count: int) -> Condition[NamespaceState]:
    """Exactly `count` Pods have these labels, and all are ready; hopeless if a container cannot start."""

    def check(state: NamespaceState) -> Result:
        pods = lasting(state, labels)
        all_stuck = [f"{pod.name}: {why}" for pod in pods if (why := stuck(state, pod))]
        if all_stuck:
            return hopeless(all_stuck[0])
        waiting = [why_not_ready(pod) for pod in pods if not is_ready(pod)]
        ready = f"{len(pods) - len(waiting)} of {len(pods)} ready"
        if waiting:
            return unmet(f"{ready}: {some(waiting, '; ', MOST_PODS)}")
        return expect(len(pods) == count, ready)

    return Condition(f"exactly {count} ready Pods with {text(labels)}", check, PODS_EXACT)


def ready(name: str) -> Condition[NamespaceState]:
    """The Pod is ready; hopeless if a container cannot start, or the Pod is over."""

    def check(state: NamespaceState) -> Result:
        pod = state.one("Pod", name)
        if pod is None:
            return unmet(f"no Pod {name}")
        why = stuck(state, pod) or (progress(pod) if pod.over else "")
        return (hopeless(why) if why else expect(is_ready(pod), progress(pod))).of(f"Pod {name} with")

    return Condition(f"Pod {name} ready", check, PODS_READY)


def every_pod(labels: Mapping[str, str], what: str, check: Callable[[KubeObject], Result]) -> Condition[NamespaceState]:
    """At least one Pod has these labels, and each such Pod passes `check`."""

    def check_all(state: NamespaceState) -> Result:
        results = [check(pod).of(f"Pod {pod.name} with") for pod in lasting(state, labels)]
        return next((result for result in results if not result.met), expect(bool(results), "no Pods"))

    return Condition(f"each Pod ({text(labels)}) {what}", check_all, CONTROLLER)


def on_nodes(labels: Mapping[str, str], addresses: Mapping[str, Collection[str]]) -> Condition[NamespaceState]:
    """Each Pod is bound to a Node and has an address of it as hostIP, if it has any; `addresses` is node name -> addresses."""

    def check(pod: KubeObject) -> Result:
        node = pod.at("spec.nodeName")
        known = addresses.get(node)
        if known is None:
            return unmet(text(node), f"spec.nodeName among {text(sorted(addresses))}")
        address = pod.at("status.hostIP")
        return expect(not known or address in known, text(address), f"status.hostIP among {text(sorted(known))}")

    return every_pod(labels, "bound to a Node, at its address", check)


def conditions_true(labels: Mapping[str, str]) -> Condition[NamespaceState]:
    """Each Pod reports READY_CONDITIONS as True."""
    what = f"{', '.join(READY_CONDITIONS)} True"
    return every_pod(
        labels,
        f"with {what}",
        lambda pod: expect(all(map(pod.is_true, READY_CONDITIONS)), progress(pod), what),
    )


def same_and_ready(*wanted: KubeObject) -> Condition[NamespaceState]:
    """Each of these Pods exists with the same UID and restartCount, and is ready; hopeless if it was deleted or replaced."""

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

    return Condition(f"Pods {names(wanted)} to stay, ready and without a restart", check, CONTROLLER, lasting=True)


def in_pod_cidr(labels: Mapping[str, str], cidrs: Mapping[str, list[str]]) -> Condition[NamespaceState]:
    """Each address of a Pod is its own, and in a podCIDR of its Node; `cidrs` is node name -> spec.podCIDRs."""

    def check(state: NamespaceState) -> Result:
        pods, addresses = lasting(state, labels), list[str]()
        for pod in pods:
            ranges = cidrs.get(str(pod.at("spec.nodeName")), [])
            for address in pod_addresses(pod) or [""]:
                if not address or not any(ipaddress.ip_address(address) in ipaddress.ip_network(cidr) for cidr in ranges):
                    expected = f"Pod {pod.name} with status.podIPs in the podCIDRs of its Node ({text(ranges)})"
                    return unmet(address or "none", expected)
                addresses.append(address)
        return expect(bool(pods) and len(set(addresses)) == len(addresses), text(addresses))

    return Condition(f"Pods with {text(labels)} to have one podIP each, in the podCIDR of its Node", check, CONTROLLER)


def never_restarted(labels: Mapping[str, str]) -> Condition[NamespaceState]:
    """Pods with these labels exist, all Running with running containers and a restartCount of 0, whatever sidecars do."""

    def check(state: NamespaceState) -> Result:
        pods = lasting(state, labels)
        restarted = [f"{pod.name} with restartCount {restarts(pod)}" for pod in pods if restarts(pod)]
        if restarted:
            return hopeless(some(restarted))
        phases = {pod.at("status.phase") for pod in pods}
        if phases != {"Running"}:
            return unmet(f"status.phase {text(phases)}")
        idle = [pod.name for pod in pods if not all(map(runs, pod.own("status.containerStatuses") or [Json()]))]
        return expect(not idle, f"a container that does not run in {some(idle)}")

    return Condition(f"Pods with {text(labels)} Running, without a restart", check, CONTROLLER)


def deleted(kind: str, uids: frozenset[str]) -> Condition[NamespaceState]:
    """No object of this kind has one of these UIDs."""

    def check(state: NamespaceState) -> Result:
        left = [o.name for o in state.all(kind) if o.uid in uids]
        return expect(bool(uids) and not left, f"{some(left)} still there" if uids else f"no {kind} to look for")

    return Condition(f"{counted(len(uids), kind)} gone", check, DELETION)


def controlled_count(uid: str, count: int) -> Condition[NamespaceState]:
    """Exactly `count` Pods have the object with this UID as their controller."""

    def check(state: NamespaceState) -> Result:
        controlled = [pod for pod in lasting(state) if (pod.controller or {}).get("uid") == uid]
        return expect(len(controlled) == count, _counted(controlled))

    return Condition(f"exactly {count} Pods controlled by UID {uid}", check, PODS_EXACT)


def count(labels: Mapping[str, str], number: int) -> Condition[NamespaceState]:
    """Exactly `number` Pods have these labels, ready or not."""

    def check(state: NamespaceState) -> Result:
        pods = lasting(state, labels)
        return expect(len(pods) == number, _counted(pods))

    return Condition(f"{f'exactly {number}' if number else 'no'} Pods with {text(labels)}", check, DELETION)


def _counted(pods: Iterable[KubeObject]) -> str:
    pod_names = [pod.name for pod in pods]
    return f"{len(pod_names)} ({some(pod_names)})" if pod_names else "0"


def with_values(labels: Mapping[str, str], wanted: Mapping[str, object]) -> Condition[NamespaceState]:
    """Each Pod with these labels has the `wanted` values: dotted path -> value."""
    what = f"with {some([field(*entry) for entry in wanted.items()])}"
    return every_pod(labels, what, lambda pod: fields({path: pod.at(path) for path in wanted}, wanted))


def tolerating(seconds: Mapping[str, int], labels: Mapping[str, str]) -> Condition[NamespaceState]:
    """Each Pod tolerates these NoExecute taints for exactly `seconds`: taint, such as "not-ready" -> tolerationSeconds."""
    wanted = {f"tolerationSeconds of {key}": value for key, value in seconds.items()}

    def check(pod: KubeObject) -> Result:
        tolerations: list[Json] = pod.at("spec.tolerations", [])
        actual = {
            f"tolerationSeconds of {t.get('key', '').removeprefix('node.kubernetes.io/')}": t.get("tolerationSeconds")
            for t in tolerations
            if t.get("effect") == "NoExecute" and t.get("operator") == "Exists"
        }
        return fields({name: actual.get(name) for name in wanted}, wanted)

    return every_pod(labels, f"with {some([field(*entry) for entry in wanted.items()])}", check)


def serving_elsewhere(labels: Mapping[str, str], node: str, number: int) -> Condition[NamespaceState]:
    """Exactly `number` Pods with these labels are ready, none of them on this Node."""

    def check(state: NamespaceState) -> Result:
        places = [str(pod.at("spec.nodeName")) for pod in ready_pods(state, labels)]
        return expect(len(places) == number and node not in places, f"{len(places)} on {text(places)}")

    return Condition(f"exactly {number} ready Pods with {text(labels)}, none on {node}", check, RESCHEDULED)
