"""The components that a broken link depends on, and what the cluster shows of them, for the verdict.

Only what the run may read is shown: a component whose state cannot be read is left out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

from kubechain.claims.claim import Link
from kubechain.claims.rights import POLICIES_OF_OTHERS
from kubechain.conditions.text import some
from kubechain.core.errors import HarnessError
from kubechain.core.interrupts import INTERRUPTS
from kubechain.kube.client import Api
from kubechain.kube.objects import KubeObject
from kubechain.kube.paths import CLUSTER_SCOPED
from kubechain.workload import network_policies
from kubechain.workload.chain import Chain
from kubechain.workload.other_policies import may_deny

SYSTEM = "kube-system"
MANAGER, SCHEDULER = "kube-controller-manager", "kube-scheduler"
# Labels of Pods that kubeadm and most distributions set.
DNS, PROXY = "k8s-app=kube-dns", "k8s-app=kube-proxy"
Look = Callable[[Api], list[str]]


def suspects(api: Api, link: Link, namespace: str = "", *, inside: bool = False) -> str:
    """Return what the cluster shows of the components behind a broken link: "coredns: 0 of 2 replicas ready"; "" if nothing.

    `namespace` is that of the chain, "" if it has none; `inside` says that nothing else may be looked at.
    """
    shown: list[str] = []
    of_cluster = () if inside else (*LOOKS.get(link, ()), nodes)
    kinds = [kind for kind in POLICIES_OF_OTHERS if namespace and not (inside and kind in CLUSTER_SCOPED)]
    others = (partial(other_policies, kind=kind, namespace=namespace) for kind in kinds)
    for look in (*of_cluster, partial(policies, namespace=namespace), *others):
        # The message of the claim counts; what cannot be read here is no news.
        with contextlib.suppress(HarnessError):
            shown += INTERRUPTS.unless_interrupted(partial(look, api), [])
    return some(shown, "; ") if shown else ""


def changed(chain: Chain) -> str:
    """Return what admission has changed of the objects of a chain: "changed at admission: ..."; "" if nothing is known of it."""
    found = chain.changes()
    return f"changed at admission: {some(found, '; ')}" if found else ""


def nodes(api: Api) -> list[str]:
    """Return the Nodes that are not ready, each with the reason of its condition."""
    unready = [node for node in filter(api.shape.selects, api.list("Node").items) if not node.is_true("Ready")]
    return [f"Node {node.name}: not ready ({node.condition('Ready').get('reason', 'no condition')})" for node in unready]


def policies(api: Api, namespace: str) -> list[str]:
    """Return the NetworkPolicies of a namespace that deny traffic, if none of the run allows it."""
    names = network_policies.denying(api, namespace) if namespace else []
    return [f"NetworkPolicy {name}: denies traffic in namespace {namespace}" for name in names]


def other_policies(api: Api, kind: str, namespace: str) -> list[str]:
    """Return the policies of a kind that is none of Kubernetes that may deny traffic of a namespace."""
    return [f"{kind} {name}: may deny traffic in namespace {namespace}" for name in may_deny(api, kind, namespace)]


def closed(api: Api) -> list[str]:
    """Return how many Nodes take no new Pods, if none takes any but those of the control plane."""
    every = [*filter(api.shape.selects, api.list("Node").items)]
    shut = [node for node in every if node.at("spec.unschedulable") or _keeps_off(node)]
    return [f"Nodes: all {len(every)} are cordoned or tainted"] if every and len(shut) == len(every) else []


def _keeps_off(node: KubeObject) -> bool:
    return any(taint.get("effect") in ("NoSchedule", "NoExecute") for taint in node.at("spec.taints", []))


def leader(component: str) -> Look:
    """Return a function that returns when a component last renewed its Lease, if it has one."""

    def look(api: Api) -> list[str]:
        lease = api.get("Lease", SYSTEM, component)
        if lease is None:
            return []
        age = api.server_time() - datetime.fromisoformat(str(lease.at("spec.renewTime"))).timestamp()
        lasts = float(lease.at("spec.leaseDurationSeconds", 15))
        if age > lasts:
            return [f"{component}: no sign of life, its Lease was renewed {age:.0f} s ago and lasts {lasts:.0f} s"]
        return [f"{component}: alive, its Lease was renewed {max(age, 0):.0f} s ago"]

    return look


def dns(api: Api) -> list[str]:
    """Return how many replicas of the cluster's DNS are ready, if any is missing or there is none."""
    deployments = api.list("Deployment", SYSTEM, DNS).items
    return [
        f"{each.name}: {each.at('status.readyReplicas', 0)} of {each.at('spec.replicas')} replicas ready"
        for each in deployments
        if not each.at("spec.replicas") or each.at("status.readyReplicas", 0) < each.at("spec.replicas")
    ]


def proxies(api: Api) -> list[str]:
    """Return the Nodes whose kube-proxy is not ready."""
    return [
        f"kube-proxy on {pod.at('spec.nodeName', 'no Node')}: not ready"
        for pod in api.list("Pod", SYSTEM, PROXY).items
        if not pod.settled
    ]


def _by(*links: Link, looks: tuple[Look, ...]) -> Iterator[tuple[Link, tuple[Look, ...]]]:
    return ((link, looks) for link in links)


LOOKS: dict[Link, tuple[Look, ...]] = dict(
    [
        *_by(Link.DEPLOYMENT, Link.REPLICASET, Link.ENDPOINTS, Link.SCALE, Link.ROLLOUT, Link.DELETION, looks=(leader(MANAGER),)),
        *_by(Link.PODS, Link.HEALING, looks=(closed, leader(SCHEDULER))),
        *_by(Link.CLUSTERIP, Link.NODEPORT, Link.NODES, looks=(proxies,)),
        *_by(Link.DNS, looks=(dns, proxies)),
    ]
)
