"""The ReplicaSet that the Deployment makes, and how the two are tied together."""

from fixtures.claims import Link, claim
from fixtures.conditions import deployments
from fixtures.given import Eventually
from fixtures.observe import deadlines
from fixtures.workload.chain import Chain
from fixtures.workload.manifests import REPLICAS, WEB

DEPLOYMENT = "concepts/workloads/controllers/deployment/"
REPLICASET = "concepts/workloads/controllers/replicaset/"


@claim(
    "CHAIN-REPLICASET-010",
    link=Link.REPLICASET,
    spec=REPLICASET + "#how-a-replicaset-works",
    upstream="Deployment, RollingUpdate",
    opens=True,
)
def test_deployment_controls_one_replica_set(chain: Chain, eventually: Eventually) -> None:
    """A Deployment MUST control exactly one ReplicaSet, by UID and controller=true, that has made all its Pods."""
    eventually(chain.objects, deployments.owned_and_asking(WEB, REPLICAS), within=deadlines.CONTROLLER)


@claim("CHAIN-REPLICASET-020", link=Link.REPLICASET, spec=DEPLOYMENT + "#creating-a-deployment")
def test_name_ends_with_hash(chain: Chain, eventually: Eventually) -> None:
    """The ReplicaSet MUST be named [DEPLOYMENT-NAME]-[HASH], with the hash of its pod-template-hash label."""
    eventually(chain.objects, deployments.named_by_hash(WEB), within=deadlines.CONTROLLER)


@claim("CHAIN-REPLICASET-030", link=Link.REPLICASET, spec=DEPLOYMENT + "#pod-template-hash-label")
def test_hash_in_label_selector_and_template(chain: Chain, eventually: Eventually) -> None:
    """The ReplicaSet MUST have one pod-template-hash in its labels, its selector and its Pod template."""
    eventually(chain.objects, deployments.hash_everywhere(WEB), within=deadlines.CONTROLLER)


@claim("CHAIN-REPLICASET-040", link=Link.REPLICASET, spec=DEPLOYMENT + "#max-surge")
def test_annotations(chain: Chain, eventually: Eventually) -> None:
    """The ReplicaSet MUST be annotated with its revision, the desired replicas, and these plus maxSurge rounded up."""
    wanted = {"revision": "1", "desired-replicas": str(REPLICAS), "max-replicas": str(REPLICAS + 1)}
    eventually(chain.objects, deployments.annotated(WEB, wanted), within=deadlines.CONTROLLER)


@claim(
    "CHAIN-REPLICASET-050",
    link=Link.REPLICASET,
    spec=REPLICASET + "#how-a-replicaset-works",
    upstream="Replica Set, run basic image",
    after=[Link.PODS],
)
def test_status_counts_every_pod(chain: Chain, eventually: Eventually) -> None:
    """A ReplicaSet whose Pods are ready MUST count all of them as fully labelled, ready and available."""
    eventually(chain.objects, deployments.replica_set_counts(WEB, REPLICAS), within=deadlines.CONTROLLER)
