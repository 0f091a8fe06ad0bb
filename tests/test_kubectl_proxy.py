"""While a claim runs `kubectl proxy`, nobody on this machine gets more by it than the page of the Service."""

import shutil
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
import requests

from kubechain.observe.wait import Waiter
from kubechain.probes.kubectl import Kubectl
from suites.chain.test_6_reach import test_kubectl_proxy as claim_on_proxy
from tests.conftest import NEEDS_KUBECTL
from tests.hostile.access import CONTEXT
from tests.walkthrough.walking import clean_cluster, factory_on

FORBIDDEN = 403
PATHS = ("/api/v1/namespaces", "/api/v1/namespaces/{namespace}/secrets", "/version", "/metrics", "{page}/more")
METHODS = ("POST", "PUT", "PATCH", "DELETE")


@NEEDS_KUBECTL
@pytest.mark.whole_runs
def test_proxy_serves_one_path_to_get_alone(tmp_path: Path) -> None:
    statuses: dict[str, int] = {}

    def eventually(pages: Any, condition: Any) -> None:
        Waiter(chain.waiter.clock).eventually(pages, condition)
        where = urlsplit(str(pages.read()[0].url))
        at, own = f"http://{where.netloc}", where.path
        for path in PATHS:
            other = path.format(namespace=chain.namespace, page=own.rstrip("/"))
            statuses[path] = requests.get(at + other, timeout=10).status_code
        for method in METHODS:
            statuses[method] = requests.request(method, at + own, timeout=10).status_code

    with (
        clean_cluster(tmp_path) as server,
        factory_on(server, tmp_path) as factory,
        factory.serving(factory.waiter()) as chain,
    ):
        kubectl = Kubectl(Path(shutil.which("kubectl") or ""), factory.api.for_kubectl(), CONTEXT)
        claim_on_proxy(chain, kubectl, cast("Any", eventually))
    assert statuses == dict.fromkeys(statuses, FORBIDDEN)
    assert len(statuses) == len(PATHS) + len(METHODS)
