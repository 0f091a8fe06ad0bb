"""Every request ends: whatever the server sends, and however slowly; a pause that the server asks for is kept."""

import json
import socket
import threading
import time
from pathlib import Path

import pytest

from kubechain.core.errors import HarnessError
from kubechain.kube.client import Api
from kubechain.kube.errors import ApiUnavailable
from tests import loopback
from tests.api_server import Fault, api_server, in_turn
from tests.loopback import Answer
from tests.test_api import PODS, speaking

LIST = '{"items": [], "metadata": {"resourceVersion": "7"}}'


def trickling(head: bytes) -> Answer:
    """Send `head`, then a byte every 50 ms, for as long as the test lasts."""

    def answer(connection: socket.socket, ended: threading.Event) -> None:
        connection.sendall(head)
        while not ended.wait(0.05):
            connection.sendall(b"x")

    return answer


NO_HEADERS, NO_BODY = b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n"
TRICKLES = {"status": b"", "headers": NO_HEADERS, "body": NO_BODY, "chunk": CHUNKED}


@pytest.mark.parametrize("head", TRICKLES.values(), ids=TRICKLES)
def test_trickling_answer_is_unavailable_within_the_given_seconds(tmp_path: Path, head: bytes) -> None:
    with speaking(tmp_path, trickling(head)) as (api, _):
        began = time.monotonic()
        with pytest.raises(ApiUnavailable):
            api.call("GET", PODS, seconds=0.5)
        assert 0.4 < time.monotonic() - began < 2


def test_next_request_has_its_whole_time(tmp_path: Path) -> None:
    answers = [trickling(NO_BODY), loopback.response(200, LIST)]

    def next_answer(connection: socket.socket, ended: threading.Event) -> None:
        answer = answers.pop(0)
        # The server has one thread: the first answer must end with its connection.
        ended = threading.Event() if answers else ended
        answer(connection, ended)

    with speaking(tmp_path, next_answer) as (api, _):
        with pytest.raises(ApiUnavailable):
            api.call("GET", PODS, seconds=0.3)
        assert api.list("Pod", "ns").version == "7"


def test_trickling_watch_ends_after_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubechain.kube.client.REQUEST_SECONDS", 0.5)
    with speaking(tmp_path, trickling(CHUNKED)) as (api, _):
        began = time.monotonic()
        with pytest.raises(ApiUnavailable):
            list(api.watch("Pod", "ns", "7", 0))
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("answer", [loopback.silent, trickling(b""), trickling(b"HTTP/1.1 101 Switching Protocols\r\nX: ")])
def test_exec_whose_handshake_hangs_ends_in_time(tmp_path: Path, answer: Answer) -> None:
    with speaking(tmp_path, answer) as (api, _):
        began = time.monotonic()
        with pytest.raises(HarnessError, match=r"cannot run `true` in pod a: the API server did not answer"):
            api.execute("ns", "a", ["true"], seconds=0.5)
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("status", [429, 503])
def test_pause_that_the_server_asks_for_is_kept(tmp_path: Path, status: int) -> None:
    with api_server() as server:
        api = Api(loopback.kubeconfig(tmp_path, server.url), "test", tmp_path)
        server.store[PODS] = json.loads(LIST)
        server.faults = in_turn(Fault(status, headers={"Retry-After": "1"}), method="GET")
        began = time.monotonic()
        assert api.list("Pod", "ns").version == "7"
        assert 1 <= time.monotonic() - began < 3
        assert len(server.requests) == 2
        api.close()


def test_creation_after_503_waits_as_long_and_what_was_created_is_known_again(tmp_path: Path) -> None:
    with api_server() as server:
        api = Api(loopback.kubeconfig(tmp_path, server.url), "test", tmp_path)
        server.faults = in_turn(Fault(503, executed=True, headers={"Retry-After": "1"}))
        began = time.monotonic()
        assert api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}, "ns").name == "a"
        assert 1 <= time.monotonic() - began < 4
        assert len(server.sent("POST")) == 2
        api.close()


def test_deletion_after_503_is_done_if_the_object_is_missing(tmp_path: Path) -> None:
    with api_server() as server:
        api = Api(loopback.kubeconfig(tmp_path, server.url), "test", tmp_path)
        server.store["/api/v1/namespaces/ns/pods/a"] = {}
        server.faults = in_turn(Fault(503, executed=True, headers={"Retry-After": "1"}), method="DELETE")
        api.delete("Pod", "ns", "a")
        assert len(server.sent("DELETE")) == 2
        api.close()


def test_long_pause_is_kept_as_well(tmp_path: Path) -> None:
    with api_server() as server:
        api = Api(loopback.kubeconfig(tmp_path, server.url), "test", tmp_path)
        server.faults = in_turn(Fault(429, headers={"Retry-After": "30"}), method="GET")
        for left in ("429", "of which (29|30) s are left"):
            with pytest.raises(ApiUnavailable, match=left):
                api.list("Pod", "ns")
        assert len(server.requests) == 1
        api.close()


def test_pause_beyond_the_deadline_is_unavailable_at_once_and_no_request_is_sent_before_its_end(tmp_path: Path) -> None:
    with api_server() as server:
        api = Api(loopback.kubeconfig(tmp_path, server.url), "test", tmp_path)
        server.store[PODS] = json.loads(LIST)
        server.faults = in_turn(Fault(429, headers={"Retry-After": "2"}), method="GET")
        began = time.monotonic()
        for _ in range(5):
            with pytest.raises(ApiUnavailable, match="429"):
                api.call("GET", PODS, seconds=0.3)
        assert time.monotonic() - began < 1
        assert len(server.requests) == 1
        assert json.loads(api.call("GET", PODS)) == json.loads(LIST)
        assert time.monotonic() - began >= 2
        api.close()
