"""One 5xx or a lost answer does not change what a run finds: creation is tried again, and succeeds once."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kubechain.core.errors import HarnessError
from kubechain.core.run import RUN_LABEL
from kubechain.kube import creation
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiFailed, ApiRefused, ApiUnavailable
from kubechain.kube.objects import Json, KubeObject
from kubechain.observe.wait import Waiter
from kubechain.workload import manifests, namespace, service_manifests
from kubechain.workload.namespace import objects, populate
from tests import loopback
from tests.api_server import DROPPED, LOST, ApiServer, Fault, always, api_server, in_turn
from tests.fakes import FakeClock
from tests.test_existing import TARGET, environment

pytestmark = pytest.mark.usefixtures("pauses")

FORBIDDEN = '{"reason": "Forbidden", "message": "deployments is forbidden"}'
LABELS = {RUN_LABEL: "aa"}
NAMESPACE, IN_NS = manifests.namespace("ns", LABELS), "/api/v1/namespaces/ns"
DEPLOYMENT = manifests.deployment("n")
OBJECTS: list[Json] = [service_manifests.service(), DEPLOYMENT, manifests.client_pod("client", "c"), NAMESPACE]
HICCUPS = {
    "500": Fault(500),
    "500 although created": Fault(500, executed=True),
    "503": Fault(503),
    "504 although created": Fault(504, executed=True),
    "429": Fault(429),
    "answer lost": LOST,
    "request lost": DROPPED,
}


@contextmanager
def connected(folder: Path) -> Generator[tuple[Api, ApiServer]]:
    with api_server() as server:
        api = Api(loopback.kubeconfig(folder, server.url), "test", folder / "secrets")
        try:
            yield api, server
        finally:
            api.close()


@pytest.mark.parametrize("body", OBJECTS, ids=lambda body: body["kind"])
@pytest.mark.parametrize("hiccup", HICCUPS)
def test_object_is_created_once_whatever_happens_to_the_first_request(tmp_path: Path, body: Json, hiccup: str) -> None:
    with connected(tmp_path) as (api, server):
        server.faults = in_turn(HICCUPS[hiccup])
        created = api.create(body, "ns")
        assert (created.kind, created.name) == (body["kind"], body["metadata"]["name"])
        assert [each["metadata"]["uid"] for each in server.store.values()] == [created.uid]
        assert len(server.sent("POST")) == 2


def test_existing_object_is_a_refusal_at_the_first_attempt_also_if_it_is_the_same(tmp_path: Path) -> None:
    with connected(tmp_path) as (api, server):
        api.create(NAMESPACE)
        with pytest.raises(ApiRefused, match="AlreadyExists"):
            api.create(NAMESPACE)
        assert len(server.sent("POST")) == 2


@pytest.mark.parametrize("labels", [{}, {RUN_LABEL: "bb"}])
def test_object_of_others_is_a_refusal_after_an_unclear_attempt(tmp_path: Path, labels: dict[str, str]) -> None:
    with connected(tmp_path) as (api, server):
        api.create(manifests.namespace("ns", labels))
        server.faults = in_turn(Fault(500))
        with pytest.raises(ApiRefused, match="AlreadyExists"):
            api.create(NAMESPACE)


def test_object_that_may_not_be_read_is_no_refusal_after_a_lost_answer(tmp_path: Path) -> None:
    with connected(tmp_path) as (api, server):
        server.faults = in_turn(LOST, method="POST")
        lost = server.faults
        server.faults = lambda request: Fault(403, body=FORBIDDEN) if request.method == "GET" else lost(request)
        with pytest.raises(HarnessError, match=r"AlreadyExists.*an answer was lost, and who created it cannot be read") as caught:
            api.create(DEPLOYMENT, "ns")
        assert not isinstance(caught.value, ApiRefused)


def test_object_that_admission_changes_is_our_own_by_its_manager(tmp_path: Path) -> None:
    def admit(body: Json) -> Json:
        body["spec"]["replicas"] = 7
        body["metadata"]["managedFields"] = [{"manager": "kubechain", "operation": "Update"}]
        return body

    with connected(tmp_path) as (api, server):
        server.admit, server.faults = admit, in_turn(LOST)
        assert api.create(DEPLOYMENT, "ns").at("spec.replicas") == 7


def test_dry_run_and_refusal_are_tried_once(tmp_path: Path) -> None:
    with connected(tmp_path) as (api, server):
        server.faults = always(Fault(500))
        with pytest.raises(ApiFailed):
            api.create(DEPLOYMENT, "ns", dry_run=True)
        server.faults = always(Fault(403))
        with pytest.raises(ApiRefused):
            api.create(DEPLOYMENT, "ns")
        assert len(server.sent("POST")) == 2


@pytest.mark.parametrize(("trouble", "error"), [(Fault(500), ApiFailed), (Fault(503), ApiUnavailable), (DROPPED, ApiUnavailable)])
def test_lasting_trouble_is_the_same_error_after_the_deadline(
    tmp_path: Path, trouble: Fault, error: type[HarnessError], pauses: list[float]
) -> None:
    with connected(tmp_path) as (api, server):
        server.faults = always(trouble)
        with pytest.raises(error, match=r"\(\d+ attempts in \d\d s\)") as caught:
            api.create(DEPLOYMENT, "ns", seconds=20)
        assert type(caught.value) is error
    assert 20 - creation.LONGEST_PAUSE < sum(pauses) < 20
    assert max(pauses) <= creation.LONGEST_PAUSE


def test_content_is_compared_field_by_field() -> None:
    assert creation.contains({"a": [{"b": 1, "c": 2}], "d": 3}, {"a": [{"b": 1}]})
    others: list[Json | None] = [{}, {"a": []}, {"a": [{"b": 2}]}, {"a": [{"b": 1}, {"b": 1}]}, {"a": "b"}, None]
    for stored in others:
        assert not creation.contains(stored, {"a": [{"b": 1}]})


@pytest.mark.parametrize("kind", ["services", "deployments", "pods"])
@pytest.mark.parametrize("hiccup", HICCUPS)
def test_hiccup_breaks_no_link(tmp_path: Path, kind: str, hiccup: str) -> None:
    with connected(tmp_path) as (api, server):
        server.faults = in_turn(HICCUPS[hiccup], path=kind)
        assert populate(api, "ns", objects(TARGET, DEPLOYMENT)) == {}
        assert sorted(body["kind"] for body in server.store.values()) == ["Deployment", "Pod", "Service"]


@pytest.mark.parametrize("kind", ["services", "deployments", "pods"])
def test_lasting_500_is_reported_for_its_object(tmp_path: Path, kind: str) -> None:
    with connected(tmp_path) as (api, server):
        server.faults = always(Fault(500), path=kind)
        refused = populate(api, "ns", objects(TARGET, DEPLOYMENT), seconds=0.5)
        assert [each.lower() + "s" for each in refused] == [kind]
        assert "failed calling webhook" in next(iter(refused.values()))


@pytest.mark.parametrize("trouble", [Fault(503), DROPPED])
def test_lasting_503_and_silence_break_no_link_and_are_inconclusive(tmp_path: Path, trouble: Fault) -> None:
    with connected(tmp_path) as (api, server):
        server.faults = always(trouble, path="services")
        with pytest.raises(ApiUnavailable) as caught:
            populate(api, "ns", objects(TARGET, DEPLOYMENT), seconds=0.5)
        assert not isinstance(caught.value, ApiFailed)


def test_kind_that_an_earlier_chain_could_not_create_is_tried_once(tmp_path: Path) -> None:
    with connected(tmp_path) as (api, server):
        server.faults = always(Fault(500), path="services")
        assert list(populate(api, "ns", objects(TARGET, DEPLOYMENT), once={"Service"})) == ["Service"]
        assert len([path for path in server.sent("POST") if path.endswith("services")]) == 1


@pytest.mark.parametrize("hiccup", HICCUPS)
def test_namespace_is_deleted_whatever_happens_to_the_first_requests(tmp_path: Path, hiccup: str) -> None:
    plan = in_turn(HICCUPS[hiccup], path="namespaces"), in_turn(HICCUPS[hiccup], method="DELETE")
    with connected(tmp_path) as (api, server):
        server.faults = lambda request: plan[0](request) or plan[1](request)
        with namespace.namespace(api, environment(), "ns", LABELS, Waiter(FakeClock())):
            assert IN_NS in server.store
        assert IN_NS not in server.store


@pytest.mark.parametrize("trouble", [None, Fault(403, body=FORBIDDEN), Fault(500), DROPPED])
def test_pods_are_ended_by_uid_and_trouble_with_them_is_ignored(tmp_path: Path, trouble: Fault | None) -> None:
    with connected(tmp_path) as (api, server):
        pod, other = [api.create(manifests.web_pod(name, "n"), "ns") for name in ("web", "other")]
        server.faults = in_turn(trouble, method="DELETE", path="/pods/web")
        ending = KubeObject({**other.body, "metadata": {**other.body["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}})
        namespace.end(api, "ns", [pod, ending])
        assert set(server.sent("DELETE")) == {f"{IN_NS}/pods/web"}
        assert next(each.body["preconditions"] for each in server.requests if each.method == "DELETE") == {"uid": pod.uid}


def test_namespace_is_deleted_before_its_pods(tmp_path: Path) -> None:
    with connected(tmp_path) as (api, server):
        with namespace.namespace(api, environment(), "ns", LABELS, Waiter(FakeClock())) as watcher:
            watcher.history.record("ADDED", api.create(manifests.web_pod("web", "n"), "ns"))
        assert server.sent("DELETE") == [IN_NS, f"{IN_NS}/pods/web"]


@pytest.mark.parametrize("trouble", [LOST, Fault(500, executed=True), Fault(503, executed=True)])
def test_namespace_whose_creation_stays_unclear_is_deleted(
    tmp_path: Path, trouble: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(namespace, "CREATE_SECONDS", 0.5)
    with connected(tmp_path) as (api, server):
        server.faults = lambda request: trouble if request.method in ("POST", "GET") else None
        with pytest.raises(ApiUnavailable), namespace.namespace(api, environment(), "ns", LABELS, Waiter(FakeClock())):
            pytest.fail("the body must not run")
        assert server.sent("DELETE") == [IN_NS]
        assert IN_NS not in server.store


def test_namespace_that_is_refused_is_not_deleted(tmp_path: Path) -> None:
    with connected(tmp_path) as (api, server):
        api.create(manifests.namespace("ns", {}))
        with pytest.raises(ApiRefused), namespace.namespace(api, environment(), "ns", LABELS, Waiter(FakeClock())):
            pytest.fail("the body must not run")
        assert server.sent("DELETE") == []


@pytest.mark.parametrize("hiccup", HICCUPS)
def test_deletion_and_patch_survive_what_happens_to_the_first_request(tmp_path: Path, hiccup: str) -> None:
    with connected(tmp_path) as (api, server):
        api.create(DEPLOYMENT, "ns")
        server.faults = in_turn(HICCUPS[hiccup], method="PATCH")
        assert api.patch("Deployment", "ns", "web", {"metadata": {}}).name == "web"
        server.faults = in_turn(HICCUPS[hiccup], method="DELETE")
        api.delete("Deployment", "ns", "web")
        assert (server.store, len(server.sent("PATCH")), len(server.sent("DELETE"))) == ({}, 2, 2)


def test_deletion_of_what_never_was_is_refused(tmp_path: Path) -> None:
    with connected(tmp_path) as (api, _), pytest.raises(ApiRefused, match="404"):
        api.delete("Deployment", "ns", "web")


def test_read_with_patience_survives_a_503(tmp_path: Path) -> None:
    with connected(tmp_path) as (api, server):
        patient = Api(api.kubeconfig, "test", tmp_path / "secrets", patience=5)
        server.faults = in_turn(Fault(503), method="GET")
        assert patient.get("Deployment", "ns", "web") is None
        server.faults = in_turn(Fault(503), method="GET")
        with pytest.raises(ApiUnavailable):
            api.get("Deployment", "ns", "web")
        patient.close()


def test_object_of_nobody_is_not_refused(tmp_path: Path) -> None:
    with connected(tmp_path) as (api, server):
        server.faults = always(Fault(401), path="/deployments")
        with pytest.raises(ApiRefused, match="401"):
            populate(api, "ns", objects(TARGET, DEPLOYMENT))


REFUSED_AGAIN = {
    "nodePort": (422, '{"reason": "Invalid", "message": "nodePort: Invalid value: 30080: provided port is already allocated"}'),
    "quota": (403, '{"reason": "Forbidden", "message": "services \\"web\\" is forbidden: exceeded quota"}'),
}


@pytest.mark.parametrize("why", REFUSED_AGAIN)
def test_what_the_first_attempt_took_is_no_refusal_after_a_lost_answer(tmp_path: Path, why: str) -> None:
    status, body = REFUSED_AGAIN[why]
    with connected(tmp_path) as (api, server):
        server.faults = in_turn(LOST, Fault(status, body=body))
        assert api.create(service_manifests.service(), "ns").uid == next(iter(server.store.values()))["metadata"]["uid"]


@pytest.mark.parametrize("why", REFUSED_AGAIN)
def test_refusal_after_an_attempt_that_created_nothing_is_one(tmp_path: Path, why: str) -> None:
    status, body = REFUSED_AGAIN[why]
    with connected(tmp_path) as (api, server):
        server.faults = in_turn(DROPPED, Fault(status, body=body))
        with pytest.raises(ApiRefused) as caught:
            api.create(service_manifests.service(), "ns")
        assert caught.value.status == status
