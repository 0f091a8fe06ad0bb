"""A worker that is lost and comes back, under load."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from kubechain.cluster.kind import Cluster
from kubechain.conditions import endpoints, pods, timeouts
from kubechain.conditions import nodes as node
from kubechain.core.errors import HarnessError
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.clock import Clock
from kubechain.observe.history import History
from kubechain.observe.watcher import Watcher
from kubechain.probes.load import Tally, enough_sent_since
from kubechain.scenarios.load import LASTING_RATE, LEAST, load
from kubechain.workload import manifests
from kubechain.workload.chain import CLIENT, Chain
from kubechain.workload.manifests import LABELS, REPLICAS, WEB

TOLERATION_SECONDS = 5
# Requests that are sent at least between the last address to leave and the return of the Node.
AFTER = 1000


@dataclass(frozen=True)
class NodeOutage:
    """A worker that was killed and started again, with what was seen on the way.

    `nodes` is the history of the Nodes, `lost` the Node as it was before, `evicted` its Pod of the Deployment. The
    moments are monotonic seconds: killed, reported NotReady, without an address in the slices, replaced, started
    again, ready again. `requests` went to the other Nodes all the while.
    """

    chain: Chain
    nodes: History
    lost: KubeObject
    evicted: KubeObject
    killed: float
    not_ready: float
    unlisted: float
    replaced: float
    started: float
    back: float
    requests: Tally


def impatient(image: str) -> Json:
    """Return a Deployment whose Pods spread over the Nodes and leave a lost one after TOLERATION_SECONDS."""
    manifest = manifests.deployment(image)
    spec = manifest["spec"]["template"]["spec"]
    lost = [f"node.kubernetes.io/{condition}" for condition in ("not-ready", "unreachable")]
    spec["tolerations"] = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATION_SECONDS} for key in lost
    ]
    return manifests.spread(manifest, strictly=True)


def away_from_client(chain: Chain) -> KubeObject:
    """Return a Pod of the Deployment that runs on another Node than the client; HarnessError if there is none."""
    home = chain.present("Pod", CLIENT).at("spec.nodeName")
    found = next((pod for pod in chain.pods if pod.at("spec.nodeName") != home), None)
    if found is None:
        raise HarnessError("every Pod runs on the Node of the client: no Node can be taken away")
    return found


@contextmanager
def outage(chain: Chain, cluster: Cluster, clock: Clock) -> Generator[NodeOutage]:
    """Kill the worker of one of a chain's Pods, see what the cluster makes of it, and start it again, all under load."""
    waiter = chain.waiter
    with Watcher(chain.api, "", clock, ("Node",)) as nodes:
        victim = away_from_client(chain)
        name = str(victim.at("spec.nodeName"))
        lost = next(each for each in chain.nodes if each.name == name)
        others = [url for node_name, url in chain.node_urls().items() if node_name != name]
        with load(chain, others, LASTING_RATE) as stream:
            killed = clock.now()
            cluster.kill_node(name)
            try:
                waiter.eventually(nodes.history, node.unreachable(name))
                not_ready = clock.now()
                waiter.eventually(chain.objects, endpoints.without(WEB, victim.uid))
                unlisted = clock.now()
                waiter.eventually(nodes.history, node.tainted(name, "unreachable"))
                elsewhere = pods.serving_elsewhere(LABELS, name, REPLICAS)
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
            seen = stream.tally()
        yield NodeOutage(chain, nodes.history, lost, victim, killed, not_ready, unlisted, replaced, started, back, seen)
