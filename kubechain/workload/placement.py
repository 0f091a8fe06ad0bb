"""On which Node a Pod of a claim is to be."""

from __future__ import annotations

from kubechain.conditions.nodes import takes_pods
from kubechain.core.errors import Blocked, NotApplicable
from kubechain.probes.pod import PodProbe
from kubechain.workload.chain import CLIENT, Chain


def client_node(chain: Chain) -> str:
    """Return the Node of the client Pod; HarnessError if there is no such Pod."""
    return str(chain.present("Pod", CLIENT).at("spec.nodeName"))


def other_node(chain: Chain) -> str:
    """Return a Node that takes Pods of the run and is not that of the client Pod; NotApplicable if there is none."""
    here, unable = client_node(chain), chain.asked_at(chain.cluster_ip).unable
    taking = [node.name for node in chain.nodes_now if takes_pods(node) and chain.api.shape.may_run_on(node)]
    others = [name for name in taking if name not in (here, *unable)]
    if not others:
        raise NotApplicable(f"needs a Node besides {here} that takes Pods of the run without tolerations")
    return others[0]


def ready_on_its_node(chain: Chain, name: str) -> PodProbe:
    """Return the probe from a Pod that is for one Node, once it is ready.

    Raises:
        NotApplicable: the Node does not take the Pod.
        Blocked: the Pod did not become ready.

    """
    try:
        return chain.ready_inside(name)
    except Blocked:
        told = chain.present("Pod", name).condition("PodScheduled")
        if told.get("reason") != "Unschedulable":
            raise
        raise NotApplicable(f"needs a Node that takes Pod {name}: {told.get('message', 'no message')}") from None
