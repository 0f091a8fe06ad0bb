"""The timeouts of the conditions, in seconds, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeout:
    """A duration in seconds, and the reason why it is that long, for messages.

    `least` is for how long a whole and idle cluster may take: no run that hurries waits less.
    """

    seconds: float
    reason: str
    least: float = 0.0


# A Pod of a workload under load serves for 15 s while it ends, and takes some seconds to go.
ENDED_SECONDS = 25.0
# The time to live of DNS records on a cluster of this project, as kubeadm sets it.
RECORD_SECONDS = 30
RECORD_RENEWED_SECONDS = RECORD_SECONDS + 5.0

SYNC = Timeout(15, "the first list of each watched kind")
LARGE_SYNC = Timeout(60, "the first list of each watched kind, of thousands of objects")
# A component that ends, also to be replaced, leaves a Lease of 15 s, which the next one tries to take every 2 s.
TAKEN_OVER = "when one ends, the next takes over within 20 s"
CONTROLLER = Timeout(40, f"a controller acts within a second on an idle cluster; {TAKEN_OVER}")
PODS_READY = Timeout(60, "image present, scheduled, started and probed in about 2 s; 60 s allow for a pull")
PODS_EXACT = Timeout(60, f"{PODS_READY.reason}; Pods that end go within 25 s", ENDED_SECONDS)
SCHEDULED = Timeout(40, f"the scheduler binds a Pod within a second, or says why not; {TAKEN_OVER}")
NODE_MADE = Timeout(300, "an autoscaler makes a Node within some minutes")
ENDPOINTS = Timeout(40, f"the EndpointSlice controller batches for up to a second; {TAKEN_OVER}", ENDED_SECONDS)
EVENTS = Timeout(15, "an Event is written within a second; 15 s allow for a loaded component")
DATA_PLANE = Timeout(20, "kube-proxy syncs at least once a second when something changed")
PROXY_SYNC = Timeout(2, "kube-proxy waits up to 1 s between two syncs, and one takes well below 1 s")
KUBECTL = Timeout(15, "kubectl says what it has to say within a second; 15 s allow for a loaded machine")
IN_CONTAINER = Timeout(15, "what a container starts with does not change; 15 s allow for commands that fail")
API = Timeout(10, "the API server answers at once; 10 s allow for its start")
RELEASED = Timeout(5, "the API server releases what a Service had right after it has deleted it")
DNS = Timeout(35, "CoreDNS learns a Service by watch; a cached NXDOMAIN lives for up to 30 s", RECORD_RENEWED_SECONDS)
CRASH_LOOP = Timeout(60, "the kubelet waits 10 s before the second restart, 20 s before the third")
QUEUED_PULL = Timeout(300, "a kubelet pulls one image after another, and one of another Pod may take minutes")
MANY_PODS = Timeout(180, "more than a hundred Pods on two cores, a few starting each second")
ROLLOUT = Timeout(120, "each Pod is replaced in turn, and serves for some seconds more while it ends", ENDED_SECONDS)
LOAD = Timeout(120, "some thousand requests at 150 a second or more")
INJECTED = Timeout(90, "a component of the control plane is restarted by the kubelet; a lost Node is noticed after 50 s")
HEALED = Timeout(120, "components restart, the leases of their predecessors expire (15 s), Nodes become Ready")
CLAIM = Timeout(1800, "no claim takes longer than some minutes, and 10 more if it waits for the other processes of the run")
OTHERS = Timeout(600, "other processes of the run finish first")
GRACE_PERIOD = Timeout(60, "node-monitor-grace-period is 50 s since Kubernetes 1.32; the controller looks every 5 s")
STALLED = Timeout(45, f"progressDeadlineSeconds is 5 s, then the controller syncs the Deployment again; {TAKEN_OVER}")
NODE_LOST = Timeout(90, "node-monitor-grace-period is 50 s, and the controller looks every 5 s")
NODE_BACK = Timeout(120, "the node's container starts, the kubelet reports, the network's Pod runs again")
RESCHEDULED = Timeout(90, "the taint, 5 s of tolerationSeconds, and a new Pod on another Node")
DELETION = Timeout(45, "30 s of terminationGracePeriodSeconds, then the garbage collector", ENDED_SECONDS)
STEADY = Timeout(1, "a controller that has just acted would act again within a second")
CONTENT_GONE = Timeout(90, "30 s of terminationGracePeriodSeconds; the namespace controller asks for 20 resource types a second")
MARKED_GONE = Timeout(90, "Pods end within their grace period of 30 s; their controllers are deleted first")
NAMESPACE_GONE = Timeout(120, "the namespace controller deletes the content, Pods with their grace period first")


def renewal(ttl: int) -> Timeout:
    """Return the timeout for a changed DNS record whose old version is cached for `ttl` seconds, at most RECORD_SECONDS."""
    seconds = min(ttl, RECORD_SECONDS) + 5
    return Timeout(
        seconds,
        f"the old record's time to live is {ttl} s; 5 s for CoreDNS to learn of the change",
        seconds,
    )
