"""What holds on a cluster of this project, and is no fault of a cluster of others."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.conditions.http import Page
from kubechain.core.errors import NotApplicable, Unmet
from kubechain.kube.objects import KubeObject
from kubechain.observe.history import History
from kubechain.observe.wait import Polled, Waiter
from kubechain.probes.pod import PodProbe
from kubechain.workload import unpromised
from kubechain.workload.chain import Chain
from suites.chain.test_3_pods import test_pod_has_the_events_of_its_start as start_claim
from suites.chain.test_3_pods import test_pods_run_the_image_of_the_template as image_claim
from tests.fakes import FakeClock, changed, pod, thing

BRIDGE, ROUTER, NODE, HERE = "10.244.1.1", "172.18.0.1", "172.18.0.3", "192.168.7.2"
ADDRESSES = [{"type": "Hostname", "address": "a"}, {"type": "InternalIP", "address": NODE}]
SIDECAR = {"name": "istio-proxy", "restartPolicy": "Always"}


def chain(*objects: KubeObject, own: bool = False) -> Chain:
    clock = FakeClock()
    history = History("ns", clock)
    for each in objects:
        history.record("ADDED", each)
    node = thing("Node", "a", spec={"podCIDRs": ["10.244.1.0/24"]}, status={"addresses": ADDRESSES})

    def present(_kind: str, name: str) -> KubeObject:
        return next(each for each in objects if each.name == name)

    parts = {"objects": history, "waiter": Waiter(clock), "nodes_now": (node,), "present": present}
    return cast("Any", SimpleNamespace(admission=SimpleNamespace(owned=own), pod_names=frozenset("ab"), **parts))


def answers(**counts: int) -> list[Page]:
    return [Page("u", 200, backend=name) for name, count in counts.items() for _ in range(count)]


def event(reason: str) -> KubeObject:
    return thing("Event", reason, reason=reason, involvedObject={"uid": pod().uid})


def events_claim(on: Chain) -> int:
    """Run the claim on the Events of a start; return how often it has waited."""
    waits: list[str] = []

    def eventually(source: Any, condition: Any, *, within: Any = None) -> Any:
        waits.append(condition.what)
        return Waiter(source.clock).eventually(source, condition, within=within)

    start_claim(on, eventually)
    return len(waits)


def test_event_that_is_not_kept_is_no_fault_of_a_cluster_of_others() -> None:
    with pytest.raises(NotApplicable, match="needs a cluster that keeps each Event: expected Events Scheduled, Pulled"):
        events_claim(chain(pod(), event("Pulled")))
    with pytest.raises(Unmet, match="expected Events Scheduled, Pulled"):
        events_claim(chain(pod(), event("Pulled"), own=True))


@pytest.mark.parametrize("own", [False, True])
def test_events_are_waited_for_once(*, own: bool) -> None:
    on = chain(pod(), *map(event, ("Scheduled", "Pulled", "Created", "Started")), own=own)
    cast("Any", on).waiter = None
    assert events_claim(on) == 1


def test_service_proxy_of_others_may_prefer_a_pod_that_is_faster() -> None:
    unpromised.require_spread(chain(), answers(a=30, b=30))
    with pytest.raises(NotApplicable, match=r"needs a service proxy that chooses Pods by chance: .*got a .*57.*, b"):
        unpromised.require_spread(chain(), answers(a=57, b=3))


@pytest.mark.parametrize(
    ("pages", "own"),
    [
        (answers(a=57, b=3), True),
        (answers(a=60), False),
        (answers(a=55, b=3, c=2), False),
        ([*answers(a=57, b=2), Page("u", failure="timeout")], False),
    ],
)
def test_spread_that_no_service_proxy_may_have_is_a_fault(pages: list[Page], *, own: bool) -> None:
    with pytest.raises(Unmet):
        unpromised.require_spread(chain(own=own), pages)


def sticky(client: KubeObject, *, own: bool = False) -> None:
    on = chain(client, own=own)
    pages = Polled("pages", lambda: answers(a=2, b=1), on.waiter.clock)
    unpromised.require_sticky(on, on.waiter.eventually, pages, cast("PodProbe", SimpleNamespace(pod="client")))


def test_mesh_chooses_pods_in_the_place_of_the_service_proxy() -> None:
    plain = {"containers": [{"name": "client"}]}
    meshed = [
        thing("Pod", "client", spec={"containers": [{"name": "client"}, SIDECAR]}),
        thing("Pod", "client", spec={**plain, "initContainers": [SIDECAR]}),
        thing("Pod", "client", spec=plain, annotations={"ambient.istio.io/redirection": "enabled"}),
    ]
    for client in meshed:
        with pytest.raises(NotApplicable, match="needs a Pod whose connections no proxy of a mesh leads"):
            sticky(client)
        with pytest.raises(Unmet):
            sticky(client, own=True)
    with pytest.raises(Unmet):
        sticky(thing("Pod", "client", spec=plain))


def sees(source: str, *, own: bool = False) -> None:
    on = chain(own=own)
    pages = Polled("pages", lambda: [Page("u", 200, source=source) if source else Page("u", failure="timeout")], on.waiter.clock)
    unpromised.require_source(on, on.waiter.eventually, pages, "a", HERE)


def test_address_that_is_changed_on_the_way_to_the_node_is_no_fault_of_the_node() -> None:
    sees(HERE)
    with pytest.raises(NotApplicable, match=f"needs a way to Node a that keeps .*: {HERE} comes as {ROUTER}"):
        sees(ROUTER)
    with pytest.raises(Unmet):
        sees(ROUTER, own=True)


@pytest.mark.parametrize("source", [NODE, BRIDGE, ""])
def test_address_of_the_node_in_the_place_of_the_client_is_a_fault(source: str) -> None:
    with pytest.raises(Unmet):
        sees(source)


@pytest.mark.parametrize("loaded", [True, False])
def test_runtimes_may_name_one_image_by_other_digests_where_they_have_pulled_it(
    monkeypatch: pytest.MonkeyPatch, *, loaded: bool
) -> None:
    image = "nginx@sha256:index"
    pods = [changed(pod(number), "spec.containers.0.image", image) for number in (0, 1)]
    named = [changed(each, "status.containerStatuses.0.imageID", f"docker.io/nginx@sha256:{each.name}") for each in pods]
    on = chain(*named)

    def template_image(_: Chain) -> str:
        return image

    monkeypatch.setattr("kubechain.workload.unchanged.template_image", template_image)
    stated = cast("Chain", SimpleNamespace(objects=on.objects, image_ids=frozenset(["sha256:a"] if loaded else [])))
    if loaded:
        with pytest.raises(Unmet, match="under one imageID"):
            image_claim(stated, on.waiter.eventually)
    else:
        image_claim(stated, on.waiter.eventually)
