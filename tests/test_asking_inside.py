"""What is asked inside of Pods goes to the container of the suite, and to the DNS that the Pods themselves ask."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.conditions.http import all_welcome
from kubechain.core.errors import NotApplicable
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import KubeObject
from kubechain.observe.history import History
from kubechain.observe.wait import Waiter
from kubechain.probes.pod import PodProbe
from kubechain.workload import sources
from kubechain.workload.chain import Chain
from tests.fakes import FakeApi, FakeClock, changed, endpoint_slice, entry, pod, thing

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
