"""A worker that is killed and started again, under load."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from kubechain.cluster.kind import Cluster
from kubechain.conditions import endpoints, pods, timeouts
from kubechain.conditions import nodes as node
from kubechain.conditions.condition import undecided
from kubechain.core.errors import HarnessError
from kubechain.kube.objects import Json, KubeObject, NamespaceState
from kubechain.observe.clock import Clock
from kubechain.observe.history import History
from kubechain.observe.watcher import Watcher
from kubechain.probes.load import Tally, enough_sent_since
from kubechain.scenarios.load import LASTING_RATE, LEAST, load
from kubechain.workload import manifests
from kubechain.workload.chain import CLIENT, Chain
from kubechain.workload.manifests import LABELS, WEB

# Longer than the node lifecycle controller takes from NotReady to the Pods, which it looks at every 5 s.
TOLERATION_SECONDS = 10
UNREACHABLE = "node.kubernetes.io/unreachable"
# Least requests between the removal of the last address of the Node and its start, and after its return.
AFTER = 1000


@dataclass(frozen=True)
class NodeOutage:
    """The outage of a worker that was killed and started again.

    `nodes` is the history of the Nodes, `lost` the Node before the outage, `evicted` the Pod of the Deployment there,
    `requests` the load on the other Nodes. The moments are monotonic seconds: node container killed, Node NotReady, Pod
    not ready though not yet deleted (None if it never was), no address of the Pod in the EndpointSlices, Pod replaced, node
    container started, Node ready again.
    """

    chain: Chain
    nodes: History
    lost: KubeObject
    evicted: KubeObject
    killed: float
    not_ready: float
    unready: float | None
    unlisted: float
    replaced: float
    started: float
    back: float
    requests: Tally

    @property
    def tolerated(self) -> float:
        """The seconds from the NoExecute taint of the lost Node to the deletion of the Pod there, by the clock of the cluster.

        Raises:
            HarnessError: the watches do not show one of them.

        """
        taints: list[Json] = [
            taint
            for entry in self.nodes.log()
            if entry.resource.name == self.lost.name
            for taint in entry.resource.at("spec.taints", [])
            if (taint.get("key"), taint.get("effect")) == (UNREACHABLE, "NoExecute") and taint.get("timeAdded")
        ]
        versions = (entry.resource for entry in self.chain.objects.log() if entry.resource.uid == self.evicted.uid)
        deleted = next((each for each in versions if each.deleting), None)
        if deleted is None or not taints:
            lacking = "its deletion" if deleted is None else "the taint"
            raise undecided(f"Pod {self.evicted.name} evicted once its toleration has run out", f"{lacking} was not seen")
        # The deletionTimestamp is the end of the grace period.
        end, grace = deleted.at("metadata.deletionTimestamp"), int(deleted.at("metadata.deletionGracePeriodSeconds", 0))
        return datetime.fromisoformat(end).timestamp() - grace - datetime.fromisoformat(taints[0]["timeAdded"]).timestamp()


def impatient(image: str) -> Json:
    """Return a Deployment that spreads over the Nodes; its Pods are evicted from a lost Node after TOLERATION_SECONDS.

    https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions
    """
    manifest = manifests.deployment(image)
    spec = manifest["spec"]["template"]["spec"]
    taints = [f"node.kubernetes.io/{condition}" for condition in ("not-ready", "unreachable")]
    spec["tolerations"] = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATION_SECONDS} for key in taints
    ]
    return manifests.spread(manifest, strictly=True)


def away_from_client(chain: Chain) -> KubeObject:
    """Return a Pod of the Deployment on another Node than that of the client Pod; HarnessError if there is none."""
    client_node = chain.present("Pod", CLIENT).at("spec.nodeName")
    victim = next((pod for pod in chain.pods if pod.at("spec.nodeName") != client_node), None)
    if victim is None:
        raise HarnessError(f"every Pod of {WEB} runs on {client_node}, as the client Pod does: no Node can be killed")
    return victim


def marked(victim: KubeObject, state: NamespaceState) -> bool:
    """Whether a Pod is not ready, and nobody has deleted it yet."""
    return any(pod.uid == victim.uid and not pod.deleting and not pods.is_ready(pod) for pod in state.all("Pod"))


@contextmanager
def outage(chain: Chain, cluster: Cluster, clock: Clock) -> Generator[NodeOutage]:
    """Kill the worker of one of a chain's Pods, wait until the Pod is replaced, and start the worker again, all under load."""
    waiter = chain.waiter
    with Watcher(chain.api, "", clock, ("Node",)) as nodes:
        victim = away_from_client(chain)
        name = str(victim.at("spec.nodeName"))
        lost = next(candidate for candidate in chain.nodes_now if candidate.name == name)
        others = [url for node_name, url in chain.node_urls().items() if node_name != name]
        with load(chain, others, LASTING_RATE) as stream:
            killed = clock.now()
            cluster.kill_node(name)
            try:
                waiter.eventually(nodes.history, node.unreachable(name))
                not_ready = clock.now()
                waiter.eventually(chain.objects, endpoints.without(WEB, victim.uid))
                unlisted = clock.now()
                unready = chain.objects.first_met(lambda state: marked(victim, state), killed)
                waiter.eventually(nodes.history, node.tainted(name, "unreachable"))
                elsewhere = pods.serving_elsewhere(LABELS, name, chain.replicas)
                waiter.eventually(chain.objects, elsewhere)
                replaced = clock.now()
                settled = unlisted + timeouts.PROXY_SYNC.seconds
                waiter.eventually(stream.requests, enough_sent_since(settled, AFTER))
            finally:
                started = clock.now()
                cluster.start_node(name)
            waiter.eventually(nodes.history, node.ready(name))
            waiter.eventually(chain.objects, pods.deleted("Pod", frozenset([victim.uid])), within=timeouts.NODE_BACK)
            back = clock.now()
            waiter.eventually(stream.requests, enough_sent_since(started, LEAST))
            # Controllers learn that the Node is back when it loses its taints; kube-proxy learns what they then do.
            waiter.eventually(stream.requests, enough_sent_since(back + timeouts.PROXY_SYNC.seconds, AFTER))
            tally = stream.tally()
        yield NodeOutage(chain, nodes.history, lost, victim, killed, not_ready, unready, unlisted, replaced, started, back, tally)
