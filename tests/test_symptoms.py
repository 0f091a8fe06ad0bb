"""The symptom of each fault matches the `got` of its claims' messages under the fault, and not their `expected`."""

import re
from typing import Any

import pytest

from kubechain.conditions import deployments, dns, endpoints, env, http, nodes, objects, pods, services, timeouts, tokens
from kubechain.conditions.condition import Result
from kubechain.conditions.dns import Answer
from kubechain.conditions.http import Page
from kubechain.conditions.timeouts import Timeout
from kubechain.faults.catalogue import selection
from kubechain.faults.testbed import NOBODY
from kubechain.kube.objects import Json, KubeObject
from kubechain.workload.manifests import CONTAINER_PORT, LABELS, SERVICE_PORT, WEB, WELCOME
from tests.fakes import changed, conditions, deployment, endpoint_slice, entry, not_ready, pod, replica_set, service, state, thing
from tests.fakes import endpoints as endpoints_of
from tests.symptoms_of_upgrades import UPGRADES, Unmet

A, B = pod(0), pod(1)
AT = "http://10.96.0.9:80/"
BOTH = frozenset([A.name, B.name])
PODS_READY = pods.exactly_ready(LABELS, 2)
WELCOMES = http.all_welcome(WELCOME)
BACKENDS = http.every_backend(BOTH, WELCOME)
SLICES = endpoints.slices_list_exactly(WEB, LABELS, CONTAINER_PORT, 2)
LEGACY = endpoints.endpoints_list_exactly(WEB, LABELS, CONTAINER_PORT, 2)
RESOLVES = dns.resolves_to("10.96.0.9")


def pending(kind: str, status: str = "False", **why: str) -> Unmet:
    """Return the condition that two Pods are ready, and a state in which one has not come further than `kind`."""
    before = dict.fromkeys(pods.READY_CONDITIONS[: pods.READY_CONDITIONS.index(kind)], "True")
    reported = [*conditions(**before), *([{"type": kind, "status": status, **why}] if status else [])]
    return PODS_READY, state(changed(A, "status.conditions", reported), B)


def waiting(reason: str, kind: str = "ContainersReady") -> Unmet:
    unready = {"name": "nginx", "restartCount": 0, "state": {"waiting": {"reason": reason, "message": "no such image"}}}
    status = {"conditions": [*conditions(PodScheduled="True", Initialized="True"), {"type": kind, "status": "False"}]}
    return PODS_READY, state(changed(A, "status", {**status, "containerStatuses": [unready]}), B)


def answer(**over: Any) -> list[Page]:
    given: Json = {"status": 200, "body": WELCOME, "backend": A.name, "seconds": 0.01}
    return [Page(AT, **{**given, **over})]


def failure(kind: http.Failure, code: int) -> list[Page]:
    return [Page(AT, failure=kind, detail=f"curl exit {code}", seconds=3.0)]


TIMEOUT, REFUSED = failure("timeout", 28), failure("refused", 7)
ONE_ONLY: Unmet = (BACKENDS, {AT: answer() * 12})
MADE = replica_set(status={"replicas": 0})
NO_OBSERVER: Unmet = (deployments.observed(WEB), state(deployment(status={})))
NO_PODS: Unmet = (deployments.controls_one_replica_set(WEB, 2), state(deployment(), MADE))
UNSCHEDULED = pending("PodScheduled", reason="Unschedulable", message="0/3 nodes are available: 2 node(s) had untolerated taint")
REFUSES = "no verdict: the cluster refuses objects of this run"
DENIED = (
    f"{REFUSES}: Pod web, Pod client: ValidatingAdmissionPolicy 'pods-denied' with binding 'pods-denied' denied request: no Pod"
)
UNREPORTED = pending("Initialized", status="")


def the_service(path: str, value: object) -> Unmet:
    port = {"port": SERVICE_PORT, "targetPort": CONTAINER_PORT, "protocol": "TCP"}
    return services.service_has(WEB, {"spec.selector": LABELS}, port=port), state(changed(service(), path, value))


def resolved(*data: str, name: str = WEB, rcode: str = "NOERROR") -> Unmet:
    return RESOLVES, [Answer(name, rcode, data)]


def left(kind: str, resource: KubeObject) -> Unmet:
    return pods.deleted(kind, frozenset([resource.uid])), state(resource)


NODE = thing("Node", "kind-worker", status={"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]})
LISTED = state(A, not_ready(B), endpoint_slice(entry(A), entry(B)), endpoints_of(A, B))
FOREIGN = endpoint_slice(entry(A), entry(B), {"addresses": [NOBODY]})
ENDING = {"ready": True, "serving": True, "terminating": False}
EMPTIED = state(A, B, endpoint_slice(entry(A), entry(B)), endpoints_of())
STUCK = waiting("ImagePullBackOff")[1].all("Pod")[0]
UNPLACED = state(changed(A, "status.conditions", []))
COUNTED = dict.fromkeys(("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas"), 2)
MISCOUNTED = dict.fromkeys(("readyReplicas", "availableReplicas"), 1)
NO_BACKEND: Unmet = (WELCOMES, [Page("/proxy/", failure="other", detail="API server https://127.0.0.1:1: unreachable")])
STOPPED = [UNREPORTED, pending("Initialized"), pending("ContainersReady"), (PODS_READY, state()), UNSCHEDULED]
OFF = [NO_OBSERVER]
LOST_NODE = [
    (nodes.unreachable(NODE.name), state(NODE)),
    (nodes.tainted(NODE.name, "unreachable"), state(NODE)),
    (endpoints.without(WEB, A.uid), LISTED),
]
# Fault -> what its claims look at, unmet as it is under the fault; a text where the message is not that of a condition.
UNMET: dict[str, list[Unmet] | str] = {
    "scheduler-stopped": [pending("PodScheduled", status="")],
    "scheduler-frozen": [pending("PodScheduled", status="")],
    "controller-manager-stopped": OFF,
    "controller-manager-frozen": OFF,
    "deployment-controller-off": OFF,
    "replicaset-controller-off": [NO_PODS, (NO_PODS[0], state(deployment(), replica_set(status={})))],
    "endpoints-controller-off": [(LEGACY, state(A, B))],
    "endpointslice-controller-off": [(SLICES, state(A, B))],
    "garbage-collector-controller-off": [left("ReplicaSet", MADE), left("Pod", A)],
    "namespace-controller-off": [
        (pods.count(LABELS, 0), state(A, B)),
        (objects.absent("Deployment", WEB), state(deployment())),
    ],
    "serviceaccount-controller-off": [(objects.exists("ServiceAccount default"), None)],
    "root-ca-certificate-publisher-controller-off": [
        (objects.holds_certificate("ca.crt"), None),
        (objects.holds_certificate("ca.crt"), thing("ConfigMap", "kube-root-ca.crt")),
        waiting("ContainerCreating"),
    ],
    "endpointslice-rights-lost": [(SLICES, state(A, B))],
    "node-port-range-moved": [
        (services.node_port_between(WEB, 30000, 32767), state(changed(service(), "spec.ports.0.nodePort", 20034)))
    ],
    "tolerations-admission-off": [(pods.tolerating({"not-ready": 300, "unreachable": 300}, LABELS), state(A, B))],
    "serviceaccount-admission-off": [(tokens.with_projected_token(LABELS), state(A, B))],
    "slice-owner-stripped": [
        (endpoints.slices_belong(WEB), state(service(), endpoint_slice(ownerReferences=[]))),
        (endpoints.slices_belong(WEB), state(service())),
    ],
    "hash-stripped": [
        (deployments.named_by_hash(WEB), state(deployment(), replica_set(labels=LABELS))),
        (deployments.hash_everywhere(WEB), state(deployment(), replica_set(labels=LABELS))),
    ],
    "selector-changed": [the_service("spec.selector", {"app": "another"})],
    "target-port-changed": [the_service("spec.ports.0.targetPort", 8081)],
    "variable-wrong": [
        (
            env.variables_are(WEB, env.service_variables(WEB, "10.96.0.9", SERVICE_PORT)),
            {**env.service_variables(WEB, "10.96.0.9", SERVICE_PORT), "WEB_SERVICE_HOST": NOBODY},
        )
    ],
    "image-replaced": [waiting("ImagePullBackOff"), waiting("ErrImagePull")],
    "replica-set-stuck": [left("ReplicaSet", MADE)],
    "pods-denied": DENIED,
    "webhook-dead": f'{REFUSES}: Pod web, Pod client: failed calling webhook "dead.kubechain.test": Post "https://127.0.0.1:9/"',
    "quota-of-nothing": f"{REFUSES}: Pod web, Pod client: exceeded quota: nothing, requested: pods=1",
    "addresses-exhausted": "failed to allocate",
    "not-ready-published": [(endpoints.lists(WEB, A), LISTED)],
    "foreign-address": [(SLICES, state(A, B, FOREIGN))],
    "ending-listed": [
        (
            endpoints.endpoint_is(WEB, A.uid, ready=False, serving=True, terminating=True),
            state(A, endpoint_slice({**entry(A), "conditions": ENDING})),
        ),
        (endpoints.endpoint_is(WEB, A.uid, ready=False, serving=True, terminating=True), state(endpoint_slice())),
    ],
    "endpoints-emptied": [(LEGACY, EMPTIED), (endpoints.agree(WEB), EMPTIED)],
    "page-wrong": [(WELCOMES, answer(body="odd"))],
    "server-error": [(WELCOMES, answer(status=500, body="", backend=""))],
    "crash-loop": [waiting("CrashLoopBackOff"), pending("ContainersReady"), pending("Ready")],
    "out-of-memory": [waiting("CrashLoopBackOff"), pending("Ready")],
    "never-ready": [pending("ContainersReady", message="containers with unready status: [nginx]")],
    "pods-never-end": [left("Pod", A)],
    "kubelets-stopped": STOPPED,
    "containerd-stopped": STOPPED,
    "workers-paused": STOPPED,
    "cni-gone": [pending("ContainersReady"), (PODS_READY, state()), UNSCHEDULED],
    "proxies-frozen": [(WELCOMES, TIMEOUT), (WELCOMES, REFUSED), (WELCOMES, failure("other", 35))],
    "proxy-frozen-on-one": [(WELCOMES, TIMEOUT), (WELCOMES, REFUSED)],
    "workers-tainted": "no verdict: no Node takes the Pods of this run: every Node has a taint: kubechain/fault:NoSchedule on 2 "
    "of 3 Nodes, node-role.kubernetes.io/control-plane:NoSchedule on 1 of 3 Nodes; --tolerate kubechain/fault:NoSchedule",
    "workers-cordoned": [pending("PodScheduled", message="0/3 nodes are available: 2 node(s) were unschedulable")],
    "no-room": "no verdict: no Node takes the Pods of this run: the scheduler says: 0/3 nodes are available: 1 node(s) had "
    "untolerated taint(s), 2 Too many pods.",
    "route-gone": [(WELCOMES, TIMEOUT), ONE_ONLY, (BACKENDS, {AT: [*answer(), *TIMEOUT]})],
    "image-missing": [waiting("ErrImagePull"), waiting("ImagePullBackOff")],
    "node-lifecycle-controller-off": LOST_NODE,
    "worker-stopped": [(WELCOMES, TIMEOUT), (WELCOMES, [Page(AT, failure="unreachable", detail="no route to host")])],
    "node-port-dropped": [(WELCOMES, [*answer(), *TIMEOUT])],
    "udp-dropped": [(http.echoed("echo"), {"kind-control-plane": "echo", "kind-worker": ""})],
    "backend-black-holed": [(WELCOMES, TIMEOUT), ONE_ONLY, (http.none_slower(1.0), [*answer(), *TIMEOUT])],
    "rules-stale": [(WELCOMES, REFUSED), (BACKENDS, {AT: [*answer(), *TIMEOUT]})],
    "service-hijacked": [(WELCOMES, answer(status=404, body="404 page not found", backend=""))],
    "hairpin-broken": [(BACKENDS, {AT: [*answer(), *TIMEOUT]}), ONE_ONLY],
    "packets-lost": [(http.none_slower(1.0), [*answer(), *answer(connected=1.04)]), (WELCOMES, TIMEOUT)],
    "large-packets-lost": [(http.came_back(), ("1 288894", "2 0"))],
    "answers-refused": [(WELCOMES, REFUSED), (WELCOMES, failure("reset", 56)), ONE_ONLY],
    "dns-gone": [resolved(rcode="timeout")],
    "dns-one-wrong": [resolved("10.96.255.253")],
    "dns-wrong-zone": [resolved(rcode="NXDOMAIN"), resolved(rcode="SERVFAIL"), resolved(rcode="timeout")],
    "dns-wrong-address": [resolved("10.96.255.253")],
    "dns-name-denied": [resolved(rcode="NXDOMAIN"), resolved(rcode="REFUSED")],
    "dns-names-invented": [(dns.no_such_name(), [Answer("absent", "NOERROR", ("10.96.255.253",))])],
    "dns-family-invented": [(dns.no_address(), [Answer("web", "NOERROR", ("fd00::253",))])],
    "dns-srv-missing": [(dns.serves(80, "srv.ns.svc.cluster.local."), [Answer("_http._tcp.srv", "NXDOMAIN")])],
    "dns-ptr-wrong": [(dns.resolves_to("web.ns.svc.cluster.local."), [Answer("x", "NOERROR", ("wrong.cluster.local.",))])],
    "dns-stale": [resolved("10.96.0.7", name="renewed")],
    "dns-tcp-dropped": [resolved(rcode="timeout")],
    "dns-search-wrong": [resolved(rcode="NXDOMAIN"), resolved(rcode="SERVFAIL")],
    "dns-server-wrong": [resolved(rcode="timeout")],
    "exec-refused": "exit status 1: error: error upgrading connection: error dialing backend: dial tcp 172.18.0.3:10250: refused",
    "api-proxy-dropped": [NO_BACKEND],
    "node-port-dropped-on-control-plane": [(WELCOMES, [*answer(), *TIMEOUT])],
    "control-plane-cut-off": [(WELCOMES, [*answer(), *TIMEOUT])],
    "client-cut-off": [(WELCOMES, TIMEOUT), (BACKENDS, {AT: [*answer(), *TIMEOUT]}), ONE_ONLY],
    "dns-namespace-ignored": [(dns.no_such_name(), [Answer("neighbour", "NOERROR", ("10.96.255.253",))])],
    "image-always-pulled": [waiting("ErrImagePull"), waiting("ImagePullBackOff")],
    "image-missing-on-control-plane": "assert ['kind-control-plane'] == []",
    "client-image-missing": [(pods.ready("client"), state(changed(STUCK, "metadata.name", "client")))],
    "deployment-status-rights-lost": OFF,
    "replicaset-status-rights-lost": [NO_PODS, (NO_PODS[0], state(deployment(), replica_set(status={})))],
    "pod-status-denied": STOPPED[:1],
    "deployment-miscounted": [(deployments.counts(WEB, 2), state(changed(deployment(), "status.availableReplicas", 1)))],
    "replicaset-miscounted": [
        (deployments.replica_set_counts(WEB, 2), state(deployment(), replica_set(status={**COUNTED, **MISCOUNTED})))
    ],
    "proxy-frozen-beside-client": [(WELCOMES, TIMEOUT), (WELCOMES, REFUSED)],
    "route-gone-on-one": [(BACKENDS, {AT: [*answer(), *REFUSED]}), ONE_ONLY, (BACKENDS, {AT: [*answer(), *TIMEOUT]})],
    "dns-dropped-on-one": [resolved(rcode="timeout")],
    "dns-one-dropped": [resolved(rcode="timeout"), (WELCOMES, TIMEOUT), (WELCOMES, failure("name", 6))],
    "pods-denied-and-port-changed": DENIED,
    "never-ready-and-variable-wrong": [pending("ContainersReady", message="containers with unready status: [nginx]")],
    "slices-and-dns-gone": [(SLICES, state(A, B))],
    "midway-server-frozen": [pending("ContainersReady")],
    "midway-slices-rights-lost": [(SLICES, state(A, B))],
    "midway-services-dropped": [(BACKENDS, {AT: [*answer(), *TIMEOUT]})],
    "midway-node-port-dropped": [(WELCOMES, [*answer(), *TIMEOUT]), (http.all_refused(), TIMEOUT)],
    "midway-dns-dropped": [resolved(rcode="timeout"), (WELCOMES, TIMEOUT), (WELCOMES, failure("name", 6))],
    "midway-scheduler-frozen": [pending("PodScheduled", status=""), (pods.ready(A.name), UNPLACED)],
    **UPGRADES,
}
REASONS = [each.reason for each in vars(timeouts).values() if isinstance(each, Timeout)]
WITH_SYMPTOM = {fault.id: fault.symptom for fault in selection.ALL if fault.symptom}


def result_of(unmet: Unmet) -> Result:
    condition, seen = unmet
    result = condition(seen)
    assert not result.met, condition.what
    return result


def test_every_fault_with_a_symptom_has_samples() -> None:
    assert set(UNMET) == set(WITH_SYMPTOM)


@pytest.mark.parametrize("name", UNMET)
def test_symptom_is_found_in_the_message_under_the_fault(name: str) -> None:
    samples = UNMET[name]
    if isinstance(samples, str):
        assert re.search(WITH_SYMPTOM[name], samples)
        return
    for unmet in samples:
        message = str(result_of(unmet))
        assert re.search(WITH_SYMPTOM[name], message), message


@pytest.mark.parametrize("name", UNMET)
def test_symptom_is_not_found_in_what_is_expected_or_in_why_the_wait_was_so_long(name: str) -> None:
    samples = UNMET[name]
    for condition, seen in [] if isinstance(samples, str) else samples:
        for text in (condition.what, f"expected {condition(seen).expected}", *REASONS):
            assert not re.search(WITH_SYMPTOM[name], text), text
