"""On which Node a Pod of a claim is to be."""

from __future__ import annotations

from kubechain.conditions.nodes import takes_pods
from kubechain.core.errors import NotApplicable
from kubechain.kube.objects import KubeObject
from kubechain.workload.chain import CLIENT, Chain


def other_node(chain: Chain) -> str:
    """Return a Node that takes Pods and is not that of the client Pod; NotApplicable if there is none."""
    here, unable = chain.present("Pod", CLIENT).at("spec.nodeName"), chain.asked_at(chain.cluster_ip).unable
    others = [node.name for node in chain.nodes_now if takes_pods(node) and node.name not in (here, *unable)]
    if not others:
        raise NotApplicable(f"needs a Node besides {here} that takes Pods without tolerations")
    return others[0]


def require_two_nodes(chain: Chain) -> None:
    """Raise NotApplicable if all ready Pods of the Deployment are on one Node: there, every Pod is one of the same Node."""
    places = {str(pod.at("spec.nodeName")) for pod in chain.pods}
    if len(places) < 2:
        raise NotApplicable(f"needs Pods of the Service on two Nodes, which are all on {', '.join(places) or 'none'}")


def on_same_node(chain: Chain, pod: KubeObject) -> list[str]:
    """Return the names of the ready Pods of the Deployment on the Node of a Pod."""
    return [other.name for other in chain.pods if other.at("spec.nodeName") == pod.at("spec.nodeName")]
