"""Faults by limits: what they make, and the requests that take the seats of a real server on loopback."""

import json
from typing import Any

import pytest

from kubechain.faults import api_limits
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from kubechain.kube.paths import path_of
from tests.fakes import FakeApi


def test_namespace_gets_a_quota_of_no_pods_once() -> None:
    made: list[tuple[str, Any]] = []

    def answer(_method: str, path: str, body: Any) -> str:
        if made:
            raise ApiRefused(409, "AlreadyExists", "it is there")
        made.append((path, body))
        return json.dumps(body)

    for _ in range(2):
        api_limits.limit(FakeApi(answer), "ns")
    ((path, body),) = made
    assert path == path_of("ResourceQuota", "ns")
    assert body["spec"] == {"hard": {"pods": "0"}}


def test_quota_that_could_not_be_made_is_tried_again() -> None:
    def away(_method: str, _path: str, _body: Any) -> str:
        raise ApiUnavailable("away")

    with pytest.raises(ApiUnavailable):
        api_limits.limit(FakeApi(away), "ns")


@pytest.mark.parametrize(
    ("line", "rejected"),
    [
        ('apiserver_flowcontrol_rejected_requests_total{flow_schema="x",priority_level="kubechain-busy",reason="q"} 3', True),
        ('apiserver_flowcontrol_rejected_requests_total{flow_schema="x",priority_level="kubechain-busy",reason="q"} 0', False),
        ('apiserver_flowcontrol_rejected_requests_total{flow_schema="x",priority_level="global",reason="q"} 3', False),
        ('apiserver_flowcontrol_dispatched_requests_total{flow_schema="x",priority_level="kubechain-busy"} 3', False),
    ],
)
def test_server_is_busy_once_it_has_turned_requests_of_that_level_away(line: str, rejected: bool) -> None:  # noqa: FBT001
    assert bool(api_limits.REJECTED.search(f"# HELP\n{line}\n")) == rejected


def test_flow_leads_to_its_level_which_turns_away_what_finds_no_seat() -> None:
    assert api_limits.flow()["spec"]["priorityLevelConfiguration"]["name"] == api_limits.level()["metadata"]["name"]
    assert api_limits.level()["spec"]["limited"]["limitResponse"] == {"type": "Reject"}
