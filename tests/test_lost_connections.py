"""Requests whose connection breaks before the answer: sent again where that is harmless, and otherwise trouble."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from kubechain.kube.client import Api
from kubechain.kube.connection import MOST_RESENDS
from kubechain.kube.errors import ApiRefused, ApiUnavailable
from tests import loopback
from tests.loopback import Answer, response
from tests.test_api import speaking

OBJECT = '{"kind": "Pod", "metadata": {"name": "a"}}'
MISSING = '{"kind": "Status", "code": 404, "reason": "NotFound", "message": "a not found"}'
POD = {"kind": "Pod", "metadata": {"name": "a"}}
REPLACES = [{"op": "replace", "path": "/spec/nodeName", "value": "b"}]
REPEATED: dict[str, Callable[[Api], object]] = {
    "get": lambda api: api.get("Pod", "ns", "a"),
    "delete": lambda api: api.delete("Pod", "ns", "a", seconds=0),
    "merge patch": lambda api: api.patch("Pod", "ns", "a", {"spec": {}}, seconds=0),
    "strategic merge patch": lambda api: api.patch("Pod", "ns", "a", {"spec": {}}, form="strategic-merge", seconds=0),
    "access review": lambda api: api.call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body={}),
    "replace": lambda api: api.replace(POD, "ns"),
    "JSON patch that replaces": lambda api: api.patch("Pod", "ns", "a", REPLACES, form="json", seconds=0),
}
ONCE: dict[str, Callable[[Api], object]] = {
    "JSON patch": lambda api: api.patch("Pod", "ns", "a", [*REPLACES, {"op": "add", "path": "/x/-", "value": 1}], form="json"),
    "JSON patch of nothing": lambda api: api.patch("Pod", "ns", "a", [], form="json"),
    "patch of a version": lambda api: api.patch("Pod", "ns", "a", {"metadata": {"resourceVersion": "1"}}),
    "replacement of a version": lambda api: api.replace({**POD, "metadata": {"name": "a", "resourceVersion": "1"}}, "ns"),
    "eviction": lambda api: api.request("POST", "/api/v1/namespaces/ns/pods/a/eviction", {}),
    "dry run": lambda api: api.create(POD, "ns", dry_run=True),
}


def breaking(times: int, broken: Answer, then: Answer) -> Answer:
    """Answer the first requests with `broken`, and the others with `then`."""
    left = [broken] * times

    def answer(connection: socket.socket, ended: threading.Event) -> None:
        (left.pop() if left else then)(connection, ended)

    return answer


@pytest.mark.parametrize("broken", [loopback.closing, loopback.resetting, loopback.cut])
@pytest.mark.parametrize("name", REPEATED)
def test_request_that_may_be_repeated_survives_broken_connections(tmp_path: Path, name: str, broken: Answer) -> None:
    with speaking(tmp_path, breaking(MOST_RESENDS, broken, response(200, OBJECT))) as (api, server):
        REPEATED[name](api)
        assert len(server.requests) == MOST_RESENDS + 1


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("form", ["replace", "JSON patch that replaces"])
def test_change_that_may_be_repeated_survives_a_503(tmp_path: Path, form: str) -> None:
    changes: dict[str, Callable[[Api], object]] = {
        "replace": REPEATED["replace"],
        "JSON patch that replaces": lambda api: api.patch("Pod", "ns", "a", REPLACES, form="json"),
    }
    with speaking(tmp_path, breaking(2, response(503, "{}"), response(200, OBJECT))) as (api, server):
        changes[form](api)
        assert len(server.requests) == 3


@pytest.mark.usefixtures("pauses")
def test_replacement_of_a_version_is_sent_once(tmp_path: Path) -> None:
    with speaking(tmp_path, breaking(1, response(503, "{}"), response(200, OBJECT))) as (api, server):
        with pytest.raises(ApiUnavailable):
            ONCE["replacement of a version"](api)
        assert len(server.requests) == 1


@pytest.mark.usefixtures("pauses")
def test_patient_twin_asks_again_and_a_plain_one_does_not(tmp_path: Path) -> None:
    with speaking(tmp_path, breaking(2, response(503, "{}"), response(200, OBJECT))) as (api, server):
        patient = Api(api.kubeconfig, "test", tmp_path, patience=5.0)
        with closing(patient.twin()) as plain, pytest.raises(ApiUnavailable):
            plain.get("Pod", "ns", "a")
        with closing(patient.twin(patient=True)) as twin:
            assert twin.get("Pod", "ns", "a")
        assert len(server.requests) == 3
        patient.close()


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("name", [*REPEATED, *ONCE])
def test_connections_that_break_for_good_are_trouble(tmp_path: Path, name: str) -> None:
    with speaking(tmp_path, loopback.closing) as (api, server):
        with pytest.raises(ApiUnavailable):
            (REPEATED | ONCE)[name](api)
        sent, attempt = len(server.requests), MOST_RESENDS + 1 if name in REPEATED else 1
        # A replacement is attempted for some seconds.
        assert sent % attempt == 0 if name == "replace" else sent == attempt


def test_deletion_whose_answer_was_lost_has_succeeded(tmp_path: Path) -> None:
    with speaking(tmp_path, breaking(1, loopback.closing, response(404, MISSING))) as (api, _):
        api.delete("Pod", "ns", "a")


def test_deletion_of_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with speaking(tmp_path, response(404, MISSING)) as (api, _), pytest.raises(ApiRefused, match="404"):
        api.delete("Pod", "ns", "a")


def test_command_whose_stream_breaks_may_be_tried_again(tmp_path: Path) -> None:
    with speaking(tmp_path, loopback.closing) as (api, _), pytest.raises(ApiUnavailable, match="cannot run `true` in pod a: "):
        api.execute("ns", "a", ["true"])
