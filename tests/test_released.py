"""What a deleted Service had may be released a moment after its deletion is known."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubechain.core.errors import Unmet
from kubechain.kube.errors import ApiRefused
from kubechain.kube.objects import KubeObject
from kubechain.observe.wait import Waiter
from kubechain.workload import node_port_range, released
from tests.fakes import FakeClock, service

ALLOCATED = ApiRefused(422, "Invalid", "spec.ports[0].nodePort: Invalid value: 32194: provided port is already allocated")


def take(*answers: ApiRefused | KubeObject) -> tuple[KubeObject, float]:
    """Ask for what a deleted Service had; return the Service and the seconds that it took."""
    clock, left = FakeClock(), list(answers)
    waiter = Waiter(clock)

    def create() -> KubeObject:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, ApiRefused):
            raise answer
        return answer

    chain = cast("Any", SimpleNamespace(waiter=waiter))
    return released.taken(chain, waiter.eventually, create), clock.time - 1000.0


def test_what_is_released_a_moment_later_is_taken() -> None:
    made = service()
    assert take(ALLOCATED, ALLOCATED, made) == (made, pytest.approx(0.2))


def test_what_stays_allocated_is_unmet() -> None:
    with pytest.raises(
        Unmet,
        match=r"Service to be free, got .*already allocated \(waited 5\.0 of 5 s: the API server releases",
    ):
        take(ALLOCATED)


def test_another_refusal_is_raised_at_once() -> None:
    with pytest.raises(ApiRefused, match="denied"):
        take(ApiRefused(422, "Invalid", "denied by a policy"), service())


@pytest.mark.parametrize(
    ("status", "why"), [(401, "Unauthorized"), (403, "not you"), (422, "ValidatingAdmissionPolicy 'p' denied request: no")]
)
def test_refusal_of_who_asks_or_by_a_policy_says_nothing_about_the_range(status: int, why: str) -> None:
    def refuse(*_: object) -> KubeObject:
        raise ApiRefused(status, "Refused", why)

    chain = cast("Any", SimpleNamespace(api=SimpleNamespace(create=refuse), namespace="ns", admission=None))
    with pytest.raises(ApiRefused, match=f"{status} Refused"):
        node_port_range.node_port_range(chain)


def test_port_that_another_service_has_is_in_the_range() -> None:
    answers = [
        ALLOCATED,
        ApiRefused(422, "Invalid", "provided port is not in the valid range. The range of valid ports is 1-32767"),
    ]

    def refuse(*_: object) -> KubeObject:
        raise answers.pop(0)

    chain = cast("Any", SimpleNamespace(api=SimpleNamespace(create=refuse), namespace="ns", admission=None))
    assert node_port_range.node_port_range(chain) == node_port_range.PortRange(1, 32767, 65535)
