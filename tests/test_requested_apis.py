"""Deprecated APIs in use are asked of every API server, and one that was not asked is named."""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kubechain.core.errors import HarnessError
from kubechain.kube.client import Api
from kubechain.kube.objects import Json
from kubechain.upgrade.cluster_state import ClusterState
from kubechain.upgrade.requested_apis import RequestedApis, read
from tests.api_server import ApiServer, Fault, Request, api_server
from tests.certificates import Pair, authority, signed
from tests.test_tls import kubeconfig

METRICS = """\
# HELP apiserver_requested_deprecated_apis [STABLE] Gauge of deprecated APIs that have been requested
# TYPE apiserver_requested_deprecated_apis gauge
apiserver_requested_deprecated_apis{group="flow.x",removed_release="1.32",resource="schemas",subresource="",version="v1"} 1
apiserver_requested_deprecated_apis{group="",removed_release="",resource="componentstatuses",subresource="",version="v1"} 1
apiserver_requested_deprecated_apis{group="a,b}c",removed_release="1.40",resource="a\\"b\\"",subresource="\\\\",version="v1"} 1
apiserver_requested_deprecated_apis_total{group="no",removed_release="1.1",resource="no",subresource="",version="v1"} 1
apiserver_request_total{group="policy",resource="x",version="v1"} 4
"""
REQUESTED = {"schemas.v1.flow.x": "1.32", "componentstatuses.v1": "", 'a"b".v1.a,b}c': "1.40"}
SLICES, LEASES = (
    "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
    "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases",
)
OTHER = 'apiserver_requested_deprecated_apis{group="",removed_release="1.38",resource="old",version="v1"} 1\n'


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return authority(tmp_path_factory.mktemp("ca"))


def of_metrics(status: int, text: str = "{}") -> Callable[[Request], Fault | None]:
    return lambda request: Fault(status, body=text) if request.path == "/metrics" else None


@contextmanager
def servers(folder: Path, *pairs: Pair, metrics: tuple[str, ...] = (), leases: int = 0) -> Generator[tuple[Api, list[ApiServer]]]:
    """API servers with these certificates, each an endpoint of default/kubernetes; the first is that of the context."""
    with ExitStack() as running:
        made = [running.enter_context(api_server(pair.server_context())) for pair in pairs]
        for server, text in zip(made, metrics or ("",) * len(made), strict=True):
            server.faults = of_metrics(200, text)
        items = [of_server(server) for server in made]
        made[0].store[SLICES] = {"metadata": {"resourceVersion": "1"}, "items": items}
        made[0].store[LEASES] = {
            "metadata": {"resourceVersion": "1"},
            "items": [{"metadata": {"name": str(n)}} for n in range(leases)],
        }
        api = Api(kubeconfig(folder, made[0].url, certificate_authority=str(folder / "ca.crt")), "test", folder)
        yield api, made
        api.close()


def of_server(server: ApiServer) -> Json:
    url = urlsplit(server.url)
    return {"metadata": {"name": url.netloc}, "endpoints": [{"addresses": [url.hostname]}], "ports": [{"port": url.port}]}


@pytest.fixture
def pair(ca: Pair, tmp_path: Path) -> Pair:
    (tmp_path / "ca.crt").write_bytes(ca.certificate.read_bytes())
    return signed(tmp_path, ca, "server", alternative="IP:127.0.0.1,DNS:kubernetes.default.svc")


def test_metrics_are_read_with_any_label_value(tmp_path: Path, pair: Pair) -> None:
    with servers(tmp_path, pair, metrics=(METRICS,)) as (api, (server,)):
        assert read(api) == RequestedApis(REQUESTED)
        assert server.sent("GET").count("/metrics") == 1
        server.faults = of_metrics(200, "")
        assert read(api) == RequestedApis({})


def test_forbidden_metrics_are_none_and_unreachable_ones_an_error(tmp_path: Path, pair: Pair) -> None:
    with servers(tmp_path, pair) as (api, (server,)):
        server.faults = of_metrics(403)
        assert read(api) == RequestedApis(None)
        server.faults = of_metrics(503)
        with pytest.raises(HarnessError):
            read(api)


def test_every_api_server_is_asked(tmp_path: Path, pair: Pair) -> None:
    with servers(tmp_path, pair, pair, pair, metrics=("", METRICS, OTHER)) as (api, made):
        assert read(api) == RequestedApis({**REQUESTED, "old.v1": "1.38"})
        assert [request.headers["authorization"] for request in made[2].requests] == ["Bearer t"]


def test_another_machine_gets_no_credentials_and_is_named(tmp_path: Path, ca: Pair, pair: Pair) -> None:
    by_address, by_nobody = signed(tmp_path, ca, "by-address"), authority(tmp_path, "stranger")
    with servers(tmp_path, pair, by_address, by_nobody, metrics=("", METRICS, METRICS)) as (api, made):
        found = read(api)
        assert found.deprecated == {}
        assert sorted(found.unasked) == sorted(urlsplit(server.url).netloc for server in made[1:])
        assert [server.requests for server in made[1:]] == [[], []]
        assert "was not asked: " in ClusterState(api, api).unasked(found.unasked)


def test_without_a_ca_no_other_address_is_asked(tmp_path: Path, pair: Pair) -> None:
    with servers(tmp_path, pair, pair) as (_, made):
        path = kubeconfig(tmp_path, made[0].url, insecure_skip_tls_verify=True)
        found = read(Api(path, "test", tmp_path))
        assert ["no CA" in why for why in found.unasked.values()] == [True, True]
        assert made[1].requests == []


@pytest.mark.parametrize(("leases", "said"), [(0, ""), (1, ""), (3, "3 have a Lease, and 1 an address in default/kubernetes")])
def test_api_servers_behind_one_address_are_known_by_their_leases(leases: int, said: str, tmp_path: Path, pair: Pair) -> None:
    with servers(tmp_path, pair, leases=leases) as (api, _):
        assert ClusterState(api, api).unasked({}) == said
