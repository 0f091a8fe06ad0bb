"""Rollouts of a Deployment to another Pod template, and back."""

from kubechain.claims import premises
from kubechain.claims.claim import ClaimDecorator, Link
from kubechain.claims.requirements import HOST_ACCESS, NODE_PORTS, NODE_REQUESTS, SLEEP_ACTION, right
from kubechain.conditions import deployments, pods, replica_sets, timeouts
from kubechain.conditions.http import every_backend
from kubechain.observe.history_conditions import at_every_moment
from kubechain.observe.protocols import Consistently, Eventually
from kubechain.observe.wait import require
from kubechain.probes.load import none_lost
from kubechain.scenarios.load import LEAST
from kubechain.scenarios.rollout import REPLICAS as FOUR
from kubechain.scenarios.rollout import SURGE, UNAVAILABLE, Rolled
from kubechain.workload import actions, sources
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import ABSENT_IMAGE, LABELS, WEB, WELCOME

claim = ClaimDecorator("concepts/workloads/controllers/deployment/", level="full")


@claim(
    "LIFE-ROLLOUT-010",
    spec="#updating-a-deployment",
    upstream="Deployment RollingUpdate",
    requires=[HOST_ACCESS, NODE_PORTS, SLEEP_ACTION],
    after=[Link.NODEPORT],
)
def test_new_replica_set_takes_over(rolled: Rolled, eventually: Eventually) -> None:
    """A changed Pod template MUST make a new ReplicaSet with all Pods, and keep the old one at 0 with its revision."""
    wanted = deployments.replica_sets(WEB, {1: 0, 2: FOUR})
    eventually(rolled.chain.objects, wanted, within=timeouts.CONTROLLER)
    kept = rolled.chain.present("ReplicaSet", rolled.old.name)
    assert (kept.uid, deployments.revision(kept)) == (rolled.old.uid, 1)


@claim("LIFE-ROLLOUT-020", spec="#max-surge", requires=[HOST_ACCESS, NODE_PORTS, SLEEP_ACTION], after=[Link.NODEPORT])
def test_surge_and_availability_hold_at_every_moment(rolled: Rolled) -> None:
    """During a roll there MUST NOT be more Pods than replicas plus maxSurge, nor fewer ready than less maxUnavailable."""
    bounds = deployments.within_bounds(WEB, LABELS, FOUR + SURGE, FOUR - UNAVAILABLE)
    require(rolled.chain.objects, at_every_moment(bounds, after=rolled.from_sequence))


@claim(
    "LIFE-ROLLOUT-030",
    spec="concepts/workloads/pods/pod-lifecycle/#pod-termination",
    requires=[HOST_ACCESS, NODE_PORTS, SLEEP_ACTION],
    after=[Link.NODEPORT],
)
def test_roll_loses_no_request(rolled: Rolled) -> None:
    """Rolling Pods that have a readiness probe and end gracefully MUST NOT lose a request through the NodePort."""
    require(rolled.requests, none_lost(LEAST))


@claim("LIFE-ROLLOUT-040", spec="#rolling-back-a-deployment", requires=[right("patch", "deployments")])
def test_rollback_uses_the_old_replica_set(own_chain: Chain, eventually: Eventually) -> None:
    """Going back to an older Pod template MUST use its ReplicaSet and hash again, under a new revision."""
    old = own_chain.replica_set
    actions.template(own_chain, "2")
    eventually(own_chain.objects, deployments.rolled_out(WEB, own_chain.replicas, 2))
    actions.roll_back(own_chain, old)
    eventually(own_chain.objects, deployments.rolled_out(WEB, own_chain.replicas, 3))
    eventually(own_chain.objects, deployments.reuses_replica_set(WEB, 3, old))


@claim(
    "LIFE-ROLLOUT-050",
    spec="#rollover-aka-multiple-updates-in-flight",
    upstream="Deployment Rollover",
    requires=[right("patch", "deployments")],
)
def test_rollover_goes_straight_to_the_last(own_chain: Chain, eventually: Eventually) -> None:
    """A template that changes during a roll MUST be rolled out at once, and the one in between be scaled to 0."""
    # The roll to it never ends: whoever waits for that waits in vain.
    actions.image(own_chain, ABSENT_IMAGE)
    eventually(own_chain.objects, deployments.at_revision(WEB, 2))
    actions.image(own_chain, own_chain.image, version="3")
    eventually(own_chain.objects, deployments.rolled_out(WEB, own_chain.replicas, 3))
    eventually(own_chain.objects, deployments.replica_sets(WEB, {1: 0, 2: 0, 3: own_chain.replicas}))


@claim("LIFE-ROLLOUT-060", spec="#recreate-deployment", upstream="Deployment Recreate", requires=[right("patch", "deployments")])
def test_recreate_never_overlaps(own_chain: Chain, eventually: Eventually) -> None:
    """With the strategy Recreate no Pod of the new template MUST exist before the last of the old one has ended."""
    actions.deployment(own_chain, {"strategy": {"type": "Recreate", "rollingUpdate": None}})
    before = own_chain.objects.sequence()
    actions.template(own_chain, "2")
    eventually(own_chain.objects, deployments.rolled_out(WEB, own_chain.replicas, 2))
    require(own_chain.objects, at_every_moment(deployments.one_hash_at_a_time(LABELS), after=before))


@claim(
    "LIFE-ROLLOUT-070",
    spec="#pausing-and-resuming-a-deployment",
    requires=[right("patch", "deployments"), right("patch", "deployments/scale")],
)
def test_paused_deployment_does_not_roll(own_chain: Chain, eventually: Eventually, consistently: Consistently) -> None:
    """A paused Deployment MUST NOT roll when its template changes, and MUST when it is resumed."""
    actions.deployment(own_chain, {"paused": True})
    eventually(
        own_chain.objects,
        deployments.has_condition(WEB, "Progressing", "Unknown", "DeploymentPaused"),
    )
    actions.template(own_chain, "2")
    # A paused Deployment still scales: the new Pod shows that the controller has synced the changed template too.
    actions.scale(own_chain, own_chain.replicas + 1)
    eventually(own_chain.objects, pods.exactly_ready(LABELS, own_chain.replicas + 1))
    consistently(own_chain.objects, deployments.replica_sets(WEB, {1: own_chain.replicas + 1}), during=timeouts.STEADY)
    actions.deployment(own_chain, {"paused": False})
    eventually(own_chain.objects, deployments.rolled_out(WEB, own_chain.replicas + 1, 2))


@claim(
    "LIFE-ROLLOUT-080",
    spec="#clean-up-policy",
    upstream="Deployment RevisionHistoryLimit",
    requires=[right("patch", "deployments")],
)
def test_history_is_limited(own_chain: Chain, eventually: Eventually) -> None:
    """No more old ReplicaSets MUST be kept than revisionHistoryLimit allows, the oldest going first."""
    actions.deployment(own_chain, {"revisionHistoryLimit": 1})
    for number in (2, 3):
        actions.template(own_chain, str(number))
        eventually(own_chain.objects, deployments.rolled_out(WEB, own_chain.replicas, number))
    eventually(own_chain.objects, deployments.replica_sets(WEB, {2: 0, 3: own_chain.replicas}))


@claim(
    "LIFE-ROLLOUT-090",
    spec="#failed-deployment",
    upstream="Deployment, status sub-resource",
    requires=[right("patch", "deployments"), NODE_REQUESTS],
    after=[Link.NODEPORT],
    premises=[*premises.ROLLING, *premises.NODE_PORTS, *premises.SPREAD],
)
def test_bad_image_stops_the_roll(own_chain: Chain, eventually: Eventually) -> None:
    """A roll to an image that cannot be had MUST stop, be reported as such, and leave the old Pods serving."""
    serving = own_chain.pods
    actions.deployment(own_chain, {"progressDeadlineSeconds": 5})
    actions.image(own_chain, ABSENT_IMAGE)
    stalled = deployments.has_condition(WEB, "Progressing", "False", "ProgressDeadlineExceeded")
    eventually(own_chain.objects, stalled, within=timeouts.STALLED)
    eventually(own_chain.objects, pods.same_and_ready(*serving))
    backends = every_backend(frozenset(pod.name for pod in serving), WELCOME)
    eventually(sources.backends_at_nodes(own_chain), backends)


@claim(
    "LIFE-ROLLOUT-100",
    spec="#proportional-scaling",
    upstream="Deployment Proportional Scaling",
    requires=[right("patch", "deployments"), right("patch", "deployments/scale")],
)
def test_scaling_in_a_roll_is_proportional(own_chain: Chain, eventually: Eventually) -> None:
    """A Deployment that is scaled in the middle of a roll MUST add Pods to its ReplicaSets in proportion to those they have."""
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}
    actions.deployment(own_chain, {"replicas": 4, "strategy": strategy})
    eventually(own_chain.objects, deployments.counts(WEB, 4), within=timeouts.PODS_READY)
    # The roll stops: of 5 Pods, 3 are of the old template.
    actions.image(own_chain, ABSENT_IMAGE)
    eventually(own_chain.objects, replica_sets.ask_for(WEB, {1: 3, 2: 2}))
    # Of 10 Pods, 6 are to be.
    actions.scale(own_chain, 9)
    eventually(own_chain.objects, replica_sets.ask_for(WEB, {1: 6, 2: 4}))
