"""The Deployment: what its controller makes of it, and what the API server fills in."""

from fixtures.claims import Link, claim
from fixtures.conditions import deployments
from fixtures.given import Eventually
from fixtures.observe import deadlines
from fixtures.workload.chain import Chain
from fixtures.workload.manifests import REPLICAS, WEB

DEPLOYMENT = "concepts/workloads/controllers/deployment/"


@claim("CHAIN-DEPLOYMENT-010", link=Link.DEPLOYMENT, spec=DEPLOYMENT, opens=True)
def test_controller_observes_the_generation(chain: Chain, eventually: Eventually) -> None:
    """The Deployment controller MUST report in status.observedGeneration the generation that it has acted on."""
    eventually(chain.objects, deployments.observed(WEB), within=deadlines.CONTROLLER)


@claim(
    "CHAIN-DEPLOYMENT-020",
    link=Link.DEPLOYMENT,
    spec=DEPLOYMENT + "#deployment-status",
    upstream="Deployment, completes the lifecycle of a Deployment",
    after=[Link.PODS],
)
def test_status_counts_every_replica(chain: Chain, eventually: Eventually) -> None:
    """A Deployment whose Pods are ready MUST count all replicas as updated, ready and available, and none as not."""
    eventually(chain.objects, deployments.counts(WEB, REPLICAS), within=deadlines.CONTROLLER)


@claim(
    "CHAIN-DEPLOYMENT-030",
    link=Link.DEPLOYMENT,
    spec=DEPLOYMENT + "#complete-deployment",
    upstream="Deployment, should validate Deployment Status endpoints",
    after=[Link.PODS],
)
def test_condition_available(chain: Chain, eventually: Eventually) -> None:
    """A Deployment whose Pods are available MUST have condition Available=True, MinimumReplicasAvailable."""
    condition = deployments.reports(WEB, "Available", "MinimumReplicasAvailable")
    eventually(chain.objects, condition, within=deadlines.CONTROLLER)


@claim(
    "CHAIN-DEPLOYMENT-040",
    link=Link.DEPLOYMENT,
    spec=DEPLOYMENT + "#complete-deployment",
    upstream="Deployment, should validate Deployment Status endpoints",
    after=[Link.PODS],
)
def test_condition_progressing(chain: Chain, eventually: Eventually) -> None:
    """A Deployment whose rollout is complete MUST have condition Progressing=True, NewReplicaSetAvailable."""
    condition = deployments.reports(WEB, "Progressing", "NewReplicaSetAvailable")
    eventually(chain.objects, condition, within=deadlines.CONTROLLER)


@claim("CHAIN-DEPLOYMENT-050", link=Link.DEPLOYMENT, spec=DEPLOYMENT + "#writing-a-deployment-spec")
def test_defaults(chain: Chain, eventually: Eventually) -> None:
    """A bare Deployment MUST roll by 25% surge and 25% unavailable, keep 10 revisions and wait 600 s."""
    wanted = {
        "spec.strategy.type": "RollingUpdate",
        "spec.strategy.rollingUpdate.maxSurge": "25%",
        "spec.strategy.rollingUpdate.maxUnavailable": "25%",
        "spec.revisionHistoryLimit": 10,
        "spec.progressDeadlineSeconds": 600,
    }
    eventually(chain.objects, deployments.has(WEB, wanted), within=deadlines.CONTROLLER)


@claim("CHAIN-DEPLOYMENT-060", link=Link.DEPLOYMENT, spec=DEPLOYMENT + "#checking-rollout-history-of-a-deployment")
def test_first_revision(chain: Chain, eventually: Eventually) -> None:
    """A new Deployment MUST carry the annotation deployment.kubernetes.io/revision with the value 1."""
    eventually(chain.objects, deployments.at_revision(WEB, 1), within=deadlines.CONTROLLER)
