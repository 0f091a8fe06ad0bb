"""Claims of the full suite on a cluster on loopback: they hold there, and each fails, as a test, where the cluster does wrong."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from fixtures.chain import Create
from kubechain.core.errors import NotApplicable, Unmet
from kubechain.kube.objects import Json
from kubechain.workload.chain import Chain
from kubechain.workload.factory import ChainFactory
from suites.chain import test_1_deployment as of_deployments
from suites.chain import test_4_service as of_services
from suites.chain import test_4_service_types as types
from suites.chain import test_5_endpoint_ports as ports
from suites.chain import test_6_ways as ways
from suites.chain import test_7_changing_names as names
from suites.lifecycle import test_1_scale as scale
from tests.hostile import services, subresources
from tests.hostile.cluster import Cluster
from tests.hostile.names import Resolver
from tests.walkthrough.walking import PATIENT, Brief, clean_cluster, creating, factory_on

pytestmark = pytest.mark.whole_runs


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ChainFactory, Chain]]:
    """A cluster whose Nodes have external addresses, and a chain that is up."""
    folder = tmp_path_factory.mktemp("healthy")
    with clean_cluster(folder) as server:
        external(server, server.core.addresses.node(1))
        with factory_on(server, folder) as factory, factory.serving(factory.waiter()) as made:
            yield factory, made


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Cluster]:
    with clean_cluster(tmp_path) as made:
        yield made


@pytest.fixture
def chain(server: Cluster, tmp_path: Path) -> Iterator[Chain]:
    """A chain that is up."""
    with factory_on(server, tmp_path) as factory, factory.serving(factory.waiter()) as made:
        yield made


@pytest.fixture
def create() -> Iterator[Create]:
    """Create objects as the fixture of claims does."""
    with creating() as made:
        yield made


# Id -> the test of the claim.
CLAIMS: dict[str, Callable[..., None]] = {
    "CHAIN-DEPLOYMENT-110": of_deployments.test_status_can_be_written,
    "CHAIN-DEPLOYMENT-120": of_deployments.test_status_leaves_the_spec_alone,
    "CHAIN-SERVICE-120": of_services.test_each_port_leads_to_its_target,
    "CHAIN-SERVICE-160": types.test_external_name_that_becomes_cluster_ip_answers,
    "CHAIN-SERVICE-170": types.test_external_name_that_becomes_node_port_answers,
    "CHAIN-SERVICE-180": types.test_given_endpoints_of_several_ports_and_addresses,
    "CHAIN-SERVICE-190": types.test_named_target_port_is_that_of_each_pod,
    "CHAIN-SERVICE-200": types.test_health_check_node_port_is_allocated,
    "CHAIN-SERVICE-210": types.test_address_of_a_load_balancer_can_be_written,
    "CHAIN-ENDPOINTS-140": ports.test_pods_are_listed_at_the_ports_that_they_have,
    "CHAIN-ENDPOINTS-150": ports.test_endpoints_are_hinted_for_their_node,
    "CHAIN-CLUSTERIP-130": ways.test_session_affinity_can_be_switched_on,
    "CHAIN-NODEPORT-080": ways.test_session_affinity_of_the_node_port,
    "CHAIN-NODEPORT-090": ways.test_node_port_answers_at_external_addresses,
    "CHAIN-NODEPORT-100": ways.test_health_check_node_port_tells_where_pods_are,
    "CHAIN-DNS-220": names.test_srv_record_by_short_names,
    "CHAIN-DNS-230": names.test_alias_follows_a_changed_external_name,
    "CHAIN-DNS-240": names.test_name_follows_a_changed_type,
    "LIFE-SCALE-060": scale.test_scale_can_be_replaced,
    "LIFE-SCALE-070": scale.test_replica_set_follows_its_scale,
    "LIFE-SCALE-080": scale.test_scale_of_a_replica_set_agrees_with_it,
}


def attempt(name: str, chain: Chain, create: Create) -> None:
    """Run the test of a claim."""
    fixtures = {"chain": chain, "own_chain": chain, "create": create, "eventually": chain.waiter.eventually}
    function = CLAIMS[name]
    function(**{argument: fixtures[argument] for argument in function.__annotations__ if argument != "return"})


def external(server: Cluster, address: str) -> None:
    """Give each Node an external address."""
    entry = {"type": "ExternalIP", "address": address}
    for node in server.store.all("Node"):
        server.store.modify(("Node", "", node["metadata"]["name"]), lambda body: body["status"]["addresses"].append(entry))


@pytest.mark.parametrize("name", CLAIMS)
def test_claim_holds(name: str, healthy: tuple[ChainFactory, Chain], create: Create) -> None:
    factory, shared = healthy
    with factory.own(factory.waiter()) if "own_chain" in CLAIMS[name].__annotations__ else nullcontext(shared) as chain:
        chain.waiter.patience = PATIENT
        attempt(name, chain, create)


# Makes the cluster do wrong, by a patch of its parts.
Wrong = Callable[[pytest.MonkeyPatch, Cluster], object]
written, read, ways_of, by_ports = subresources.written, subresources.read, services.ways_of, services.by_ports
of_service, health = Resolver.of_service, services.health


def part(target: Any, name: str, value: Any) -> Wrong:
    return lambda patch, _: patch.setattr(target, name, value)


def off(controller: str) -> Wrong:
    return lambda _, server: server.off.add(controller)


def without(*fields: str) -> Wrong:
    """Lose fields of the spec of each Service that is made."""

    def lose(body: Json) -> Json:
        return {**body, "spec": {name: value for name, value in body["spec"].items() if name not in fields}}

    return lambda patch, server: patch.setattr(server.core, "mutate", lose)


def kept(body: Json, *_: object, **__: object) -> Json:
    """Store nothing."""
    return body


def with_the_spec(body: Json, sub: str, sent: Json, *, patch: bool) -> Json:
    """Store the spec that is sent with a status."""
    return {**written(body, sub, sent, patch=patch), "spec": {**body["spec"], **sent["spec"]}}


def of_every_port(core: Any, spec: Json, slices: list[Json], address: str) -> Any:
    """Lead each port to the endpoints of all."""
    names = [port.get("name", "") for port in spec["ports"]]
    every = [{**each, "ports": [{**port, "name": name} for port in each["ports"] for name in names]} for each in slices]
    return ways_of(core, spec, every, address)


def without_affinity(core: Any, spec: Json, slices: list[Json], address: str) -> Any:
    return ways_of(core, {**spec, "sessionAffinity": "None"}, slices, address)


def as_the_first(service: Json, pods: list[Json]) -> Any:
    """Take the ports of the first Pod for those of all."""
    return [(by_ports(service, pods)[0][0], pods)]


def exchanged(service: Json, pods: list[Json]) -> Any:
    """Lead the first of two ports to the target of the second, and the second to that of the first."""
    found = by_ports(service, pods)
    return [
        ([{**port, "port": other["port"]} for port, other in zip(ports, reversed(ports), strict=True)], some)
        for ports, some in found
    ]


def of_first_versions() -> Callable[..., Any]:
    """Answer as it was when it was asked for the first time."""
    known: dict[tuple[str, str], Any] = {}

    def answer(self: Resolver, service: Json, record: str, port_name: str) -> Any:
        return known.setdefault((service["metadata"]["name"], record), of_service(self, service, record, port_name))

    return answer


def without_ports(self: Resolver, service: Json, record: str, port_name: str) -> Any:
    return None if port_name else of_service(self, service, record, port_name)


def of_another(body: Json, sub: str) -> Json:
    """Return the Scale with another selector."""
    scale = read(body, sub)
    return {**scale, "status": {**scale["status"], "selector": "app=another"}}


def no_health(_: object) -> dict[object, int]:
    """Report no health."""
    return {}


def everywhere(core: Any) -> Any:
    """Find no Node without Pods."""
    return dict.fromkeys(health(core), 200)


UNCHANGED = part(subresources, "written", kept)
# Id -> what is wrong with the cluster, and what the claim says.
WRONG: dict[str, tuple[Wrong, str]] = {
    "CHAIN-DEPLOYMENT-110": (UNCHANGED, r"Written=True \(Patched\), got no condition Written"),
    "CHAIN-DEPLOYMENT-120": (part(subresources, "written", with_the_spec), "replicas"),
    "CHAIN-SERVICE-120": (part(services, "by_ports", exchanged), r"'port 8080', got \S+:81/port: 200 with body 'port 8081'"),
    "CHAIN-SERVICE-160": (off("kube-proxy"), "expected every answer to say 'Welcome to nginx!', got .*refused"),
    "CHAIN-SERVICE-170": (off("kube-proxy"), "expected every answer to say 'Welcome to nginx!', got .*refused"),
    "CHAIN-SERVICE-180": (part(services, "ways_of", of_every_port), "expected answers of (elsewhere|web-)"),
    "CHAIN-SERVICE-190": (part(services, "by_ports", as_the_first), "expected (every answer|answers of unusual, usual)"),
    "CHAIN-SERVICE-200": (without("healthCheckNodePort"), "with a healthCheckNodePort, got no healthCheckNodePort"),
    "CHAIN-SERVICE-210": (UNCHANGED, r"with 192\.0\.2\.10 in status\.loadBalancer\.ingress, got none"),
    "CHAIN-ENDPOINTS-140": (part(services, "by_ports", as_the_first), "expected exactly .* at two:8081 listed for split, got"),
    "CHAIN-ENDPOINTS-150": (without("trafficDistribution"), "hints.forNodes hostile-., got none"),
    "CHAIN-CLUSTERIP-130": (part(services, "ways_of", without_affinity), "expected every answer from the same backend, got"),
    "CHAIN-NODEPORT-080": (part(services, "ways_of", without_affinity), "expected every answer from the same backend, got"),
    "CHAIN-NODEPORT-100": (part(services, "health", everywhere), "expected status 503 of every answer, got .*: 200"),
    "CHAIN-DNS-220": (part(Resolver, "of_service", without_ports), "SRV -> port 81 of .*got NXDOMAIN"),
    "CHAIN-DNS-230": (
        part(Resolver, "of_service", of_first_versions()),
        r"-> another\.example\.org\., got nginx\.example\.org\.",
    ),
    "CHAIN-DNS-240": (part(Resolver, "of_service", of_first_versions()), r"expected no address .*nginx\.example\.org\."),
    "LIFE-SCALE-060": (off("Deployment"), "expected Deployment web with status.replicas 3"),
    "LIFE-SCALE-070": (off("ReplicaSet"), "expected exactly 1 ready Pods with app=lone, got"),
    "LIFE-SCALE-080": (part(subresources, "read", of_another), "app=another"),
}


@pytest.mark.parametrize("name", WRONG)
def test_claim_fails(name: str, chain: Chain, create: Create, server: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong, says = WRONG[name]
    wrong(monkeypatch, server)
    chain.waiter.pace = Brief()
    with pytest.raises((Unmet, AssertionError), match=says):
        attempt(name, chain, create)


def test_external_address_that_leads_elsewhere_fails_its_claim(chain: Chain, create: Create, server: Cluster) -> None:
    address = server.core.addresses.kubernetes
    external(server, address)

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # a name of the library
            """Print nothing."""

    other = ThreadingHTTPServer((address, chain.node_port), Elsewhere)
    Thread(target=other.serve_forever, args=(0.05,), daemon=True).start()
    with pytest.raises(Unmet, match=rf"expected every answer to say 'Welcome to nginx!', got http://{address}:\d+/: 404"):
        attempt("CHAIN-NODEPORT-090", chain, create)
    other.shutdown()
    other.server_close()


def test_nodes_without_external_addresses_skip_the_claim(chain: Chain, create: Create) -> None:
    with pytest.raises(NotApplicable, match="needs a Node with an external IPv4 address"):
        attempt("CHAIN-NODEPORT-090", chain, create)


def test_external_addresses_that_accept_nothing_skip_the_claim(chain: Chain, create: Create, server: Cluster) -> None:
    external(server, server.core.addresses.kubernetes)
    with pytest.raises(
        NotApplicable, match=r"needs an external address of a Node that accepts connections to nodePorts: .*refused"
    ):
        attempt("CHAIN-NODEPORT-090", chain, create)


@pytest.mark.parametrize(("owned", "outcome"), [(True, Unmet), (False, NotApplicable)])
def test_service_proxy_without_health_checks_fails_the_claim_only_where_it_is_kube_proxy(
    chain: Chain, create: Create, monkeypatch: pytest.MonkeyPatch, outcome: type[Exception], *, owned: bool
) -> None:
    assert chain.admission
    monkeypatch.setattr(chain.admission, "owned", owned)
    monkeypatch.setattr(services, "health", no_health)
    with pytest.raises(outcome, match="refused"):
        attempt("CHAIN-NODEPORT-100", chain, create)
