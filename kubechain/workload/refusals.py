"""How connections fail to which no Pod is to answer: Kubernetes does not promise that they are refused.

kube-proxy refuses them where a Service has no endpoints. Other service proxies may drop them, as a setting (of Cilium:
loadBalancer.serviceNoBackendResponse), and a firewall of a Node may drop what comes to a port of no Service. The proxy that a
mesh adds to Pods accepts every connection: it then answers that there is no backend, or resets the connection.
"""

from __future__ import annotations

from http import HTTPStatus

from kubechain.conditions.condition import Condition, Result, expect
from kubechain.conditions.http import ABSENT, Page, all_refused
from kubechain.conditions.text import tally
from kubechain.conditions.timeouts import DATA_PLANE
from kubechain.core.errors import NotApplicable, Unmet
from kubechain.observe.protocols import Eventually
from kubechain.observe.wait import Polled
from kubechain.workload.chain import Chain
from kubechain.workload.own_cluster import is_own

# What a proxy answers that has no backend.
OF_PROXIES = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)


def require_refused(chain: Chain, eventually: Eventually, pages: Polled[list[Page]], condition: Condition[list[Page]]) -> None:
    """Wait until the connections to a Service without endpoints are refused, as `condition` says.

    Raises:
        NotApplicable: all of them fail otherwise, on a cluster of others, whose service proxy may do so.

    """
    try:
        eventually(pages, condition)
    except Unmet as unmet:
        found = pages.read()
        if is_own(chain) or any(page.failure == "refused" for page in found) or not no_backend()(found).met:
            raise
        raise NotApplicable(f"needs a service proxy that refuses what it cannot lead anywhere: {tally(found, '; ')}") from unmet


def closed(chain: Chain) -> Condition[list[Page]]:
    """Return the condition that ports are closed: connections are refused, or on a cluster of others fail otherwise."""
    return all_refused() if is_own(chain) else no_backend()


def no_backend() -> Condition[list[Page]]:
    """Each connection is refused, dropped or reset, or a proxy answers that there is no backend."""

    def check(pages: list[Page]) -> Result:
        wrong = [page for page in pages if not _is_unserved(page)]
        return expect(bool(pages) and not wrong, tally(wrong, "; ") if wrong else "no answer")

    return Condition("no answer of a Pod", check, DATA_PLANE)


def _is_unserved(page: Page) -> bool:
    return page.failure in (*ABSENT, "reset") or (page.status in OF_PROXIES and not page.backend)
