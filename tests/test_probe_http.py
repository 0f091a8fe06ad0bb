import contextlib
import socket
import threading
import time

import pytest
import requests
import urllib3

from kubechain.conditions.http import Failure
from kubechain.probes.http import BODY_LIMIT, classify, fetch
from tests import loopback
from tests.loopback import Answer, response, serving

HI = "Welcome to nginx!"


def test_page_has_status_body_and_the_headers_of_its_backend() -> None:
    with serving(response(200, HI, "X-Backend: web-1", "X-Source: 10.0.0.7")) as server:
        page = fetch(server.url)
    assert (page.status, page.body, page.backend, page.source, page.failure) == (200, HI, "web-1", "10.0.0.7", "")
    assert 0 < page.seconds < 5


def test_each_request_uses_a_new_connection() -> None:
    with serving(response(200, HI)) as server:
        fetch(server.url)
        fetch(server.url)
        assert len(server.requests) == 2
        assert "connection: close" in server.requests[0].lower()


@pytest.mark.parametrize("status", [404, 500, 503])
def test_error_page_is_returned_without_a_second_request(status: int) -> None:
    with serving(response(status, "no")) as server:
        page = fetch(server.url)
        assert len(server.requests) == 1
    assert (page.status, page.failure) == (status, "")


def test_redirect_is_not_followed() -> None:
    with serving(response(302, "", "Location: /elsewhere")) as server:
        assert fetch(server.url).status == 302
        assert len(server.requests) == 1


def test_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{loopback.free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with serving(response(200, HI)) as server:
        assert fetch(server.url).status == 200


def test_port_without_a_listener_is_refused() -> None:
    page = fetch(f"http://127.0.0.1:{loopback.free_port()}/")
    assert (page.failure, page.status) == ("refused", 0)
    assert "refused" in page.detail.lower()


def test_no_response_is_a_timeout_after_the_given_seconds() -> None:
    with serving(loopback.silent) as server:
        began = time.monotonic()
        page = fetch(server.url, seconds=0.3)
        assert time.monotonic() - began < 2
        assert len(server.requests) == 1
    assert page.failure == "timeout"
    assert page.seconds >= 0.3


@pytest.mark.parametrize("answer", [loopback.closing, loopback.resetting, loopback.cut])
def test_connection_that_closes_early_is_a_reset(answer: Answer) -> None:
    with serving(answer) as server:
        page = fetch(server.url, seconds=2)
        assert len(server.requests) == 1
    assert (page.failure, page.status, page.body) == ("reset", 0, "")


def test_incomplete_page_is_a_timeout() -> None:
    with serving(loopback.half) as server:
        page = fetch(server.url, seconds=0.3)
    assert (page.failure, page.status) == ("timeout", 0)


def trickling(connection: socket.socket, ended: threading.Event) -> None:
    """Send a page a byte at a time, and never end it."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n")
    with contextlib.suppress(OSError):
        while not ended.wait(0.05):
            connection.sendall(b"x")


def test_page_that_trickles_is_a_timeout_after_the_given_seconds() -> None:
    with serving(trickling) as server:
        began = time.monotonic()
        page = fetch(server.url, seconds=0.3)
        assert time.monotonic() - began < 2
    assert (page.failure, page.status) == ("timeout", 0)


def trickling_headers(connection: socket.socket, ended: threading.Event) -> None:
    """Send headers a byte at a time, and never end them."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    with contextlib.suppress(OSError):
        while not ended.wait(0.05):
            connection.sendall(b"x")


@pytest.mark.parametrize("port", [0, 31_991])
def test_headers_that_trickle_are_a_timeout_after_the_given_seconds(port: int) -> None:
    with serving(trickling_headers) as server:
        began = time.monotonic()
        page = fetch(server.url, seconds=0.3, port=port)
        assert time.monotonic() - began < 2
    assert (page.failure, page.status) == ("timeout", 0)


def test_body_is_limited() -> None:
    with serving(response(200, HI + "x" * 3 * BODY_LIMIT)) as server:
        page = fetch(server.url)
    assert len(page.body) == BODY_LIMIT
    assert page.body.startswith(HI)


def wrapped(inner: Exception) -> requests.RequestException:
    return requests.ConnectionError(urllib3.exceptions.ProtocolError("Connection aborted.", inner))


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (wrapped(ConnectionResetError(104, "Connection reset by peer")), "reset"),
        (requests.ConnectionError(OSError(113, "No route to host")), "unreachable"),
        (requests.ConnectionError(OSError(101, "Network is unreachable")), "unreachable"),
        (requests.ConnectionError(ConnectionRefusedError(111, "Connection refused")), "refused"),
        (requests.ConnectTimeout("slow"), "timeout"),
        (requests.ReadTimeout("slow"), "timeout"),
        (requests.exceptions.InvalidURL("no host"), "other"),
    ],
)
def test_failure_is_classified_by_its_innermost_exception(error: Exception, wanted: Failure) -> None:
    kind, detail = classify(error)
    assert kind == wanted
    assert detail
    assert "\n" not in detail


def test_exception_that_is_its_own_cause_is_classified() -> None:
    error = requests.ConnectionError()
    error.__cause__ = error
    assert classify(error) == ("other", "ConnectionError")
