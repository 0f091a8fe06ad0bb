"""Where nothing is to answer, kube-proxy refuses connections; other service proxies and firewalls may drop them."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.conditions.http import Failure, Page, all_refused
from kubechain.core.errors import NotApplicable, Unmet
from kubechain.observe.wait import Polled, Waiter
from kubechain.workload import refusals
from kubechain.workload.chain import Chain
from tests.fakes import FakeClock

ANSWER = Page("http://10.96.0.9/", 200, "Welcome to nginx!", backend="web-a")


def pages(*failures: Failure) -> list[Page]:
    return [Page("http://10.96.0.9/", failure=failure) for failure in failures]


def chain(*, own: bool) -> Chain:
    return cast("Any", SimpleNamespace(admission=SimpleNamespace(owned=own)))


def require(found: list[Page], *, own: bool) -> None:
    clock = FakeClock()
    refusals.require_refused(chain(own=own), Waiter(clock).eventually, Polled("pages", lambda: found, clock), all_refused())


@pytest.mark.parametrize("own", [True, False])
def test_refused_connections_are_right_everywhere(*, own: bool) -> None:
    require(pages("refused", "refused"), own=own)
    assert refusals.closed(chain(own=own))(pages("refused", "refused")).met


def test_dropped_connections_are_no_fault_of_a_service_proxy_of_others() -> None:
    with pytest.raises(NotApplicable, match=r"needs a service proxy that refuses .*: http://10\.96\.0\.9/: timeout"):
        require(pages("timeout", "unreachable"), own=False)
    with pytest.raises(Unmet, match=r"expected every connection refused, got .*timeout"):
        require(pages("timeout", "unreachable"), own=True)


@pytest.mark.parametrize("found", [pages("reset"), [Page("http://10.96.0.9/", 503, "no healthy upstream")]])
def test_proxy_that_a_mesh_adds_accepts_connections_and_has_no_backend(found: list[Page]) -> None:
    assert refusals.closed(chain(own=False))(found).met
    with pytest.raises(NotApplicable, match="needs a service proxy that refuses"):
        require(found, own=False)
    with pytest.raises(Unmet):
        require(found, own=True)


@pytest.mark.parametrize("found", [[*pages("timeout"), ANSWER], pages("timeout", "refused"), pages("timeout", "other")])
def test_answer_or_a_node_that_differs_is_a_fault(found: list[Page]) -> None:
    with pytest.raises(Unmet):
        require(found, own=False)


def test_port_that_a_firewall_drops_is_closed_on_a_cluster_of_others() -> None:
    assert refusals.closed(chain(own=False))(pages("timeout", "unreachable", "refused")).met
    assert not refusals.closed(chain(own=False))([*pages("timeout"), ANSWER]).met
    assert not refusals.closed(chain(own=False))([Page("http://10.96.0.9/", 503, backend="web-a")]).met
    assert not refusals.closed(chain(own=True))(pages("timeout")).met
