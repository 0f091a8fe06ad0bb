"""The chains of a run as OpenTelemetry traces, sent by OTLP over HTTP: a chain is a trace, and a hand-over is a span.

The packages are those of the extra `otlp`. They read the standard variables, such as OTEL_EXPORTER_OTLP_ENDPOINT and
OTEL_EXPORTER_OTLP_HEADERS: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from kubechain.claims.chain_records import ChainRecord
from kubechain.claims.records import RunRecord
from kubechain.conditions.text import counted
from kubechain.core import redact
from kubechain.core.default_folders import PROJECT
from kubechain.results import runs as finished

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
EXTRA = "no traces: OpenTelemetry is not installed: pip install 'kubechain[otlp]'"


def wanted(environment: Mapping[str, str]) -> bool:
    """Whether the variables of OpenTelemetry ask for traces."""
    off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none"
    return not off and any(environment.get(name) for name in ENDPOINTS)


def send(run: RunRecord, environment: Mapping[str, str]) -> list[str]:
    """Send the chains of a run if the variables ask for it; return what is to be printed of that."""
    if not wanted(environment):
        return []
    chains = [chain for chain in run.chains if chain.began is not None and chain.steps]
    where = redact.text(next(environment[name] for name in ENDPOINTS if environment.get(name)))
    if not chains:
        return ["no traces: no chain of this run came up"]
    try:
        failed = _export(run, chains)
    except ImportError:
        return [EXTRA]
    if failed:
        return [f"no traces: {where} did not take them: {redact.text(failed)}"]
    return [f"traces: {counted(len(chains), 'chain')} sent to {where}"]


def _export(run: RunRecord, chains: list[ChainRecord]) -> str:
    """Send the chains; return why that failed, "" if it did not; ImportError without the packages."""
    from opentelemetry.context import Context  # noqa: PLC0415  # an extra
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult  # noqa: PLC0415
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON  # noqa: PLC0415
    from opentelemetry.trace import set_span_in_context  # noqa: PLC0415

    resource = Resource.create(_resource(run)).merge(OTELResourceDetector().detect())
    provider, spans = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracer = provider.get_tracer(PROJECT, run.versions.get("kubechain", ""))
    for chain in chains:
        attributes = {"k8s.namespace.name": chain.namespace, "kubechain.run": run.run}
        if chain.pulled is not None:
            attributes["kubechain.image.pulled"] = str(chain.pulled).lower()
        trace = tracer.start_span("chain", context=Context(), start_time=_at(chain, 0.0), attributes=attributes)
        for step in chain.steps:
            inside = set_span_in_context(trace, Context())
            tracer.start_span(step.what, context=inside, start_time=_at(chain, step.began)).end(_at(chain, step.ended))
        trace.end(_at(chain, max(step.ended for step in chain.steps)))
    exporter = OTLPSpanExporter()
    try:
        with _messages() as messages:
            result = exporter.export(spans.get_finished_spans())
    finally:
        exporter.shutdown()
        provider.shutdown()
    return "" if result == SpanExportResult.SUCCESS else " ".join(messages[-1].split()) if messages else "no reason given"


def _resource(run: RunRecord) -> dict[str, str]:
    """Return what the spans of a run have in common; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come before it."""
    about = {
        "service.name": PROJECT,
        "service.version": run.versions.get("kubechain", ""),
        "k8s.cluster.name": finished.cluster(run),
        "k8s.cluster.uid": run.cluster.uid or "",
        "kubechain.kubernetes.version": finished.kubernetes(run),
    }
    return {name: value for name, value in about.items() if value}


def _at(chain: ChainRecord, seconds: float) -> int:
    """Return a moment of a chain in Unix nanoseconds."""
    began = chain.began.timestamp() if chain.began else 0.0
    # The sum has more digits than a float.
    return round(began * 1e6) * 1000 + round(seconds * 1e9)


@contextmanager
def _messages() -> Generator[list[str]]:
    """Collect what OpenTelemetry logs, in place of its printing."""
    found: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: found.append(record.getMessage())
    logger = logging.getLogger("opentelemetry")
    propagate = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield found
    finally:
        logger.propagate = propagate
        logger.removeHandler(handler)
