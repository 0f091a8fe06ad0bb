"""The witnesses of an upgrade: a chain that exists before, during and after it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kubechain.claims.requirements import Environment
from kubechain.cleanup import namespaces
from kubechain.conditions import deployments, endpoints, pods, services
from kubechain.conditions.http import every_backend
from kubechain.conditions.nodes import takes_pods
from kubechain.conditions.timeouts import Timeout
from kubechain.core.default_folders import PROJECT
from kubechain.core.errors import ExitCode, SetupError
from kubechain.core.run import EXPIRES_LABEL, UPGRADE_LABEL, WITNESS_LIFETIME
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.changes import Position
from kubechain.observe.wait import Waiter
from kubechain.observe.watcher import Watcher
from kubechain.upgrade.presence import is_left
from kubechain.workload import actions, manifests, service_manifests, sources
from kubechain.workload import namespace as build
from kubechain.workload.chain import Chain
from kubechain.workload.cluster_nodes import ClusterNodes, is_virtual
from kubechain.workload.factory import pulled_images
from kubechain.workload.manifests import CONTAINER_PORT, LABELS, WEB, WELCOME
from kubechain.workload.reached import Reached

# Replicas of the Deployment, and minAvailable of its PodDisruptionBudget.
REPLICAS, LEAST = 4, 3
# The ConfigMap that the samples of route "write" change.
SCRATCH = "scratch"
# How long a drain may wait for the witnesses: their Pods are replaced within seconds where there is room.
YIELD_SECONDS = 60.0
INNER, HEADLESS, BALANCED = "inner", "headless", "balanced"
# The address of a load balancer takes a cloud some minutes.
ADDRESS = Timeout(300, "a load balancer is made for the Service")


def deployment(image: str) -> Json:
    """Return the Deployment: REPLICAS Pods, spread over Nodes, that serve for some time while they terminate."""
    manifest = manifests.lingering(manifests.deployment(image, replicas=REPLICAS))
    return manifests.spread(manifests.rolling(manifest, 1, 1))


def objects(image: str, *, with_budget: bool = True, balanced: bool = False) -> list[Json]:
    """Return the manifests of all witnesses, in the order of their creation; `balanced` adds a Service of type LoadBalancer."""
    scratch = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": SCRATCH}, "data": {"n": "0"}}
    return [
        scratch,
        service_manifests.service(kind=service_manifests.NODE_PORT),
        service_manifests.service(name=INNER),
        service_manifests.headless(HEADLESS),
        *([service_manifests.service(name=BALANCED, kind="LoadBalancer")] if balanced else []),
        deployment(image),
        *([manifests.disruption_budget(WEB, LEAST)] if with_budget else []),
    ]


def allows_drain(nodes: Iterable[KubeObject]) -> bool:
    """Whether a drain of any Node ends though the witnesses have a PodDisruptionBudget: another Node takes their Pods."""
    return sum(takes_pods(node) and not is_virtual(node) for node in nodes) > 1


def about_drains(chain: Chain) -> str:
    """Return what a drain of a Node meets, and how to be rid of it, in words."""
    if allows_drain(chain.nodes):
        remove = f"kubectl delete poddisruptionbudget {WEB} --namespace {chain.namespace}"
        return f"a drain evicts one of their {REPLICAS} Pods at a time; if it waits for ever: {remove}"
    return "without a PodDisruptionBudget, for which a drain would wait for ever: fewer than two Nodes take Pods"


def require_none(api: Api) -> None:
    """Check that no witnesses of another `upgrade before` exist; SetupError if they do (exit code SNAPSHOT)."""
    found = next(iter(namespaces.witnesses(api)), None)
    if found:
        what = f"the witnesses of run {found.labels[UPGRADE_LABEL]} exist, in the namespace {found.name}"
        hint = (
            "go on with `during` and `after` and the snapshot of that run, or remove them: kubechain clean --context NAME --kept"
        )
        raise SetupError(f"upgrade before: {what}; {hint}", ExitCode.SNAPSHOT)


def renew(api: Api, namespace: str) -> None:
    """Let witnesses expire WITNESS_LIFETIME from now, by the API server's clock; without the right to, nothing changes."""
    expires = str(int(api.server_time() + WITNESS_LIFETIME.total_seconds()))
    with contextlib.suppress(ApiRefused):
        api.patch("Namespace", "", namespace, {"metadata": {"labels": {EXPIRES_LABEL: expires}}})


@dataclass
class Yielding:
    """Removes the PodDisruptionBudget of the witnesses if a drain waits for it: to be called every few seconds.

    `since` is the time (Unix seconds) at which it was first seen to forbid an eviction while Pods are to leave a Node.
    """

    api: Api
    namespace: str
    since: float | None = None
    removed: bool = False

    def look(self, nodes: Iterable[KubeObject], now: float) -> bool:
        """Return whether the budget was removed just now."""
        if self.removed or not any(map(is_left, nodes)):
            self.since = None
            return False
        budget = self.api.get("PodDisruptionBudget", self.namespace, WEB)
        if budget is None or budget.at("status.disruptionsAllowed", 0) > 0:
            self.since = None
            return False
        self.since = now if self.since is None else self.since
        if now - self.since < YIELD_SECONDS:
            return False
        self.api.delete("PodDisruptionBudget", self.namespace, WEB, missing_ok=True)
        self.removed = True
        return True


def name_of(identity: str) -> str:
    """Return the name of the witnesses' namespace; `identity` is the id of the run that creates them."""
    return f"{PROJECT}-upgrade-{identity}"


def make(
    api: Api,
    environment: Environment,
    identity: str,
    labels: Mapping[str, str],
    image_ids: frozenset[str],
    waiter: Waiter,
    *,
    balanced: bool = False,
    reached: Reached | None = None,
) -> Chain:
    """Create the witnesses and wait until they serve from a second revision, so that a ReplicaSet exists to roll back to.

    Raises:
        Unmet: a condition is not met within its usual timeout.

    """
    target, name = environment.target, name_of(identity)
    expires = str(int(api.server_time() + WITNESS_LIFETIME.total_seconds()))
    api.create(manifests.namespace(name, {UPGRADE_LABEL: identity, EXPIRES_LABEL: expires, **labels}))
    build.furnish(api, environment, name)
    usable = filter(api.shape.selects, environment.nodes)
    for manifest in objects(target.nginx, with_budget=allows_drain(usable), balanced=balanced):
        api.create(manifest, name)
    witnesses = attach(api, environment, name, image_ids, waiter, reached)
    waiter.eventually(witnesses.objects, pods.exactly_ready(LABELS, REPLICAS))
    actions.template(witnesses, "2")
    settle(witnesses, waiter, revision=2)
    if balanced:
        waiter.eventually(witnesses.objects, services.balanced(BALANCED), within=ADDRESS)
    return witnesses


def settle(chain: Chain, waiter: Waiter, *, revision: int) -> None:
    """Wait until the Deployment is rolled out at a revision, and every Pod answers at every nodePort."""
    waiter.eventually(chain.objects, deployments.rolled_out(WEB, REPLICAS, revision))
    # Pods of the previous revision still serve for some time.
    waiter.eventually(chain.objects, pods.count(LABELS, REPLICAS))
    listed = endpoints.slices_list_exactly(WEB, LABELS, CONTAINER_PORT, REPLICAS)
    waiter.eventually(chain.objects, listed)
    if chain.probe_from == "host":
        waiter.eventually(sources.backends_at_nodes(chain), every_backend(chain.pod_names, WELCOME))


def attach(
    api: Api,
    environment: Environment,
    namespace: str,
    image_ids: frozenset[str],
    waiter: Waiter,
    reached: Reached | None = None,
    since: Position | None = None,
) -> Chain:
    """Return the chain of existing witnesses, and start to watch them; the caller closes its observer.

    `since` is where an earlier watch of them was, from which this one goes on.
    """
    target = environment.target
    observer = Watcher(api, namespace, waiter.clock, build.watched_kinds(environment.access), since=since)
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
        pulled=pulled_images(target),
        cluster_nodes=ClusterNodes(api, waiter.clock, environment.nodes, target.name if target.owned else ""),
        reached=reached,
    )


def find(api: Api, namespace: str, identity: str) -> KubeObject | None:
    """Return the namespace of the witnesses that the run `identity` created; None if it does not exist or is another one."""
    found = api.get("Namespace", "", namespace)
    return found if found and found.labels.get(UPGRADE_LABEL) == identity else None


def remove(api: Api, namespace: str, identity: str) -> None:
    """Delete the namespace of the witnesses that the run `identity` created, without waiting for the deletion."""
    found = find(api, namespace, identity)
    if found:
        api.delete("Namespace", "", namespace, {"preconditions": {"uid": found.uid}}, missing_ok=True)
