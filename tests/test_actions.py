"""Requests that must be refused, and those that must not."""

from __future__ import annotations

import pytest

from kubechain.core.errors import Unmet
from kubechain.kube.errors import ApiRefused
from kubechain.workload import actions

POLICY = "ValidatingAdmissionPolicy 'ports' with binding 'ports' denied request: no nodePorts"


def refused(status: int, why: str = "provided port is already allocated") -> str:
    raise ApiRefused(status, "Invalid", why)


def test_request_that_is_accepted_returns_its_answer() -> None:
    assert actions.accepted(lambda: "done") == "done"


def test_request_that_is_refused_as_invalid_breaks_the_claim_and_another_refusal_does_not() -> None:
    with pytest.raises(Unmet, match="to accept a request, got Invalid: provided port is already allocated"):
        actions.accepted(lambda: refused(422))
    with pytest.raises(ApiRefused):
        actions.accepted(lambda: refused(403))
    with pytest.raises(ApiRefused):
        actions.accepted(lambda: refused(422, POLICY))


def test_request_that_must_be_refused_and_is_not_breaks_the_claim() -> None:
    assert actions.refusal(lambda: refused(422)).detail == "provided port is already allocated"
    with pytest.raises(Unmet, match="accepted a request that it must refuse"):
        actions.refusal(lambda: "done")
