"""The claims of the walkthrough, typed by kubectl on a cluster on loopback: each fails when what it says does not hold."""

from collections.abc import Callable

import pytest

from kubechain.core.errors import Unmet
from kubechain.core.run import RUN_LABEL
from kubechain.kube.objects import Json
from kubechain.probes import kubectl as probe
from kubechain.scenarios.walkthrough import STANDARD, Walkthrough
from suites.walkthrough import test_walkthrough as suite
from tests.conftest import NEEDS_KUBECTL
from tests.hostile.acts import Meant, reshaped, rule, with_body
from tests.hostile.cluster import Cluster
from tests.hostile.exchange import Exchange, of_json
from tests.hostile.resources import TABLE
from tests.walkthrough.walking import CLAIMS, PATIENT, RUN, Brief, of_kubectl

pytestmark = [NEEDS_KUBECTL, pytest.mark.whole_runs]


def tables(kind: str) -> Meant:
    """The tables from which kubectl prints objects of a kind are meant."""
    return lambda request: request.is_("list", kind) and TABLE in request.headers.get("accept", "")


def says(old: str, new: str) -> Callable[[bytes], bytes]:
    return lambda body: body.replace(old.encode(), new.encode())


def without(path: str) -> Callable[[Json], Json]:
    """Return what removes a field of a part of an object, such as "status.podIP"."""
    part, name = path.split(".")
    return lambda body: {**body, part: {key: value for key, value in body[part].items() if key != name}}


def admitting(kind: str, change: Callable[[Json], object]) -> Callable[[Cluster], None]:
    """Return what changes every object of a kind before it is stored."""

    def make(server: Cluster) -> None:
        server.core.mutate = lambda body: (change(body), body)[1] if body["kind"] == kind else body

    return make


def off(name: str) -> Callable[[Cluster], None]:
    return lambda server: server.off.add(name)


def ignored(exchange: Exchange) -> None:
    """Answer a deletion as if it had happened."""
    exchange.send(of_json(200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}))


def with_port(number: int) -> Callable[[Json], object]:
    return lambda body: body["spec"]["ports"][0].update({"targetPort": number})


# Claim -> a cluster that does not do what it says, and what the message names.
WRONG: dict[str, tuple[Callable[[Cluster], object], str]] = {
    "WALK-DEPLOYMENT-010": (admitting("Deployment", lambda body: body["spec"].update({"replicas": 3})), "replicas 2, got"),
    "WALK-DEPLOYMENT-020": (rule(of_kubectl("get", "Deployment"), reshaped(without("status.replicas"))), "2 desired"),
    "WALK-REPLICASET-010": (
        rule(of_kubectl("get", "ReplicaSet"), reshaped(without("metadata.ownerReferences"))),
        "Controlled By: Deployment/nginx, got none",
    ),
    "WALK-PODS-010": (rule(tables("Pod"), with_body(says("Running", "Pending"))), "STATUS Running, got Pending"),
    "WALK-PODS-020": (rule(of_kubectl("get", "Pod"), reshaped(without("status.podIP"))), "with IP: 127."),
    "WALK-PODS-030": (
        rule(of_kubectl("list", "Event"), with_body(lambda _: b'{"kind": "EventList", "apiVersion": "v1", "items": []}')),
        "with Events Created, Pulled, Scheduled, Started, got none",
    ),
    "WALK-SERVICE-010": (admitting("Service", with_port(8081)), "targetPort 80, got 8081"),
    "WALK-SERVICE-020": (rule(tables("Service"), with_body(says("NodePort", "ClusterIP"))), "TYPE NodePort, got ClusterIP"),
    "WALK-ENDPOINTS-010": (rule(tables("Endpoints"), with_body(says(":80", ":81"))), "ENDPOINTS 127."),
    "WALK-ENDPOINTS-020": (off("EndpointSlice"), "EndpointSlices of nginx"),
    "WALK-NODEPORT-010": (off("kube-proxy"), "every answer to say 'Welcome to nginx!', got .*refused"),
    "WALK-ENV-010": (admitting("Pod", lambda body: body["spec"].update({"enableServiceLinks": False})), "7 variables"),
    "WALK-DNS-010": (lambda server: server.core.unnamed.add("IPv4"), "a page that says 'Welcome to nginx!'"),
    "WALK-DELETION-010": (rule(of_kubectl("delete", "Service"), ignored), "'No resources found', got nginx"),
    "WALK-DELETION-020": (off("garbage collector"), "'No resources found', got .*pod/nginx-"),
}


def test_claims_hold_on_a_cluster_that_works(walk: Walkthrough) -> None:
    walk.chain.waiter.patience = PATIENT
    for claim in CLAIMS.values():
        claim(walk)
    space = walk.chain.api.get("Namespace", "", walk.chain.namespace)
    assert space
    assert space.labels.items() >= {**STANDARD, RUN_LABEL: RUN}.items()


@pytest.mark.parametrize("name", WRONG)
def test_claim_fails_when_what_it_says_does_not_hold(
    name: str, walk: Walkthrough, server: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "COMMAND_SECONDS", 5.0)
    make, message = WRONG[name]
    make(server)
    walk.chain.waiter.pace = Brief()
    with pytest.raises(Unmet, match=message):
        CLAIMS[name](walk)


def test_each_claim_is_tried_and_needs_none_before_it() -> None:
    stated = {marker.args[0].id for each in vars(suite).values() for marker in getattr(each, "pytestmark", [])}
    # On the machine of a Node: tests/test_on_the_node.py.
    assert stated - {"WALK-NODEPORT-020"} == set(CLAIMS) == set(WRONG)


@pytest.mark.parametrize("name", ["WALK-DNS-010", "WALK-DELETION-020"])
def test_claim_holds_alone(name: str, walk: Walkthrough) -> None:
    walk.chain.waiter.patience = PATIENT
    CLAIMS[name](walk)
