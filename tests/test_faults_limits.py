"""Faults by limits: the objects that they create, and the metric that shows their effect."""

import json
from typing import Any

import pytest

from kubechain.faults import api_limits
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from kubechain.kube.paths import path_of
from tests.fakes import FakeApi

pytestmark = pytest.mark.usefixtures("pauses")


def test_namespace_gets_one_quota_of_no_pods() -> None:
    created: list[tuple[str, Any]] = []

    def answer(_method: str, path: str, body: Any) -> str:
        if created:
            raise ApiRefused(409, "AlreadyExists", "it is there")
        created.append((path, body))
        return json.dumps(body)

    for _ in range(2):
        api_limits.limit(FakeApi(answer), "ns")
    ((path, body),) = created
    assert path == path_of("ResourceQuota", "ns")
    assert body["spec"] == {"hard": {"pods": "0"}}


def test_unreachable_api_server_is_an_error_so_that_the_quota_is_tried_again() -> None:
    def unreachable(_method: str, _path: str, _body: Any) -> str:
        raise ApiUnavailable("refused")

    with pytest.raises(ApiUnavailable):
        api_limits.limit(FakeApi(unreachable), "ns")


@pytest.mark.parametrize(
    ("line", "rejected"),
    [
        ('apiserver_flowcontrol_rejected_requests_total{flow_schema="x",priority_level="kubechain-busy",reason="q"} 3', True),
        ('apiserver_flowcontrol_rejected_requests_total{flow_schema="x",priority_level="kubechain-busy",reason="q"} 0', False),
        ('apiserver_flowcontrol_rejected_requests_total{flow_schema="x",priority_level="global",reason="q"} 3', False),
        ('apiserver_flowcontrol_dispatched_requests_total{flow_schema="x",priority_level="kubechain-busy"} 3', False),
    ],
)
def test_server_is_busy_when_the_metric_counts_rejected_requests_of_the_level(line: str, rejected: bool) -> None:  # noqa: FBT001
    assert bool(api_limits.REJECTED.search(f"# HELP\n{line}\n")) == rejected


def test_flow_schema_uses_the_level_which_rejects_requests_without_a_seat() -> None:
    assert api_limits.flow()["spec"]["priorityLevelConfiguration"]["name"] == api_limits.level()["metadata"]["name"]
    assert api_limits.level()["spec"]["limited"]["limitResponse"] == {"type": "Reject"}
