"""Objects of a chain that the API server refuses break their link; an unreachable server does not."""

import json
from typing import Any

import pytest

from kubechain.claims.claim import Link
from kubechain.core.errors import Blocked, Unmet
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiFailed, ApiRefused, ApiUnavailable
from kubechain.workload import manifests
from kubechain.workload.gates import Gatekeeper
from kubechain.workload.namespace import objects, populate
from tests.fakes import FakeApi, FakeClock
from tests.test_existing import TARGET
from tests.test_gates import healthy, up_to

NO_ADDRESS = ApiFailed("API server: 500 InternalError: failed to allocate a serviceIP")
DENIED = ApiRefused(403, "Forbidden", "no Deployment today")


def api_without(kind: str, error: Exception) -> tuple[Api, list[str]]:
    """Return an API that refuses a kind, and the list of the kinds that it accepted."""
    accepted: list[str] = []

    def answer(_method: str, _path: str, body: Any) -> str:
        if body["kind"] == kind:
            raise error
        accepted.append(body["kind"])
        return json.dumps(body)

    return FakeApi(answer), accepted


@pytest.mark.parametrize("error", [NO_ADDRESS, DENIED])
@pytest.mark.parametrize("kind", ["Service", "Deployment", "Pod"])
def test_refused_object_is_reported_and_the_others_are_created(kind: str, error: Exception) -> None:
    api, accepted = api_without(kind, error)
    refused = populate(api, "ns", objects(TARGET, manifests.deployment("n")), seconds=0.0)
    assert list(refused) == [kind]
    assert refused[kind].startswith(f"{kind} ")
    assert refused[kind].endswith(f" is refused: {error}")
    assert sorted([*accepted, kind]) == ["Deployment", "Pod", "Service"]


def test_unavailable_server_is_an_error_and_no_refusal() -> None:
    api, _ = api_without("Service", ApiUnavailable("API server unreachable: timeout"))
    with pytest.raises(ApiUnavailable, match="unreachable"):
        populate(api, "ns", objects(TARGET, manifests.deployment("n")), seconds=0.0)


def test_refused_link_fails_at_once_and_blocks_the_links_that_need_it() -> None:
    chain, waiter, clock = up_to(*healthy())
    gatekeeper, start = Gatekeeper(), FakeClock().time
    gatekeeper.refuse({Link.SERVICE: "Service web is refused: no"})
    with pytest.raises(Unmet, match="Service web is refused: no"):
        gatekeeper.require_accepted(Link.SERVICE)
    with pytest.raises(Blocked) as blocked:
        gatekeeper.admit([Link.SERVICE, Link.ENDPOINTS], chain, waiter)
    assert blocked.value.waits_for == Link.SERVICE
    assert clock.time == start
    gatekeeper.require_accepted(Link.PODS)
    gatekeeper.admit([Link.DEPLOYMENT, Link.REPLICASET, Link.PODS], chain, waiter)
