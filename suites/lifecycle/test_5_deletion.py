"""Deletion in the foreground, with orphans, with a grace period, with preconditions, and of a namespace."""

import signal

from fixtures.chain import Create
from kubechain.claims.claim import ClaimDecorator
from kubechain.claims.requirements import OWN_NAMESPACE, right
from kubechain.conditions import containers, deployments, pods, timeouts
from kubechain.conditions.condition import empty
from kubechain.conditions.objects import absent, controlled_by, none_left, present
from kubechain.observe.history_conditions import deleted_in_order, last_version, seen_in_history
from kubechain.observe.protocols import Eventually
from kubechain.observe.wait import require
from kubechain.workload import actions, manifests, sources, version_order
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import WEB

claim = ClaimDecorator("concepts/architecture/garbage-collection/", level="full")

GRACE_SECONDS = 4

TERMINATION = "concepts/workloads/pods/pod-lifecycle/#pod-termination"


@claim(
    "LIFE-DELETION-010",
    spec="#foreground-deletion",
    upstream="Garbage Collector, delete replication controller, after owned pods",
    requires=[right("delete", "deployments")],
)
def test_foreground_deletes_dependents_first(own_chain: Chain, eventually: Eventually) -> None:
    """Deleted in the foreground, a Deployment MUST stay with the finalizer foregroundDeletion until its dependents are gone."""
    version_order.require_one_order(own_chain, "Pod", "ReplicaSet", "Deployment")
    deployment, replica_set = own_chain.deployment, own_chain.replica_set
    pod_uids = frozenset(pod.uid for pod in own_chain.pods)
    actions.delete(own_chain, deployment, propagationPolicy="Foreground")
    waits = seen_in_history(own_chain.objects, deployments.waits_for_dependents(WEB))
    eventually(own_chain.objects, waits)
    eventually(own_chain.objects, absent("Deployment", WEB))
    eventually(own_chain.objects, pods.deleted("Pod", pod_uids), within=timeouts.CONTROLLER)
    eventually(own_chain.objects, absent("ReplicaSet", replica_set.name), within=timeouts.CONTROLLER)
    in_order = deleted_in_order(pod_uids, frozenset([replica_set.uid]), frozenset([deployment.uid]))
    require(own_chain.objects, in_order)


@claim(
    "LIFE-DELETION-020",
    spec="#orphaned-dependents",
    upstream="Garbage Collector, delete deployment, propagation policy orphan",
    requires=[right("delete", "deployments")],
)
def test_orphans_survive_and_are_adopted(own_chain: Chain, eventually: Eventually) -> None:
    """Deleted with its dependents orphaned, a Deployment MUST leave them running, and another of its kind MUST adopt them."""
    replica_set, running = own_chain.replica_set, own_chain.pods
    actions.delete(own_chain, own_chain.deployment, propagationPolicy="Orphan")
    eventually(own_chain.objects, absent("Deployment", WEB))
    eventually(own_chain.objects, controlled_by("ReplicaSet", replica_set.name, None))
    again = own_chain.api.create(manifests.deployment(own_chain.image), own_chain.namespace)
    adopted = controlled_by("ReplicaSet", replica_set.name, again.uid)
    eventually(own_chain.objects, adopted)
    # The other Deployment would make a ReplicaSet of the same name.
    eventually(own_chain.objects, present(replica_set))
    eventually(own_chain.objects, deployments.counts(WEB, own_chain.replicas))
    eventually(own_chain.objects, pods.same_and_ready(*running))


@claim("LIFE-DELETION-030", spec=TERMINATION, upstream="Pods, lifecycle")
def test_pod_gets_sigterm_and_its_grace_period(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A deleted Pod MUST be sent SIGTERM and be let end by itself within its grace period."""
    pod = create(chain, manifests.obedient_pod("obedient", chain.client_image))
    eventually(chain.objects, pods.ready(pod.name))
    actions.delete(chain, pod)
    eventually(chain.objects, absent("Pod", pod.name))
    assert containers.ended_with(last_version(chain.objects, pod)) == (7, "TERM\n")


@claim("LIFE-DELETION-040", spec=TERMINATION + "-forced")
def test_stubborn_pod_is_killed(chain: Chain, create: Create, eventually: Eventually) -> None:
    """A Pod that ignores SIGTERM MUST be killed when its grace period is over, and not before."""
    pod = create(chain, manifests.stubborn_pod("stubborn", chain.client_image, GRACE_SECONDS))
    eventually(chain.objects, pods.ready(pod.name))
    actions.delete(chain, pod)
    eventually(chain.objects, absent("Pod", pod.name))
    last = last_version(chain.objects, pod)
    status, told = containers.ended_with(last)
    assert status == 128 + signal.SIGKILL
    # When the Pod is gone says nothing: it takes the kubelet seconds to say so.
    lived = containers.ended_at(last) - float(told or containers.ended_at(last))
    # A busy Node may run the shell a second late, and both times are whole seconds.
    assert lived >= GRACE_SECONDS - 2


@claim("LIFE-DELETION-050", spec="reference/using-api/api-concepts/#resource-deletion", requires=[right("delete", "pods")])
def test_precondition_guards(chain: Chain, eventually: Eventually) -> None:
    """A deletion whose precondition names another UID MUST be refused with a conflict, and delete nothing."""
    client = chain.present("Pod", chain.client.pod)
    other = {"uid": "00000000-0000-0000-0000-000000000000"}
    refused = actions.refusal(lambda: actions.delete(chain, client, preconditions=other))
    assert (refused.status, refused.reason) == (409, "Conflict")
    eventually(chain.objects, pods.same_and_ready(client))


@claim(
    "LIFE-DELETION-060",
    spec="concepts/overview/working-with-objects/namespaces/",
    upstream="namespace-deletion-removes-pods",
    long=True,
    requires=[OWN_NAMESPACE],
)
def test_namespace_is_deleted_with_its_content(own_chain: Chain, eventually: Eventually) -> None:
    """A deleted namespace MUST go, and everything that was in it."""
    actions.delete_namespace(own_chain)
    # Events outlive what they are about.
    kinds = [kind for kind in own_chain.observer.kinds if kind != "Event"]
    eventually(own_chain.objects, none_left(*kinds), within=timeouts.CONTENT_GONE)
    eventually(sources.remaining(own_chain, "Namespace", own_chain.namespace), empty("namespace"), within=timeouts.NAMESPACE_GONE)
