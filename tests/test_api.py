import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kubechain.core.errors import ExitCode, HarnessError, NoProgram, Transient
from kubechain.kube.client import Api
from kubechain.kube.connection import retry_after
from kubechain.kube.errors import ApiFailed, ApiRefused, ApiUnavailable, refusal
from kubechain.kube.exec import exit_status
from kubechain.kube.objects import Json
from kubechain.kube.paths import path_of
from kubechain.upgrade.cluster_watch import kept
from tests import loopback
from tests.loopback import Answer, Server, response, serving

FORBIDDEN = '{"kind": "Status", "reason": "Forbidden", "message": "pods is forbidden"}'
PODS = "/api/v1/namespaces/ns/pods"
Request = Callable[[Api], object]
UID: Json = {"preconditions": {"uid": "u"}}
CALLS: dict[str, Request] = {
    "get": lambda api: api.get("Pod", "ns", "a"),
    "list": lambda api: api.list("Pod", "ns"),
    "create": lambda api: api.create({"kind": "Pod"}, "ns"),
    "delete": lambda api: api.delete("Pod", "ns", "a", seconds=0),
    "watch": lambda api: list(api.watch("Pod", "ns", "7", 5)),
}


@contextmanager
def speaking(folder: Path, answer: Answer) -> Generator[tuple[Api, Server]]:
    with serving(answer) as server:
        api = Api(loopback.kubeconfig(folder, server.url), "test", folder)
        try:
            yield api, server
        finally:
            api.close()


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(("status", "code"), [(401, ExitCode.RIGHTS), (403, ExitCode.RIGHTS), (409, ExitCode.HARNESS)])
def test_4xx_is_a_refusal_with_its_reason(tmp_path: Path, name: str, status: int, code: ExitCode) -> None:
    with speaking(tmp_path, response(status, FORBIDDEN)) as (api, server):
        with pytest.raises(ApiRefused, match=f"API server: {status} Forbidden: pods is forbidden") as caught:
            CALLS[name](api)
        assert (caught.value.status, caught.value.reason, caught.value.code) == (status, "Forbidden", code)
        assert len(server.requests) == 1


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("status", [429, 500, 503, 504])
def test_overloaded_server_is_unavailable_and_gets_no_second_request(tmp_path: Path, name: str, status: int) -> None:
    with speaking(tmp_path, response(status, "overloaded", "Retry-After: 0")) as (api, server):
        with pytest.raises(ApiUnavailable, match=str(status)) as caught:
            CALLS[name](api)
        assert caught.value.code == ExitCode.UNREACHABLE
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "options", "deleted"),
    [(200, {}, True), (404, {}, True), (409, {}, False), (403, {}, False), (409, UID, True), (404, UID, True), (422, UID, False)],
)
def test_missing_ok_accepts_404_and_with_preconditions_409(tmp_path: Path, status: int, options: Json, *, deleted: bool) -> None:
    with speaking(tmp_path, response(status, FORBIDDEN)) as (api, server):
        with contextlib.nullcontext() if deleted else pytest.raises(ApiRefused, match=str(status)):
            api.delete("Pod", "ns", "a", options, missing_ok=True)
        assert len(server.requests) == 1


@pytest.mark.parametrize("options", [{}, UID])
@pytest.mark.parametrize("status", [404, 409])
def test_delete_of_a_missing_object_is_refused(tmp_path: Path, status: int, options: Json) -> None:
    with speaking(tmp_path, response(status, FORBIDDEN)) as (api, _), pytest.raises(ApiRefused, match=str(status)):
        api.delete("Pod", "ns", "a", options)


def test_request_rejected_with_429_is_sent_again_after_retry_after(tmp_path: Path) -> None:
    answers = [response(429, "too many", "Retry-After: 1"), response(200, '{"items": [], "metadata": {"resourceVersion": "7"}}')]

    def next_answer(connection: socket.socket, ended: threading.Event) -> None:
        answers.pop(0)(connection, ended)

    with speaking(tmp_path, next_answer) as (api, server):
        began = time.monotonic()
        assert api.list("Pod", "ns").version == "7"
        assert 1 <= time.monotonic() - began < 3
        assert len(server.requests) == 2


def test_status_returns_429_without_a_retry(tmp_path: Path) -> None:
    with speaking(tmp_path, response(429, "too many", "Retry-After: 1")) as (api, server):
        assert api.status("POST", PODS) == 429
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "later", "seconds"), [(429, "1", 1), (429, "60", 60), (429, "", 0), (429, "soon", 0), (503, "1", 1), (500, "1", 0)]
)
def test_retry_after_counts_for_429_and_503(status: int, later: str, seconds: float) -> None:
    assert retry_after(status, later) == seconds


@pytest.mark.parametrize("answer", [loopback.silent, loopback.half])
def test_server_that_hangs_is_unavailable_within_the_given_seconds(tmp_path: Path, answer: Answer) -> None:
    with speaking(tmp_path, answer) as (api, server):
        began = time.monotonic()
        with pytest.raises(ApiUnavailable):
            api.call("GET", PODS, seconds=0.3)
        assert time.monotonic() - began < 2
        assert len(server.requests) == 1


def test_refused_connection_is_unavailable(tmp_path: Path) -> None:
    api = Api(loopback.kubeconfig(tmp_path, f"http://127.0.0.1:{loopback.free_port()}"), "test", tmp_path)
    with pytest.raises(ApiUnavailable, match="unreachable"):
        api.call("GET", PODS)
    api.close()


def test_unavailable_is_transient_and_refused_is_not() -> None:
    assert issubclass(ApiUnavailable, Transient)
    assert not issubclass(ApiRefused, Transient)


def test_redirect_is_not_followed(tmp_path: Path) -> None:
    with speaking(tmp_path, response(302, "", "Location: /elsewhere")) as (api, server):
        api.call("GET", PODS)
        assert server.lines == [f"GET {PODS}"]


def test_request_carries_the_token_and_the_body(tmp_path: Path) -> None:
    with speaking(tmp_path, response(200, '{"kind": "Pod", "metadata": {"name": "a"}}')) as (api, server):
        made = api.patch("Pod", "ns", "a", {"spec": {"x": 1}})
        assert made.name == "a"
        (request,) = server.requests
        assert server.lines == [f"PATCH {PODS}/a"]
        assert "authorization: bearer kubeconfig-token" in request.lower()
        assert "application/merge-patch+json" in request


def test_get_of_a_missing_object_is_none_and_list_of_a_missing_kind_is_refused(tmp_path: Path) -> None:
    with speaking(tmp_path, response(404, '{"reason": "NotFound", "message": "pods a not found"}')) as (api, _):
        assert api.get("Pod", "ns", "a") is None
        with pytest.raises(ApiRefused):
            api.list("Pod", "ns")


def test_items_of_a_list_get_their_kind_and_the_list_its_version(tmp_path: Path) -> None:
    text = '{"metadata": {"resourceVersion": "70"}, "items": [{"metadata": {"name": "a"}}]}'
    with speaking(tmp_path, response(200, text)) as (api, server):
        listing = api.list("Pod", "ns", "app=web")
        assert server.lines == [f"GET {PODS}?labelSelector=app%3Dweb&limit=500"]
    assert (listing.version, [item.kind for item in listing.items]) == ("70", ["Pod"])


def test_list_without_items_is_empty(tmp_path: Path) -> None:
    with speaking(tmp_path, response(200, '{"metadata": {"resourceVersion": "70"}, "items": null}')) as (api, _):
        assert api.list("Pod", "ns").items == []


EVENTS = b'{"type": "ADDED", "object": {"n": "\xc3\xa4"}}\n{"type": "BOOKMARK", "object": {"n": 2}}\n'


@pytest.mark.parametrize("size", [1, 7, 33, len(EVENTS)])
def test_watch_is_read_line_by_line_from_chunks_of_any_size(tmp_path: Path, size: int) -> None:
    chunks = [EVENTS[at : at + size] for at in range(0, len(EVENTS), size)]
    with speaking(tmp_path, loopback.streaming(*chunks)) as (api, server):
        events = list(api.watch("Pod", "ns", "70", 30))
        assert "resourceVersion=70" in server.lines[0]
        assert "allowWatchBookmarks=true" in server.lines[0]
        assert "timeoutSeconds=30" in server.lines[0]
    assert events == [("ADDED", {"n": "ä"}), ("BOOKMARK", {"n": 2})]


def test_watch_yields_an_event_as_soon_as_it_comes(tmp_path: Path) -> None:
    def answer(connection: loopback.socket.socket, ended: loopback.threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        line = b'{"type": "ADDED", "object": {}}\n'
        connection.sendall(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        ended.wait(loopback.LONGEST)

    with speaking(tmp_path, answer) as (api, _):
        began = time.monotonic()
        assert next(iter(api.watch("Pod", "ns", "70", 30))) == ("ADDED", {})
        assert time.monotonic() - began < 2


def test_broken_watch_yields_its_events_and_then_is_unavailable(tmp_path: Path) -> None:
    def answer(connection: loopback.socket.socket, _: loopback.threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        line = b'{"type": "ADDED", "object": {}}\n{"type": "MOD'
        connection.sendall(f"{len(line):x}\r\n".encode() + line + b"\r\n")

    with speaking(tmp_path, answer) as (api, _):
        events = iter(api.watch("Pod", "ns", "70", 30))
        assert next(events) == ("ADDED", {})
        with pytest.raises(ApiUnavailable):
            next(events)


@pytest.mark.parametrize("text", ["", "no healthy upstream", "null", "[]", '"down"', '{"reason": null}', "<html>\n</html>"])
def test_body_in_any_form_gives_the_error_of_its_status(text: str) -> None:
    assert isinstance(refusal(503, text), ApiUnavailable)
    assert isinstance(refusal(429, text), ApiUnavailable)
    assert not isinstance(refusal(503, text), ApiFailed)
    assert isinstance(refusal(500, text), ApiFailed)
    assert isinstance(refusal(403, text), ApiRefused)
    assert "\n" not in str(refusal(403, text))


def test_paths_are_those_of_the_api_reference() -> None:
    assert path_of("Pod", "ns", "a", "log") == "/api/v1/namespaces/ns/pods/a/log"
    assert path_of("Deployment", "ns") == "/apis/apps/v1/namespaces/ns/deployments"
    assert path_of("Namespace", "", "ns") == "/api/v1/namespaces/ns"
    assert path_of("Node") == "/api/v1/nodes"
    assert path_of("EndpointSlice", "ns", "x") == "/apis/discovery.k8s.io/v1/namespaces/ns/endpointslices/x"
    with pytest.raises(KeyError):
        path_of("Gateway", "ns")


def status_of(text: str) -> int:
    return exit_status(text, ["dig"], "client")


def test_exit_status_of_a_command_is_read_from_the_status_object() -> None:
    assert status_of('{"status": "Success"}') == 0
    causes = '{"causes": [{"reason": "ExitCode", "message": "9"}]}'
    assert status_of(f'{{"status": "Failure", "reason": "NonZeroExitCode", "details": {causes}}}') == 9


@pytest.mark.parametrize("text", ["", "{}", '{"status": "Failure", "message": "container not found"}'])
def test_missing_exit_status_is_an_error_and_not_status_0(text: str) -> None:
    with pytest.raises(HarnessError, match="`dig` in pod client"):
        status_of(text)


def test_stream_without_an_exit_status_is_trouble_that_may_pass() -> None:
    with pytest.raises(ApiUnavailable, match="`dig` in pod client: the stream ended before its exit status"):
        status_of("")


@pytest.mark.parametrize("quoted", ['"dig": executable file not found in $PATH', "executable file `dig` not found in $PATH"])
def test_program_that_an_image_lacks_is_told_from_other_trouble(quoted: str) -> None:
    with pytest.raises(NoProgram, match=r"`dig` in pod client: .*dig.* not found"):
        status_of(json.dumps({"status": "Failure", "message": f"failed to exec in container: {quoted}"}))


def test_error_of_a_watch_is_no_object_of_its_kind(tmp_path: Path) -> None:
    status: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 410, "reason": "Expired"}
    line = json.dumps({"type": "ERROR", "object": status})
    with speaking(tmp_path, response(200, line + "\n")) as (api, _):
        twin = api.twin(kept)
        assert list(twin.watch("Node", "", "1", 5)) == [("ERROR", status)]
        twin.close()
