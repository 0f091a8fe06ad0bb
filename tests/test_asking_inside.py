"""What is asked inside of Pods goes to the container of the suite, and to the DNS that the Pods themselves ask."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.conditions.condition import Condition, met
from kubechain.conditions.dns import Answer, resolves_to
from kubechain.conditions.http import Page, all_welcome
from kubechain.conditions.timeouts import DATA_PLANE
from kubechain.core.errors import HarnessError, NotApplicable, Transient
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import KubeObject
from kubechain.observe.history import History
from kubechain.observe.wait import Polled, Waiter
from kubechain.probes.pod import PodProbe
from kubechain.workload import sources
from kubechain.workload.chain import Chain
from tests.fakes import FakeApi, FakeClock, changed, endpoint_slice, entry, healthy, pod, service, thing

SAMPLE = Condition[list[Page]]("a sample", lambda _: met(), DATA_PLANE)
SIDECAR = {"name": "proxy", "image": "mesh:1"}


def chain(*listed: KubeObject) -> Chain:
    """Return a chain on a cluster that lists these Services and EndpointSlices, each in its own namespace."""

    def answer(_method: str, path: str, _body: Any) -> str:
        kind = {"services": "Service", "endpointslices": "EndpointSlice"}[path.rpartition("/")[2]]
        return json.dumps({"items": [each.body for each in listed if each.kind == kind]})

    clock = FakeClock()
    observer = cast("Any", SimpleNamespace(history=History("ns", clock)))
    return Chain(FakeApi(answer), "ns", observer, Waiter(clock), (), "host", "nginx", frozenset(), "client", 2)


@pytest.mark.parametrize("first", [True, False])
def test_commands_run_in_the_container_of_the_suite_beside_a_sidecar(*, first: bool) -> None:
    (own,) = pod().at("spec.containers")
    beside = changed(pod(), "spec.containers", [SIDECAR, own] if first else [own, SIDECAR])
    assert chain().inside(beside).container == own["name"] == "nginx"


def place(*servers: str) -> PodProbe:
    lines = [f"nameserver {server}" for server in servers]
    return cast("PodProbe", SimpleNamespace(resolver=lambda: "\n".join([*lines, "search a.svc.b"])))


def resolver(address: str) -> KubeObject:
    return changed(thing("Service", "resolver", spec={"clusterIP": address}), "metadata.namespace", "infra")


def test_replicas_of_the_dns_are_found_by_the_server_in_resolv_conf_at_their_own_port() -> None:
    replicas = endpoint_slice(entry(pod(0)), entry(pod(1)), entry(pod(2), ready=False), ports=[{"port": 1053, "protocol": "UDP"}])
    found = sources.dns_servers(chain(resolver("10.96.0.53"), replicas), place("10.96.0.53"))
    assert found == sorted(f"{each.at('status.podIP')}#1053" for each in (pod(0), pod(1)))


@pytest.mark.parametrize("service", [[], [resolver("10.96.0.99")]])
def test_dns_on_the_node_or_elsewhere_has_no_replicas_to_be_asked(service: list[KubeObject]) -> None:
    with pytest.raises(NotApplicable, match=r"replicas of the cluster's DNS cannot be found: 169\.254\.20\.10 in resolv\.conf"):
        sources.dns_servers(chain(*service), place("169.254.20.10"))


def test_replica_of_the_dns_that_is_replaced_meanwhile_need_not_answer() -> None:
    resolv_conf, up = place("10.96.0.53").resolver, "web.ns.svc.b."
    listed = [resolver("10.96.0.53"), endpoint_slice(entry(pod(0)), entry(pod(1)), ports=[{"port": 53, "protocol": "UDP"}])]
    later = chain(listed[0], endpoint_slice(entry(pod(0)), ports=[{"port": 53, "protocol": "UDP"}]))
    asked, gone = chain(*listed), f"{pod(1).at('status.podIP')}#53"
    api = cast("FakeApi", asked.api)

    def lookup(name: str, *, record: str, server: str) -> list[Answer]:
        assert record == "A"
        if server == gone:
            # It is asked, and the EndpointSlice has it no more when it should have answered.
            api.answer = cast("FakeApi", later.api).answer
            return [Answer(name, "timeout")]
        return [Answer(name, "NOERROR", ("10.96.0.9",))]

    asked.objects.record("ADDED", service())
    probe = cast("PodProbe", SimpleNamespace(pod="client", resolver=resolv_conf, lookup=lookup))
    source = sources.answers_of_servers(asked, probe, up)
    assert asked.waiter.eventually(source, resolves_to("10.96.0.9")).readings == 2


def test_time_to_live_is_that_of_the_replica_which_keeps_the_record_longest() -> None:
    printed = iter(["", *(f"web.ns.svc.b. {seconds} IN A 10.96.0.9\n" for seconds in (3, 29, 4))])

    def must_run(*_: str) -> str:
        return next(printed)

    probe = cast("PodProbe", SimpleNamespace(must_run=must_run))
    assert PodProbe.time_to_live(probe, "web.ns.svc.b.", "A", 4) == 29


def drawing(*changes: Callable[[Chain], object]) -> tuple[Chain, Polled[list[Page]]]:
    """Return a chain that is up, and a source of a sample in which these changes happen, one at each reading."""
    drawn, left = chain(), list(changes)
    for each in healthy():
        drawn.objects.record("ADDED", each)

    def repeat(url: str, count: int) -> list[Page]:
        if left:
            left.pop(0)(drawn)
        return [Page(url, 200)] * count

    return drawn, sources.drawn(drawn, cast("PodProbe", SimpleNamespace(pod="client", repeat=repeat)), "http://10.96.0.9/", 3)


def flap(on: Chain) -> None:
    both, one = endpoint_slice(*map(entry, (pod(0), pod(1)))), endpoint_slice(entry(pod(0)), entry(pod(1), ready=False))
    for each in (one, both):
        on.objects.record("MODIFIED", each)


def test_sample_is_drawn_again_if_a_pod_was_not_ready_meanwhile() -> None:
    drawn, source = drawing(flap)
    assert len(drawn.waiter.eventually(source, SAMPLE).state) == 3
    with pytest.raises(Transient, match="the endpoints of web changed while 3 requests were sent"):
        drawing(flap)[1].read()


def test_sample_of_pods_that_never_stay_decides_nothing() -> None:
    drawn, source = drawing(*[flap] * 1000)
    with pytest.raises(HarnessError, match="cannot decide"):
        drawn.waiter.eventually(source, SAMPLE)


def proxying(status: int) -> Chain:
    def answer(_method: str, _path: str, _body: Any) -> str:
        raise ApiRefused(status, "NotFound" if status == 404 else "Forbidden", 'pods "web-1" not found')

    clock = FakeClock()
    observer = cast("Any", SimpleNamespace(history=History("ns", clock)))
    return Chain(FakeApi(answer), "ns", observer, Waiter(clock), (), "host", "nginx", frozenset(), "client", 2)


def test_proxy_that_knows_no_such_pod_is_the_answer_that_a_claim_judges() -> None:
    (page,) = sources.proxied(proxying(404), "/api/v1/namespaces/ns/pods/web-1/proxy/").read()
    assert 'API server: 404 NotFound: pods "web-1" not found' in page.detail
    assert not all_welcome("Welcome")([page]).met


def test_proxy_that_is_not_allowed_says_nothing_of_the_chain() -> None:
    with pytest.raises(ApiRefused, match="403 Forbidden"):
        sources.proxied(proxying(403), "/api/v1/namespaces/ns/pods/web-1/proxy/").read()
