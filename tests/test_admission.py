"""What admission changed of what was sent, who may have done it, and whether a claim still applies."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.claims import premises
from kubechain.claims.claim import Link
from kubechain.cluster.access import Access
from kubechain.conditions.admission import Change, beyond, changes, stated, told_by
from kubechain.core.errors import NotApplicable
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import Json, KubeObject
from kubechain.kube.overlay import Overlay, PodPatch, Toleration
from kubechain.kube.shape import Shape
from kubechain.observe.history import History
from kubechain.observe.wait import Waiter
from kubechain.pytest.gating import require_premises
from kubechain.workload import manifests, service_manifests, unchanged
from kubechain.workload.admission import Admission, usual_of
from kubechain.workload.chain import Chain
from kubechain.workload.gates import GATES, RESTS, Gatekeeper
from suites.chain.test_5_endpoint_ports import test_endpoints_are_hinted_for_their_node as hints
from tests.fakes import FakeApi, FakeClock, changed, claim_of, healthy, pod, service, thing

POLICY = {"metadata": {"name": "links-off"}, "spec": {"matchConstraints": {"resourceRules": [{"resources": ["pods"]}]}}}
HOOK = {"metadata": {"name": "mesh"}, "webhooks": [{"rules": [{"resources": ["pods", "services/status"]}]}, {"rules": None}]}
SENT = service_manifests.service(kind=service_manifests.NODE_PORT)
STICKY = "spec.sessionAffinity"


def admission(*, owned: bool = False, policies: list[Json] | None = None, hooks: list[Json] | None = None) -> Admission:
    def answer(_method: str, path: str, _body: object) -> str:
        if "mutatingadmissionpolicies" in path and policies is None:
            raise ApiRefused(404, "NotFound", "before Kubernetes 1.36")
        return json.dumps({"items": policies if "mutatingadmissionpolicies" in path else hooks or []})

    return Admission(FakeApi(answer), Access(None), owned)


def stored(sent: Json, **spec: object) -> KubeObject:
    """Return an object as an API server stores it: with more fields, and these in its spec."""
    body = {**sent, "metadata": {**sent["metadata"], "uid": "u"}, "spec": {**sent["spec"], "clusterIP": "10.96.0.9", **spec}}
    return KubeObject(body)


def chain_of(*objects: KubeObject, who: Admission | None = None) -> Chain:
    clock = FakeClock()
    history = History("ns", clock)
    for each in objects:
        history.record("ADDED", each)
    observer = cast("Any", SimpleNamespace(history=history))
    return Chain(
        cast("Any", None), "ns", observer, Waiter(clock), (), "host", "nginx", frozenset(), "client", 2,
        admission=who or admission(), sent=(SENT,),
    )  # fmt: skip


def test_fields_that_are_added_are_no_change_of_what_was_sent() -> None:
    sent = manifests.client_pod("a", "c:1")
    sidecar: Json = {"name": "proxy", "image": "p"}
    containers: list[Json] = [sidecar, {**sent["spec"]["containers"][0], "env": [], "terminationMessagePolicy": "File"}]
    assert changes(sent, stored(sent, containers=containers, tolerations=[{"key": "k"}])) == []


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        ({"selector": {"app": "another"}}, "Service web spec.selector.app another instead of web"),
        ({"selector": None}, "Service web no spec.selector.app instead of web"),
        ({"type": "ClusterIP"}, "Service web spec.type ClusterIP instead of NodePort"),
        ({"ports": [{"port": 80, "targetPort": 8081}]}, "Service web spec.ports[80].targetPort 8081 instead of 8080"),
        ({"ports": [{"port": 81, "targetPort": 8080}]}, "Service web spec.ports[80].port 81 instead of 80"),
    ],
)
def test_change_names_the_field_and_both_values(spec: Json, shown: str) -> None:
    assert list(map(str, changes(SENT, stored(SENT, **spec)))) == [shown]


def test_empty_fields_that_are_not_stored_are_no_change_and_are_stated_all_the_same() -> None:
    sent = service_manifests.headless("headless")
    kept = stored(sent, clusterIP="None")
    del kept.body["spec"]["publishNotReadyAddresses"]
    assert changes(sent, kept) == []
    assert changes(sent, stored(sent, publishNotReadyAddresses=True))
    assert stated(sent)["spec", "publishNotReadyAddresses"] is False


def test_entries_of_lists_are_told_apart_by_their_names_and_not_by_their_places() -> None:
    sent = manifests.client_pod("a", "c:1")
    mine = {**sent["spec"]["containers"][0], "image": "mirror/c:1"}
    (change,) = changes(sent, stored(sent, containers=[{"name": "proxy", "image": "c:1"}, mine]))
    assert str(change) == "Pod a spec.containers[client].image mirror/c:1 instead of c:1"


def test_claim_rests_on_what_it_sets_beyond_the_usual_manifest() -> None:
    obedient = manifests.obedient_pod("a", "c:1")
    names = {".".join(path) for path in beyond(obedient, usual_of(obedient))}
    assert names == {"spec.containers.[client].command", "spec.terminationGracePeriodSeconds", "spec.restartPolicy"}
    plain = manifests.client_pod("a", "c:1", {"app": "x"})
    assert beyond(plain, usual_of(plain)) == set()
    rolling = manifests.rolling(manifests.deployment("n:1", replicas=4), 1, 1)
    assert {path[-1] for path in beyond(rolling, usual_of(rolling))} == {"replicas", "type", "maxSurge", "maxUnavailable"}
    web = manifests.web_pod("a", "n:1")
    assert beyond(web, usual_of(web)) == set()
    many = manifests.many_pods("many", "c:1", 101)
    assert beyond(many, usual_of(many)) == {("spec", "replicas")}
    sticky = service_manifests.with_policy("s", sessionAffinity="ClientIP")
    assert ("spec", "sessionAffinity") in beyond(sticky, usual_of(sticky))
    assert set(stated(SENT)) - beyond(SENT, usual_of(SENT)) == {("metadata", "name"), ("metadata", "labels", "app")}


def test_created_object_without_what_the_claim_set_ends_the_claim() -> None:
    sent = service_manifests.with_policy("s", sessionAffinity="ClientIP")
    with pytest.raises(NotApplicable, match=r"Service s spec.sessionAffinity None instead of ClientIP"):
        admission().require_kept(sent, stored(sent, sessionAffinity="None"))
    assert admission().require_kept(sent, stored(sent)).name == "s"
    pod_sent = manifests.client_pod("a", "c:1")
    admission().require_kept(pod_sent, stored(pod_sent, terminationGracePeriodSeconds=30))


def shaped() -> Admission:
    """Return who may change objects on a cluster whose run has an overlay and chooses its Nodes."""
    tolerations = [Toleration(key="dedicated", operator="Exists")]
    overlay = Overlay(pods=PodPatch(tolerations=tuple(tolerations), labels={"team": "shop"}, runAsUser=1000))
    there = admission()
    there.api.shape = Shape("r", overlay, {"pool": "a"})
    return there


def test_created_object_is_compared_with_what_was_sent_in_the_shape_of_the_run() -> None:
    there = shaped()
    for manifest in (
        manifests.obedient_pod("a", "c:1"),
        manifests.bare_pod("bare", "c:1"),
        manifests.deployment("n:1", replicas=4),
    ):
        sent = there.api.shape.apply(manifest)
        assert there.require_kept(manifest, stored(sent)).name == manifest["metadata"]["name"]
    # What every object of the run has is no premise of a claim that sets something else.
    plain = there.api.shape.apply(manifests.client_pod("a", "c:1"))
    security = {"runAsUser": 2000}
    there.require_kept(manifests.client_pod("a", "c:1"), stored(plain, securityContext=security, nodeSelector={}, tolerations=[]))


def test_bare_pod_without_its_token_ends_the_claims_on_it() -> None:
    there, bare = shaped(), manifests.bare_pod("bare", "c:1")
    changed_there = stored(there.api.shape.apply(bare), automountServiceAccountToken=False)
    with pytest.raises(NotApplicable, match=r"Pod bare spec.automountServiceAccountToken false instead of true"):
        there.require_kept(bare, changed_there)


def test_patch_is_compared_as_it_was_sent() -> None:
    patch: Json = {"kind": "Deployment", "spec": {"replicas": 4}}
    there = stored(manifests.deployment("n:1"), replicas=3)
    with pytest.raises(NotApplicable, match=r"Deployment web spec.replicas 3 instead of 4"):
        shaped().require_patched(patch, there)
    assert shaped().require_patched(patch, stored(manifests.deployment("n:1"), replicas=4)).name == "web"


@pytest.mark.parametrize("spelled", [0.5, "0.5", "500m", "500000u"])
def test_quantity_that_is_spelled_otherwise_is_no_change(spelled: object) -> None:
    sent: Json = {"kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "resources": {"limits": {}}}]}}
    kept = stored(sent, containers=[{"name": "c", "resources": {"limits": {"cpu": "500m"}}}])
    sent["spec"]["containers"][0]["resources"]["limits"] = {"cpu": spelled}
    assert changes(sent, kept) == []
    sent["spec"]["containers"][0]["resources"]["limits"] = {"cpu": "1"}
    assert list(map(str, changes(sent, kept))) == ["Pod a spec.containers[c].resources.limits.cpu 500m instead of 1"]


def test_reason_names_the_policies_and_webhooks_that_may_have_changed_it() -> None:
    found = [(Change("Pod a", ("spec", "enableServiceLinks"), wanted=True, there=False), pod(0))]
    with pytest.raises(NotApplicable) as raised:
        admission(policies=[POLICY], hooks=[HOOK]).require_unchanged(found)
    said = "changed at admission: Pod a spec.enableServiceLinks false instead of true"
    assert str(raised.value) == f"{said} by MutatingAdmissionPolicy links-off or MutatingWebhookConfiguration mesh"
    with pytest.raises(NotApplicable, match=f"{said} by MutatingWebhookConfiguration mesh$"):
        admission(hooks=[HOOK]).require_unchanged(found)
    with pytest.raises(NotApplicable, match=f"{said}$"):
        admission(hooks=[]).require_unchanged(found)


def test_nothing_was_changed_at_admission_on_a_cluster_of_our_own_without_policies() -> None:
    found = [(Change("Deployment web", ("spec", "replicas"), 2, 3), thing("Deployment", "web"))]
    admission(owned=True, policies=[POLICY], hooks=[HOOK]).require_unchanged(found)
    with pytest.raises(NotApplicable):
        admission(owned=True, policies=[{**POLICY, "spec": {"matchConstraints": {"resourceRules": [{"resources": ["*"]}]}}}]
                  ).require_unchanged(found)  # fmt: skip
    scaling = {**HOOK, "webhooks": [{"rules": [{"resources": ["deployments/scale"]}]}]}
    scale = [(Change("Scale web", ("spec", "replicas"), 2, 3), thing("Scale", "web"))]
    with pytest.raises(NotApplicable):
        admission(owned=True, hooks=[scaling]).require_unchanged(scale)


def test_object_tells_who_changed_it() -> None:
    fields: Json = {"f:spec": {"f:containers": {'k:{"name":"nginx"}': {"f:image": {}}}, "f:replicas": {}}}
    managed: list[Json] = [
        {"manager": "kubechain", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        {"manager": "argocd", "fieldsV1": fields},
    ]
    resource = thing("Deployment", "web", managedFields=managed, annotations={"kubernetes.io/limit-ranger": "set: cpu"})
    assert told_by(resource, ("spec", "replicas")) == "the field manager argocd"
    assert told_by(resource, ("spec", "containers", "[nginx]", "image")) == "the field manager argocd"
    assert told_by(resource, ("spec", "containers", "[other]", "image")) == ""
    assert told_by(resource, ("spec", "paused")) == ""
    assert told_by(resource, ("spec", "containers", "[nginx]", "resources")) == "a LimitRange"


@pytest.mark.parametrize("maker", ["kubechain/CHAIN", "kubectl-create", "kubectl-expose", "kubectl-run"])
def test_who_made_an_object_has_not_changed_it_at_admission(maker: str) -> None:
    made = thing("Service", "nginx", managedFields=[{"manager": maker, "fieldsV1": {"f:spec": {"f:type": {}}}}])
    assert told_by(made, ("spec", "type")) == ""


def test_premises_hold_for_defaults_and_for_missing_fields_and_not_for_other_values() -> None:
    (affinity, distribution, *topology) = premises.SPREAD[:-1]
    assert affinity.holds(service())
    assert affinity.holds(changed(service(), STICKY, "None"))
    assert not affinity.holds(changed(service(), STICKY, "ClientIP"))
    assert not distribution.holds(changed(service(), "spec.trafficDistribution", "PreferClose"))
    aware = changed(service(), "metadata.annotations", {"service.kubernetes.io/topology-mode": "Auto"})
    assert [each.holds(aware) for each in topology] == [False, True, True]
    near = changed(service(), "metadata.annotations", {"networking.istio.io/traffic-distribution": "PreferSameZone"})
    assert [each.holds(near) for each in topology] == [True, True, False]
    assert all(each.holds(service()) for each in topology)
    not_ready, unreachable = premises.TOLERATED_300_S
    for toleration, wanted in (
        ({"key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "tolerationSeconds": 300}, (True, True)),
        ({"key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "tolerationSeconds": 60}, (False, True)),
        ({"operator": "Exists"}, (False, False)),
        ({"operator": "Exists", "effect": "NoSchedule"}, (True, True)),
    ):
        there = changed(pod(0), "spec.tolerations", [toleration])
        assert (not_ready.holds(there), unreachable.holds(there)) == wanted


def test_claim_whose_premise_is_gone_does_not_apply_and_others_do() -> None:
    chain = chain_of(changed(service(), STICKY, "ClientIP"))
    with pytest.raises(NotApplicable, match=r"Service web spec.sessionAffinity ClientIP instead of None"):
        require_premises(claim_of(Link.CLUSTERIP, premises=premises.SPREAD), chain)
    require_premises(claim_of(Link.CLUSTERIP), chain)
    aware = chain_of(changed(service(), "metadata.annotations", {"service.kubernetes.io/topology-mode": "Auto"}))
    with pytest.raises(NotApplicable, match=r"topology-mode\] Auto"):
        require_premises(hints.pytestmark[0].args[0], aware)  # pyright: ignore[reportFunctionMemberAccess]  # of the decorator
    with pytest.raises(NotApplicable, match="internalTrafficPolicy"):
        require_premises(claim_of(Link.CLUSTERIP), chain_of(changed(service(), "spec.internalTrafficPolicy", "Local")))


def test_gate_whose_premise_is_gone_is_neither_asked_nor_shut() -> None:
    chain, keeper = chain_of(changed(service(), "spec.externalTrafficPolicy", "Local")), Gatekeeper()
    assert RESTS[Link.NODEPORT] == premises.NODE_PORTS
    assert Link.NODEPORT in GATES
    keeper.admit([Link.NODEPORT], chain, chain.waiter)
    assert (keeper.why_shut(Link.NODEPORT), keeper.opened, chain.waiter.record) == (None, set(), [])


def test_changed_service_that_leads_to_the_same_pods_is_no_failure_and_another_is_for_the_claim() -> None:
    labelled = [changed(pod(number), "metadata.labels.team", "a") for number in (0, 1)]
    ports = [{"name": "http", "containerPort": 8080}]
    pods = [changed(changed(each, "spec.containers.0.ports", ports), "spec.containers.0.name", "nginx") for each in labelled]
    wider = changed(service(), "spec.selector", {"app": "web", "team": "a"})
    with pytest.raises(NotApplicable, match=r"spec.selector app=web, team=a instead of app=web"):
        unchanged.require_written_service(chain_of(wider, *pods))
    named = changed(service(), "spec.ports.0.targetPort", "http")
    with pytest.raises(NotApplicable, match="targetPort http instead of 8080"):
        unchanged.require_written_service(chain_of(named, *pods))
    for broken in (
        changed(service(), "spec.selector", {"app": "another"}),
        changed(service(), "spec.ports.0.targetPort", 8081),
        changed(service(), "spec.ports.0.port", 81),
        service(),
    ):
        unchanged.require_written_service(chain_of(broken, *pods))


def test_pods_with_another_image_than_their_template_do_not_say_whether_images_are_kept() -> None:
    template = {"metadata": {}, "spec": {"containers": [{"name": "proxy", "image": "p"}, {"name": "nginx", "image": "nginx:1"}]}}
    deployment, *rest = healthy()
    deployment = changed(deployment, "spec.template", template)
    assert unchanged.template_image(chain_of(deployment, *rest)) == "nginx:1"
    mirrored = [changed(each, "spec.containers.0.image", "mirror/nginx:1") if each.kind == "Pod" else each for each in rest]
    with pytest.raises(NotApplicable, match=r"spec.containers\[nginx\].image mirror/nginx:1 instead of nginx:1"):
        unchanged.template_image(chain_of(deployment, *mirrored))


def test_chain_lists_what_was_changed_for_the_verdict() -> None:
    there = changed(service(), "metadata.labels", {"app": "web"})
    assert list(map(str, chain_of(changed(there, "spec.selector", {"app": "another"})).changes())) == [
        "Service web spec.selector.app another instead of web"
    ]
    assert chain_of(there).changes() == []
