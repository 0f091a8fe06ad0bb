"""The Deployment: its status, its defaults and its validation."""

from kubechain.claims import premises
from kubechain.claims.claim import ClaimDecorator, Link
from kubechain.claims.requirements import right
from kubechain.conditions import deployments
from kubechain.conditions.objects import has, table_row
from kubechain.observe.protocols import Eventually
from kubechain.workload import actions, manifests
from kubechain.workload.chain import Chain
from kubechain.workload.manifests import WEB

claim = ClaimDecorator("concepts/workloads/controllers/deployment/")

# A condition that no controller sets.
WRITTEN = {"type": "Written", "status": "True"}
REFERENCE = "reference/kubernetes-api/workload-resources/deployment-v1/"


@claim("CHAIN-DEPLOYMENT-010", opens=True)
def test_controller_observes_the_generation(chain: Chain, eventually: Eventually) -> None:
    """The Deployment controller MUST report in status.observedGeneration the generation that it has acted on."""
    eventually(chain.objects, deployments.observed(WEB))


@claim(
    "CHAIN-DEPLOYMENT-020",
    spec="#deployment-status",
    upstream="Deployment, completes the lifecycle of a Deployment",
    after=[Link.PODS],
)
def test_status_counts_every_replica(chain: Chain, eventually: Eventually) -> None:
    """A Deployment whose Pods are ready MUST count all replicas as updated, ready and available, and none as not."""
    eventually(chain.objects, deployments.counts(WEB, chain.replicas))


@claim("CHAIN-DEPLOYMENT-030", spec="#complete-deployment", upstream="Deployment, status sub-resource", after=[Link.PODS])
def test_condition_available(chain: Chain, eventually: Eventually) -> None:
    """A Deployment whose Pods are available MUST have condition Available=True, MinimumReplicasAvailable."""
    condition = deployments.has_condition(WEB, "Available", "True", "MinimumReplicasAvailable")
    eventually(chain.objects, condition)


@claim("CHAIN-DEPLOYMENT-040", spec="#complete-deployment", upstream="Deployment, status sub-resource", after=[Link.PODS])
def test_condition_progressing(chain: Chain, eventually: Eventually) -> None:
    """A Deployment whose rollout is complete MUST have condition Progressing=True, NewReplicaSetAvailable."""
    condition = deployments.has_condition(WEB, "Progressing", "True", "NewReplicaSetAvailable")
    eventually(chain.objects, condition)


@claim("CHAIN-DEPLOYMENT-050", spec="#writing-a-deployment-spec", premises=premises.DEPLOYMENT_DEFAULTS)
def test_defaults(chain: Chain, eventually: Eventually) -> None:
    """A bare Deployment MUST roll by 25% surge and 25% unavailable, keep 10 revisions and wait 600 s."""
    wanted = {premise.path: premise.value for premise in premises.DEPLOYMENT_DEFAULTS}
    eventually(chain.objects, has("Deployment", WEB, wanted))


@claim("CHAIN-DEPLOYMENT-060", spec="#checking-rollout-history-of-a-deployment")
def test_first_revision(chain: Chain, eventually: Eventually) -> None:
    """A new Deployment MUST carry the annotation deployment.kubernetes.io/revision with the value 1."""
    eventually(chain.objects, deployments.at_revision(WEB, 1))


@claim("CHAIN-DEPLOYMENT-070", spec="#selector")
def test_selector_must_match_the_template(chain: Chain) -> None:
    """A Deployment whose selector does not match its own Pod template MUST be refused as invalid."""
    manifest = manifests.deployment(chain.image, name="astray")
    manifest["spec"]["selector"] = {"matchLabels": {"app": "another"}}
    refused = actions.refusal(lambda: chain.api.create(manifest, chain.namespace))
    assert (refused.status, refused.reason) == (422, "Invalid")
    assert "selector" in refused.detail


@claim("CHAIN-DEPLOYMENT-080", spec="#label-selector-updates", requires=[right("patch", "deployments")])
def test_selector_is_immutable(chain: Chain) -> None:
    """A change of a Deployment's selector MUST be refused as invalid."""
    another = {
        "selector": {"matchLabels": {"tier": "another"}},
        "template": {"metadata": {"labels": {"tier": "another"}}},
    }
    refused = actions.refusal(lambda: actions.deployment(chain, another))
    assert (refused.status, refused.reason) == (422, "Invalid")
    assert "immutable" in refused.detail


@claim("CHAIN-DEPLOYMENT-090", spec="reference/using-api/api-concepts/#receiving-resources-as-tables", after=[Link.PODS])
def test_table_agrees_with_status(chain: Chain, eventually: Eventually) -> None:
    """READY, UP-TO-DATE and AVAILABLE of the served table MUST say what the Deployment's status says."""
    replicas = chain.replicas
    eventually(chain.objects, deployments.counts(WEB, replicas))
    row = table_row(chain.api.table("Deployment", chain.namespace), WEB)
    cells = row["Ready"], row["Up-to-date"], row["Available"]
    assert cells == (f"{replicas}/{replicas}", str(replicas), str(replicas))


@claim("CHAIN-DEPLOYMENT-100", after=[Link.PODS], level="full", requires=[right("patch", "deployments")])
def test_observed_generation_follows(own_chain: Chain, eventually: Eventually) -> None:
    """After a change of its spec a Deployment MUST have a higher generation, and its controller MUST observe it."""
    before = own_chain.deployment.at("metadata.generation")
    after = actions.deployment(own_chain, {"minReadySeconds": 1}).at("metadata.generation")
    assert after > before
    wanted = {"metadata.generation": after, "status.observedGeneration": after}
    eventually(own_chain.objects, has("Deployment", WEB, wanted))


@claim(
    "CHAIN-DEPLOYMENT-110",
    spec=REFERENCE,
    upstream="Deployment, status sub-resource",
    after=[Link.PODS],
    level="full",
    requires=[right("patch", "deployments/status"), right("update", "deployments/status")],
)
def test_status_can_be_written(own_chain: Chain, eventually: Eventually) -> None:
    """A condition that is written to a Deployment's status, by patch or update, MUST be stored beside those of its controller."""
    patched = actions.patch_status(own_chain, own_chain.deployment, {"conditions": [{**WRITTEN, "reason": "Patched"}]})
    eventually(own_chain.objects, deployments.has_condition(WEB, "Written", "True", "Patched"))
    actions.replace_status(own_chain, patched, {**patched.at("status"), "conditions": [{**WRITTEN, "reason": "Replaced"}]})
    eventually(own_chain.objects, deployments.has_condition(WEB, "Written", "True", "Replaced"))
    eventually(own_chain.objects, deployments.has_condition(WEB, "Available", "True", "MinimumReplicasAvailable"))


@claim(
    "CHAIN-DEPLOYMENT-120",
    spec=REFERENCE,
    after=[Link.PODS],
    level="full",
    requires=[right("patch", "deployments/status"), right("update", "deployments/status")],
)
def test_status_leaves_the_spec_alone(own_chain: Chain) -> None:
    """A change through the status subresource of a Deployment MUST NOT change its spec, whatever spec is sent with it."""
    before = own_chain.deployment
    other = {**before.at("spec"), "replicas": own_chain.replicas + 1, "paused": True}
    patched = actions.patch_status(own_chain, before, {"conditions": [{**WRITTEN, "reason": "Patched"}]}, spec=other)
    assert patched.at("spec") == before.at("spec")
    status = {**patched.at("status"), "conditions": [{**WRITTEN, "reason": "Replaced"}]}
    assert actions.replace_status(own_chain, patched, status, spec=other).at("spec") == before.at("spec")
