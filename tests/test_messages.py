"""Messages of unmet conditions have one form: each function that returns a condition has an unmet sample here."""

import ast
from pathlib import Path
from typing import Any, cast

import pytest

from kubechain.conditions import (
    blockers,
    condition,
    containers,
    deployments,
    disruption,
    dns,
    dual_stack,
    endpoint_ports,
    endpoints,
    env,
    http,
    nodes,
    objects,
    printed,
    qos,
    replica_sets,
    scheduling,
    services,
    tokens,
)
from kubechain.conditions import pods as on_pods
from kubechain.conditions.condition import Condition, equal, expect
from kubechain.conditions.dns import Answer
from kubechain.conditions.http import Page
from kubechain.core.bundle import ROOT
from kubechain.kube.objects import KubeObject
from kubechain.observe import history, history_conditions
from kubechain.observe.history import History
from kubechain.probes import load
from kubechain.probes.load import Sample, Tally
from kubechain.upgrade import addon_config, availability, budget, invariants
from kubechain.upgrade.model import Route, RouteSamples, UpgradeRecord, Versions
from kubechain.upgrade.phases import After, During
from kubechain.workload.manifests import CONTAINER_PORT, LABELS, WEB
from tests.fakes import (
    FakeClock,
    changed,
    deployment,
    endpoint_slice,
    entry,
    not_ready,
    pod,
    replica_set,
    service,
    state,
    thing,
)
from tests.fakes import endpoints as endpoints_of

FOLDERS = ("kubechain/conditions", "kubechain/upgrade", "kubechain/probes/load.py", "kubechain/observe/history_conditions.py")
A, B = pod(0), pod(1)
SICK = state(not_ready(A), not_ready(B), deployment(), replica_set(spec={"replicas": 1}), service())
SLICE, ON_NODE = endpoint_slice(entry(A), entry(pod(9))), endpoint_slice({**entry(A), "nodeName": "n1"})
LISTED = state(A, B, service(), SLICE, endpoints_of(A))
REVISION = {"deployment.kubernetes.io/revision": "7"}
OLD = replica_set(annotations=REVISION)
BARE, LOOSE = changed(A, "status", {}), changed(A, "spec.nodeName", None)
NODE = thing("Node", "n1", spec={"taints": [{"key": "k", "effect": "NoSchedule"}]}, status={})
PAGES = [Page("http://10.96.0.9:80/", failure="timeout", detail="curl exit 28", seconds=3.0)] * 5
PRINTED = printed.Printed("NAME   TYPE\nweb    ClusterIP\n", "", state(A, service()))
ANSWERS = [Answer(WEB, "NOERROR", ("10.96.255.253",))]
LOST = Tally("NodePort", tuple(Sample(n, n, "down", "refused") for n in range(12)))
FEW = Tally("NodePort", (Sample(1, 1, "up"), Sample(2, 2, "unknown")))
BEFORE = state(A, B, deployment(), replica_set(), service(), SLICE)
NEW = changed(changed(deployment(), "metadata.uid", "new"), "metadata.labels", {"app": "other"})
CHANGE = history.ObjectChange(1, 30.0, 30.0, "DELETED", A)
CHANGES = [CHANGE, history.ObjectChange(2, 60.0, 60.0, "MODIFIED", NEW)]
ADDED = [history.ObjectChange(1, 30.0, 30.0, "ADDED", replica_set(name="more", uid="more"))]
RESTARTED = [history.ObjectChange(1, 30.0, 30.0, "MODIFIED", changed(A, "status.containerStatuses.0.restartCount", 2))]
RECORD = UpgradeRecord(
    ("1.36.3", "1.37.2"), 0, 12, (RouteSamples(Route("NodePort", "n1", "", reuse=False), LOST),), (),
    (Versions(1, "v1.36.3", {"n1": "v1.37.2"}, {}),), 0, 0, 1, upgraded_by_this_run=True,
)  # fmt: skip
DURING = During(cast("Any", None), RECORD, BEFORE, tuple(ADDED))
AFTER = After(
    cast("Any", None), None, "v1.37.2", "v1.37.2", {"n1": "v1.36.3"}, {"n1": ""}, state=BEFORE, configuration={}, unready=["n2"]
)


def log(*changes: tuple[history.Change, KubeObject]) -> History:
    made = History("ns", FakeClock())
    for change, resource in changes:
        made.record(change, resource)
    return made


READY = on_pods.ready(A.name)
# Module and function -> the condition and a state that does not meet it.
SAMPLES: dict[str, tuple[Condition[Any], Any]] = {
    "condition.all_of": (condition.all_of("small and even", lambda n: expect(n < 5, f"{n}")), 7),
    "condition.empty": (condition.empty("namespace"), ["a", "b", "c", "d", "e", "f", "g"]),
    "scheduling.scheduled": (scheduling.scheduled(LABELS, 3), SICK), "scheduling.bound": (scheduling.bound(LABELS), state(LOOSE)),
    "containers.waits_because": (containers.waits_because(A.name, "ErrImagePull"), SICK),
    "containers.pull_failed": (containers.pull_failed(A.name), SICK),
    "containers.unschedulable": (containers.unschedulable(A.name), SICK),
    "containers.restarted": (containers.restarted(A.name, A.uid, 1), SICK),
    "containers.counts_crashes": (containers.counts_crashes(A.name, 1), SICK),
    "containers.runs_unready": (containers.runs_unready(A.name, A.uid), state(A)),
    "deployments.observed": (deployments.observed(WEB), state(deployment(status={}))),
    "deployments.deployment": (deployments.deployment(WEB, "odd", lambda _: equal("spec.paused", None, wanted=True)), SICK),
    "deployments.at_revision": (deployments.at_revision(WEB, 2), SICK),
    "deployments.counts": (deployments.counts(WEB, 3), SICK),
    "deployments.replica_set": (deployments.replica_set(WEB, "odd", lambda _: expect(ok=False, got="it even")), SICK),
    "deployments.controls_one_replica_set": (deployments.controls_one_replica_set(WEB, 2), SICK),
    "deployments.named_by_hash": (
        deployments.named_by_hash(WEB), state(deployment(), replica_set(labels=LABELS))
    ),
    "deployments.hash_everywhere": (
        deployments.hash_everywhere(WEB), state(deployment(), replica_set(labels=LABELS))
    ),
    "deployments.annotated": (deployments.annotated(WEB, {"revision": "7", "max-replicas": "3"}), SICK),
    "deployments.replica_set_counts": (deployments.replica_set_counts(WEB, 1), SICK),
    "deployments.pods_controlled": (
        deployments.pods_controlled(WEB, LABELS), state(deployment(), replica_set(), changed(A, "metadata.ownerReferences", []))
    ),
    "deployments.pods_labelled": (
        deployments.pods_labelled(WEB), state(deployment(), replica_set(), changed(A, "metadata.labels", LABELS))
    ),
    "deployments.rolled_out": (deployments.rolled_out(WEB, 3, 1), SICK),
    "deployments.replica_sets": (deployments.replica_sets(WEB, {1: 0, 2: 4}), SICK),
    "deployments.within_bounds": (deployments.within_bounds(WEB, LABELS, 3, 2), SICK),
    "deployments.one_hash_at_a_time": (
        deployments.one_hash_at_a_time(LABELS), state(A, changed(B, "metadata.labels", {**LABELS, deployments.HASH: "77"}))
    ),
    "deployments.has_condition": (deployments.has_condition(WEB, "Progressing", "False", "ProgressDeadlineExceeded"), SICK),
    "deployments.current_replica_set_is": (deployments.current_replica_set_is(WEB, 2, lambda _: expect(ok=False, got="")), SICK),
    "deployments.other_hash": (deployments.other_hash(WEB, 1, replica_set()), SICK),
    "deployments.reuses_replica_set": (deployments.reuses_replica_set(WEB, 1, replica_set(uid="old")), SICK),
    "deployments.kept_at_zero": (deployments.kept_at_zero(WEB, replica_set()), SICK),
    "deployments.waits_for_dependents": (deployments.waits_for_dependents(WEB), SICK),
    "disruption.allows": (
        disruption.allows(1, of=3), thing("PodDisruptionBudget", "web", generation=2, status={"currentHealthy": 2})
    ),
    "disruption.refused_by_budget": (disruption.refused_by_budget(), (201, [])),
    "disruption.carried_out": (disruption.carried_out(), (429, ["DisruptionBudget"])),
    "disruption.evicted": (disruption.evicted(), 429),
    "dns.resolves_to": (dns.resolves_to("10.96.0.9"), ANSWERS),
    "dns.no_such_name": (dns.no_such_name(), ANSWERS),
    "dns.no_address": (dns.no_address(), ANSWERS),
    "dns.serves": (dns.serves(80, "web.ns.svc.cluster.local."), [Answer("_http._tcp.web", "NXDOMAIN")]),
    "dns.searches": (dns.searches("ns", "cluster.local"), "search a.b\n"),
    "dual_stack.has_families": (dual_stack.has_families(WEB, "RequireDualStack", ["IPv4", "IPv6"]), state(service())),
    "dual_stack.slices_of_each_family": (
        dual_stack.slices_of_each_family(WEB, LABELS, CONTAINER_PORT, 1), state(service(), A, endpoint_slice())
    ),
    "endpoints.slices_list_exactly": (endpoints.slices_list_exactly(WEB, LABELS, CONTAINER_PORT, 2), LISTED),
    "endpoints.endpoints_list_exactly": (endpoints.endpoints_list_exactly(WEB, LABELS, CONTAINER_PORT, 2), LISTED),
    "endpoints.no_address": (endpoints.no_address(WEB), LISTED),
    "endpoints.no_slices": (endpoints.no_slices(WEB), LISTED),
    "endpoints.slices_belong": (endpoints.slices_belong(WEB), state(service(), endpoint_slice(ownerReferences=[]))),
    "endpoints.on_their_nodes": (endpoints.on_their_nodes(WEB), LISTED),
    "endpoints.agree": (endpoints.agree(WEB), LISTED),
    "endpoints.lists": (endpoints.lists(WEB, A, B), LISTED),
    "endpoints.without": (endpoints.without(WEB, A.uid), LISTED),
    "endpoints.listed_unready": (endpoints.listed_unready(WEB, A.uid), LISTED),
    "endpoints.endpoint_is": (endpoints.endpoint_is(WEB, A.uid, ready=False, serving=True, terminating=True), LISTED),
    "endpoints.split_without_loss": (
        endpoints.split_without_loss(WEB, LABELS, CONTAINER_PORT, 1, at_most=100), state(A, endpoint_slice(entry(A)))
    ),
    "endpoint_ports.at_ports": (endpoint_ports.at_ports(WEB, (A, "http", 8080), (B, "http", 8081)), LISTED),
    "endpoint_ports.hints_for_own_node": (endpoint_ports.hints_for_own_node(WEB), state(service(), ON_NODE)),
    "printed.prints_all": (printed.prints_all("Service"), PRINTED),
    "printed.describes": (printed.describes("Pod"), PRINTED),
    "printed.describes_events": (printed.describes_events("Pod"), PRINTED),
    "printed.nothing_found": (printed.nothing_found(), PRINTED),
    "printed.prints_text": (printed.prints_text("Welcome"), PRINTED),
    "env.variables_are": (env.variables_are(WEB, env.service_variables(WEB, "10.96.0.9", 80)), {"WEB_SERVICE_HOST": "10.96.0.8"}),
    "env.has_variables": (env.has_variables("KUBERNETES_SERVICE_HOST"), {}),
    "http.all_welcome": (http.all_welcome("Welcome"), [*PAGES, Page("http://10.96.0.9:80/", 200, "odd")]),
    "http.every_backend": (http.every_backend(frozenset("ab"), ""), {"n1": [Page("http://n1/", 200, backend="a")] * 12}),
    "http.all_refused": (http.all_refused(), PAGES),
    "http.only_from": (http.only_from("a"), PAGES),
    "http.one_backend": (http.one_backend(), [Page("u", 200, backend="a"), Page("u", 200, backend="b")]),
    "http.spread_over": (http.spread_over(frozenset("ab")), [Page("u", 200, backend="a")] * 60),
    "http.none_slower": (http.none_slower(1.0), PAGES),
    "http.came_from": (http.came_from("10.0.0.7"), [Page("u", 200, source="10.244.0.1")]),
    "http.no_answer": (http.no_answer(), [Page("http://n1/", 200)]),
    "http.forbidden_to": (http.forbidden_to("system:serviceaccount:ns:x"), PAGES),
    "http.all_status": (http.all_status(503), [Page("http://n1/healthz", 200)]),
    "http.any_accepted": (http.any_accepted(), PAGES),
    "http.came_back": (http.came_back(), ("1 288894", "2 8192")),
    "http.echoed": (http.echoed("echo"), {"n1": "", "n2": "echo"}),
    "nodes.ready": (nodes.ready("n1"), state(NODE)),
    "nodes.unreachable": (nodes.unreachable("n1"), state(NODE)),
    "nodes.tainted": (nodes.tainted("n1", "unreachable"), state(NODE)),
    "objects.one": (objects.one("Pod", "x", "odd", lambda _: expect(ok=False, got="")), SICK),
    "objects.has": (objects.has("Deployment", WEB, {"spec.replicas": 3, "spec.paused": None}), SICK),
    "objects.present": (objects.present(changed(A, "metadata.uid", "other")), SICK),
    "objects.absent": (objects.absent("Pod", A.name), SICK),
    "objects.none_left": (objects.none_left("Pod", "Service"), SICK),
    "objects.controlled_by": (objects.controlled_by("Pod", A.name, None), SICK),
    "objects.any_event": (objects.any_event(), SICK),
    "objects.happened": (objects.happened("Pod", LABELS, "Scheduled", "Started"), SICK),
    "objects.never_happened": (objects.never_happened("Pod", LABELS, "Pulling", after="Pulled"), SICK),
    "objects.event_names": (objects.event_names("Pod", A.name, "Failed", "absent:1"), SICK),
    "objects.exists": (objects.exists("ServiceAccount default"), None),
    "objects.holds_certificate": (objects.holds_certificate("ca.crt"), thing("ConfigMap", "x", data={"other": ""})),
    "pods.exactly_ready": (on_pods.exactly_ready(LABELS, 2), SICK), "pods.ready": (on_pods.ready(A.name), SICK),
    "pods.every_pod": (on_pods.every_pod(LABELS, "odd", lambda each: expect(ok=False, got=each.name)), SICK),
    "pods.on_nodes": (on_pods.on_nodes(LABELS, {"n1": ["172.18.0.9"]}), SICK),
    "pods.conditions_true": (on_pods.conditions_true(LABELS), SICK),
    "containers.run_image": (containers.run_image(LABELS, "nginx:2"), SICK),
    "containers.run_image_of": (containers.run_image_of(LABELS, frozenset(["sha256:bb"])), SICK),
    "pods.same_and_ready": (on_pods.same_and_ready(A, B), SICK),
    "pods.in_pod_cidr": (on_pods.in_pod_cidr(LABELS, {"node-0": ["10.245.0.0/24"]}), SICK),
    "pods.never_restarted": (on_pods.never_restarted(LABELS), state(changed(A, "status.containerStatuses.0.restartCount", 2))),
    "pods.deleted": (on_pods.deleted("Pod", frozenset([A.uid])), SICK),
    "pods.controlled_count": (on_pods.controlled_count(replica_set().uid, 3), SICK),
    "pods.count": (on_pods.count(LABELS, 0), SICK),
    "pods.with_values": (on_pods.with_values(LABELS, {"status.qosClass": "BestEffort"}), SICK),
    "pods.tolerating": (on_pods.tolerating({"not-ready": 300, "unreachable": 300}, LABELS), SICK),
    "tokens.with_projected_token": (tokens.with_projected_token(LABELS), SICK),
    "pods.serving_elsewhere": (on_pods.serving_elsewhere(LABELS, "node-0", 2), state(A, B)),
    "replica_sets.ask_for": (replica_sets.ask_for(WEB, {1: 6, 2: 4}), SICK),
    "services.health_check_port": (services.health_check_port(WEB, allocated=True), SICK),
    "services.ingress_is": (services.ingress_is(WEB, "192.0.2.10"), SICK),
    "services.balanced": (services.balanced(WEB), LISTED),
    "services.service": (services.service(WEB, "odd", lambda _: expect(ok=False, got="it even")), SICK),
    "services.service_has": (services.service_has(WEB, {"spec.selector": {"app": "x"}}, port={"targetPort": 80}), SICK),
    "services.node_port_between": (services.node_port_between(WEB, 31000, 32767), SICK),
    "services.allocated_by_type": (services.allocated_by_type(WEB), state(changed(service(), "spec.clusterIP", ""))),
    "qos.follows_from_resources": (qos.follows_from_resources(LABELS), state(changed(A, "status.qosClass", "Guaranteed"))),
    "services.allocated": (services.allocated(WEB, cluster_ip=False, node_port=False), SICK),
    "history_conditions.seen_in_history": (history_conditions.seen_in_history(log(), READY), SICK),
    "history_conditions.at_every_moment": (history_conditions.at_every_moment(READY, after=0), log(("ADDED", not_ready(A)))),
    "history_conditions.deleted_in_order": (
        history_conditions.deleted_in_order(frozenset([A.uid]), frozenset([B.uid])),
        log(("DELETED", pod(0, version="9")), ("DELETED", pod(1, version="8"))),
    ),
    "load.enough_sent": (load.enough_sent(2000), FEW),
    "load.enough_sent_since": (load.enough_sent_since(1.0, 2000), FEW),
    "load.none_lost": (load.none_lost(2000), LOST),
    "blockers.nothing_blocks": (
        blockers.nothing_blocks("no Node that is not Ready"),
        blockers.unready_nodes([NODE]),
    ),
    "addon_config.kept": (addon_config.kept("CoreDNS", {"CoreDNS": "a\nb\n"}), {"CoreDNS": "a\n"}),
    "availability.kept_up": (availability.kept_up("NodePort"), RECORD),
    "availability.skew_allowed": (availability.skew_allowed(), RECORD),
    "availability.kubelets_as_wanted": (availability.kubelets_as_wanted(), AFTER),
    "availability.nodes_ready": (availability.nodes_ready(), AFTER),
    "availability.proxies_as_wanted": (availability.proxies_as_wanted(), AFTER),
    "invariants.unchanged": (invariants.unchanged(BEFORE, ["Deployment"]), CHANGES),
    "invariants.throughout": (invariants.throughout(invariants.none_added(BEFORE, "ReplicaSet")), DURING),
    "invariants.still_there": (invariants.still_there(BEFORE, ["Pod", "Service"]), state(service())),
    "invariants.never_restarted": (invariants.never_restarted(BEFORE, LABELS), RESTARTED),
    "invariants.none_added": (invariants.none_added(BEFORE, "ReplicaSet"), ADDED),
    "budget.held": (budget.held(BEFORE, LABELS, 2), CHANGES),
    "invariants.endpoints_follow": (invariants.endpoints_follow(BEFORE, WEB, until=99.0), CHANGES),
}  # fmt: skip


def conditions_made() -> set[str]:
    """Return module.function of each public function of FOLDERS that returns a condition."""
    found: set[str] = set()
    for folder in FOLDERS:
        place = Path(ROOT / folder)
        for file in [place] if place.is_file() else sorted(place.glob("*.py")):
            for each in ast.parse(file.read_text()).body:
                returned = ast.unparse(each.returns) if isinstance(each, ast.FunctionDef) and each.returns else ""
                if isinstance(each, ast.FunctionDef) and returned.startswith("Condition[") and not each.name.startswith("_"):
                    found.add(f"{file.stem}.{each.name}")
    return found


def test_every_function_that_returns_a_condition_has_a_sample() -> None:
    assert conditions_made() == set(SAMPLES)


def message_of(name: str) -> str:
    sample, unmet = SAMPLES[name]
    result = sample(unmet)
    assert not result.met, name
    return str(result)


BAD = ("not no", "not none", "not not", "Address(", "Page(", "Answer(", "KubeObject(", "frozenset(", "dict_", "None", "['", "{'")


@pytest.mark.parametrize("name", SAMPLES)
def test_message_has_the_one_form(name: str) -> None:
    message = message_of(name)
    assert (message.startswith("expected "), message.count(", got ")) == (True, 1)
    expected, _, got = message.removeprefix("expected ").partition(", got ")
    assert expected.strip()
    assert got.strip() or name.endswith((".current_replica_set_is", ".one"))
    assert [word for word in BAD if word in message] == []
    for opening, closing in ("()", "[]"):
        assert message.count(opening) == message.count(closing), message
    assert len(message) < 500
