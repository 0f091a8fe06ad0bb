"""Traces of the chains of a run, sent to an OTLP/HTTP server on loopback."""

import os
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from kubechain.claims.chain_records import POD, READY, ChainRecord, StepRecord
from kubechain.claims.claim import Link
from kubechain.claims.records import read_run
from reports import traces
from tests.fakes import record, run_record
from tests.hostile.access import with_token
from tests.hostile.catalogue import RECORDS
from tests.hostile.runner import run

REQUEST: Any = ExportTraceServiceRequest
BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STEPS = [StepRecord(what=POD, began=0, ended=0.5), StepRecord(what=READY, began=0.5, ended=2.25)]
CHAINS = [
    ChainRecord(namespace="ns-0", pulled=False, steps=STEPS, began=BEGAN),
    ChainRecord(namespace="ns-1", pulled=None, steps=STEPS[:1], began=BEGAN),
    ChainRecord(namespace="of an earlier version", pulled=None, steps=STEPS),
]
RUN = run_record(None, record(Link.PODS, "passed"), code=0).model_copy(update={"chains": CHAINS})


@dataclass
class Collector:
    """A server that keeps what it was sent."""

    port: int
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list[tuple[str, dict[str, str], bytes]])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def spans(self) -> list[Any]:
        bodies = [REQUEST.FromString(body) for _, _, body in self.requests]
        return [span for body in bodies for of in body.resource_spans for scope in of.scope_spans for span in scope.spans]


@contextmanager
def collector(status: int = 200) -> Generator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002  # the parent's name

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Collector(server.server_port)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


def sent(monkeypatch: pytest.MonkeyPatch, **variables: str) -> list[str]:
    for name, value in variables.items():
        monkeypatch.setenv(f"OTEL_{name}", value)
    return traces.send(RUN, os.environ)


def test_chain_is_a_trace_and_a_hand_over_is_a_span(monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as server:
        told = {"EXPORTER_OTLP_ENDPOINT": server.url, "EXPORTER_OTLP_HEADERS": "authorization=Bearer s3cr3ts3cr3t"}
        assert sent(monkeypatch, **told) == [f"traces: 2 chains sent to {server.url}"]
        ((path, headers, body),) = server.requests
        spans = {(span.name, span.trace_id): span for span in server.spans()}
    assert path == "/v1/traces"
    assert headers["authorization"] == "Bearer s3cr3ts3cr3t"
    assert headers["content-type"] == "application/x-protobuf"
    roots = [span for span in spans.values() if span.name == "chain"]
    assert len({span.trace_id for span in roots}) == 2
    assert {span.parent_span_id for span in roots} == {b""}
    first = next(span for span in roots if span.attributes[0].value.string_value == "ns-0")
    ready = spans[READY, first.trace_id]
    assert ready.parent_span_id == first.span_id
    start = int(BEGAN.timestamp() * 1e9)
    assert (first.start_time_unix_nano, first.end_time_unix_nano) == (start, start + 2_250_000_000)
    assert (ready.start_time_unix_nano, ready.end_time_unix_nano) == (start + 500_000_000, start + 2_250_000_000)
    assert len(spans) == 5
    (resource,) = REQUEST.FromString(body).resource_spans
    about = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert about["service.name"] == "kubechain"


@pytest.mark.parametrize("variables", [{}, {"SDK_DISABLED": "true"}, {"TRACES_EXPORTER": "none"}])
def test_nothing_is_sent_unless_the_variables_ask_for_it(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    with collector() as server:
        where = {"EXPORTER_OTLP_ENDPOINT": server.url} if variables else {}
        assert sent(monkeypatch, **where, **variables) == []
        assert server.requests == []


def test_server_that_takes_nothing_is_named_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with collector(403) as server:
        where = f"http://user:hunter2hunter2@127.0.0.1:{server.port}/v1/traces"
        (line,) = sent(monkeypatch, EXPORTER_OTLP_TRACES_ENDPOINT=where)
    assert line.startswith("no traces: http://user:[redacted]@127.0.0.1:")
    assert "403" in line
    assert capfd.readouterr() == ("", "")


def test_server_that_does_not_answer_delays_the_end_by_its_timeout_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = sent(monkeypatch, EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", EXPORTER_OTLP_TIMEOUT="1")
    assert line.startswith("no traces: http://127.0.0.1:9 did not take them: ")


def test_run_without_a_chain_that_came_up_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    assert traces.send(run_record("PODS"), os.environ) == ["no traces: no chain of this run came up"]


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    assert sent(monkeypatch, EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") == [traces.EXTRA]


def test_run_sends_its_chains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "staging")
        one = replace(RECORDS[0], command=("run", "--no-html", "--only", "CHAIN-PODS-010"))
        ended = run(one, with_token(tmp_path), tmp_path)
        assert ended.code == 0, ended.output
        assert f"traces: 1 chain sent to {server.url}" in ended.output
        spans = {span.name: span for span in server.spans()}
        (about,) = REQUEST.FromString(server.requests[0][2]).resource_spans
    (chain,) = read_run(tmp_path / "out" / "run.json").chains
    assert {step.what for step in chain.steps} == set(spans) - {"chain"}
    assert chain.began
    assert spans["chain"].start_time_unix_nano == round(chain.began.timestamp() * 1e6) * 1000
    assert {each.key: each.value.string_value for each in about.resource.attributes}["service.name"] == "staging"
