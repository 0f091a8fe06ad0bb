"""What will block an upgrade, each with the object that does, and what to do: budgets, admission, APIs, Nodes, finalizers.

https://kubernetes.io/docs/tasks/administer-cluster/cluster-upgrade/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from kubechain.conditions.condition import Condition, expect
from kubechain.conditions.endpoints import SERVICE_NAME, ready_endpoints
from kubechain.conditions.text import some
from kubechain.kube.objects import Json, KubeObject

# An object that ends takes seconds; a Pod's deletionTimestamp includes its grace period.
STUCK_SECONDS = 300.0
# Of blockers of one kind, a message shows so many.
SHOWN = 3


@dataclass(frozen=True)
class Blocker:
    """An object that blocks an upgrade: "PodDisruptionBudget shop/web", why, and what to do."""

    name: str
    why: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.name}: {self.why}; {self.remedy}"


def nothing_blocks(what: str) -> Condition[Sequence[Blocker]]:
    """There is no blocker; `what` is what they are: "no PodDisruptionBudget that allows no disruption"."""
    return Condition(what, lambda found: expect(not found, some(found, " | ", most=SHOWN)))


def name_of(resource: KubeObject) -> str:
    """Return kind, namespace and name: "PodDisruptionBudget shop/web", "Node a"."""
    namespace = resource.at("metadata.namespace", "")
    return f"{resource.kind} {namespace}/{resource.name}" if namespace else f"{resource.kind} {resource.name}"


def budgets(objects: Iterable[KubeObject]) -> list[Blocker]:
    """Return the PodDisruptionBudgets with Pods that allow no disruption: a drain waits for them for ever."""
    return [_budget(each) for each in objects if _allows_nothing(each)]


def _allows_nothing(budget: KubeObject) -> bool:
    if _uncounted(budget):
        return True
    if not budget.at("status.expectedPods", 0) or budget.at("status.disruptionsAllowed", 0):
        return False
    # Pods that are not ready may be evicted in any case, and there are no others.
    evictable = budget.at("spec.unhealthyPodEvictionPolicy") == "AlwaysAllow" and not budget.at("status.currentHealthy", 0)
    return not evictable


def _uncounted(budget: KubeObject) -> str:
    """Return why the controller cannot count the Pods of a budget, "" if it can: it then expects none, and allows nothing."""
    condition = budget.condition("DisruptionAllowed")
    return str(condition.get("message") or "no message") if condition.get("reason") == "SyncFailed" else ""


def _budget(budget: KubeObject) -> Blocker:
    if uncounted := _uncounted(budget):
        why = f"allows no disruption, because its Pods cannot be counted ({uncounted})"
        return Blocker(name_of(budget), why, "state minAvailable as a number, or give its Pods a controller that can be scaled")
    healthy, needed = budget.at("status.currentHealthy", 0), budget.at("status.desiredHealthy", 0)
    why = f"allows no disruption ({healthy} of {budget.at('status.expectedPods', 0)} Pods healthy, {needed} needed)"
    remedy = "make its Pods ready" if healthy < needed else "add replicas, or let it require fewer Pods"
    return Blocker(name_of(budget), why, remedy)


def webhooks(configurations: Iterable[KubeObject], services: Iterable[KubeObject], slices: Iterable[KubeObject]) -> list[Blocker]:
    """Return the webhooks that fail closed and whose Service has no ready endpoint: what they concern cannot be created."""
    exists = {(str(each.at("metadata.namespace")), each.name) for each in services}
    serving = {
        (str(each.at("metadata.namespace")), each.labels.get(SERVICE_NAME, "")) for each in slices if ready_endpoints(each)
    }
    found: list[Blocker] = []
    for configuration in configurations:
        hooks: list[Json] = configuration.at("webhooks", [])
        for hook in hooks:
            key = service_of(hook)
            if hook.get("failurePolicy", "Fail") != "Fail" or not hook.get("rules") or not key or key in serving:
                continue
            state = "has no ready endpoint" if key in exists else "does not exist"
            why = f"{hook['name']} fails closed, and its Service {'/'.join(key)} {state}"
            found.append(Blocker(name_of(configuration), why, "start what serves it, or set failurePolicy Ignore"))
    return found


def service_of(hook: Json) -> tuple[str, str] | None:
    """Return namespace and name of the Service that a webhook asks, None if it asks a URL."""
    client: Json = hook.get("clientConfig") or {}
    service: Json = client.get("service") or {}
    return (str(service.get("namespace")), str(service.get("name"))) if service else None


def parameters(policies: Iterable[KubeObject], bindings: Iterable[KubeObject], known: Mapping[str, bool]) -> list[Blocker]:
    """Return the bindings of admission policies that deny because their parameters do not exist.

    `known` is name of a binding -> whether its parameter exists; bindings that are not in it could not be resolved.
    """
    by_name = {each.name: each for each in policies}
    found: list[Blocker] = []
    for binding in bindings:
        policy = by_name.get(str(binding.at("spec.policyName")))
        if policy is None or policy.at("spec.failurePolicy", "Fail") != "Fail" or known.get(binding.name, True):
            continue
        if binding.at("spec.paramRef.parameterNotFoundAction", "Deny") != "Deny":
            continue
        kind, name = policy.at("spec.paramKind.kind"), binding.at("spec.paramRef.name")
        namespace = binding.at("spec.paramRef.namespace", "")
        why = f"its parameter {kind} {f'{namespace}/' if namespace else ''}{name} does not exist, and it denies without"
        found.append(Blocker(name_of(binding), why, "create the parameter, or set parameterNotFoundAction Allow"))
    return found


def services_of_apis(objects: Iterable[KubeObject]) -> list[Blocker]:
    """Return the APIServices that are not available: discovery is incomplete, and namespaces cannot be deleted."""
    found: list[Blocker] = []
    for each in objects:
        condition = each.condition("Available")
        if each.at("spec.service") and condition.get("status") != "True":
            service = f"{each.at('spec.service.namespace')}/{each.at('spec.service.name')}"
            why = f"not available ({condition.get('reason', 'no condition')})"
            found.append(Blocker(name_of(each), why, f"start what serves it behind Service {service}, or delete it"))
    return found


def unready_nodes(machines: Iterable[KubeObject]) -> list[Blocker]:
    """Return the Nodes that are not Ready: an upgrade waits for each Node."""
    remedy = "repair the machine, or delete the Node"
    return [
        Blocker(name_of(node), f"not Ready ({node.condition('Ready').get('reason', 'no condition')})", remedy)
        for node in machines
        if not node.is_true("Ready")
    ]


def stuck(objects: Iterable[KubeObject], now: float) -> list[Blocker]:
    """Return the objects whose deletion should have ended STUCK_SECONDS before `now` (Unix seconds)."""
    found: list[Blocker] = []
    for each in objects:
        since = each.at("metadata.deletionTimestamp")
        late = now - datetime.fromisoformat(since).timestamp() if since else 0.0
        if late <= STUCK_SECONDS:
            continue
        finalizers: list[str] = [*each.at("metadata.finalizers", []), *each.at("spec.finalizers", [])]
        conditions: list[Json] = each.at("status.conditions", [])
        remaining = [str(one.get("message")) for one in conditions if one.get("type") == "NamespaceContentRemaining"]
        waits = f"waits for {some(finalizers)}" if finalizers else "its Node does not end it"
        why = f"being deleted for {late / 60:.0f} min, {waits}{''.join(f' ({text})' for text in remaining[:1])}"
        found.append(Blocker(name_of(each), why, "repair the controller that removes the finalizer, then it ends by itself"))
    return found
