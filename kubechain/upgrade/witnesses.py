"""The witnesses of an upgrade: a chain that is there before, stays through it, and is looked at afterwards."""

from __future__ import annotations

from collections.abc import Mapping

from kubechain.claims.requirements import Environment
from kubechain.conditions import deployments, endpoints, pods
from kubechain.conditions.http import every_backend
from kubechain.core.run import UPGRADE_LABEL
from kubechain.core.settings import PROJECT
from kubechain.kube.client import Api
from kubechain.kube.objects import Json
from kubechain.observe.wait import Waiter
from kubechain.observe.watcher import Watcher
from kubechain.workload import actions, manifests, service_manifests, sources
from kubechain.workload import namespace as build
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import CONTAINER_PORT, LABELS, WEB, WELCOME

REPLICAS, LEAST = 4, 3
# A Pod goes on serving while kube-proxy on every Node learns that it ends.
LINGER_SECONDS = 8
# What the write probe changes, several times a second.
SCRATCH = "scratch"
INNER, HEADLESS = "inner", "headless"


def deployment(image: str) -> Json:
    """Return the witnesses' Deployment: REPLICAS Pods on several Nodes that end gracefully."""
    manifest = manifests.lingering(manifests.deployment(image, replicas=REPLICAS), LINGER_SECONDS)
    return manifests.spread(manifests.rolling(manifest, 1, 1))


def objects(image: str) -> list[Json]:
    """Return all witnesses, in the order in which they are made."""
    scratch = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": SCRATCH}, "data": {"n": "0"}}
    return [
        scratch,
        service_manifests.service(),
        service_manifests.service(name=INNER, kind="ClusterIP"),
        service_manifests.headless(HEADLESS),
        deployment(image),
        manifests.disruption_budget(WEB, LEAST),
    ]


def name_of(identity: str) -> str:
    """Return the namespace of the witnesses of one upgrade."""
    return f"{PROJECT}-upgrade-{identity}"


def make(
    api: Api, environment: Environment, identity: str, labels: Mapping[str, str], image_ids: frozenset[str], waiter: Waiter
) -> Chain:
    """Make the witnesses and wait until they serve from a second revision: there is a ReplicaSet to roll back to.

    Raises:
        Unmet: they do not come up within the usual deadlines.

    """
    target, name = environment.target, name_of(identity)
    api.create(manifests.namespace(name, {UPGRADE_LABEL: identity, **labels}))
    build.furnish(api, target, name)
    for manifest in objects(target.nginx):
        api.create(manifest, name)
    witnesses = attach(api, environment, name, image_ids, waiter)
    waiter.eventually(witnesses.objects, pods.exactly_ready(LABELS, REPLICAS))
    actions.template(witnesses, "2")
    settle(witnesses, waiter, revision=2)
    return witnesses


def settle(chain: Chain, waiter: Waiter, *, revision: int) -> None:
    """Wait until the witnesses' Deployment is rolled out at a revision and every Pod answers on every Node."""
    waiter.eventually(chain.objects, deployments.rolled_out(WEB, REPLICAS, revision))
    # Those of the revision before still serve on, for as long as they linger.
    waiter.eventually(chain.objects, pods.count(LABELS, REPLICAS))
    listed = endpoints.slices_list_exactly(WEB, LABELS, CONTAINER_PORT, REPLICAS)
    waiter.eventually(chain.objects, listed)
    if chain.probe_from == "host":
        waiter.eventually(sources.backends_at_nodes(chain), every_backend(chain.pod_names, WELCOME))


def attach(api: Api, environment: Environment, namespace: str, image_ids: frozenset[str], waiter: Waiter) -> Chain:
    """Return the witnesses that are there already, watched from now on."""
    target = environment.target
    observer = Watcher(api, namespace, waiter.clock)
    return Chain(
        api,
        namespace,
        observer,
        waiter,
        environment.nodes,
        environment.probe_from,
        target.nginx,
        image_ids,
        target.client,
        REPLICAS,
    )


def remove(api: Api, namespace: str) -> None:
    """Delete the witnesses, without waiting for them to go."""
    api.delete("Namespace", "", namespace, missing_ok=True)
