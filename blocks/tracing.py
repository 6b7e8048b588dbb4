"""A trace for each run, sent by OTLP where the settings name an endpoint. Elsewhere nothing is imported or measured.

A run's trace has the run's own id, so that who has one finds the other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from blocks.settings import read_settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

FLUSH_MILLISECONDS = 3000


@contextmanager
def trace_run(name: str, run_id: str, **attributes: str | int) -> Iterator[None]:
    """The span of a whole run. What it measured is sent before it ends; a receiver that is away costs 3 s, no run."""
    if not read_settings().otlp_endpoint:
        yield
        return
    from opentelemetry import trace

    provider = _open_provider(read_settings().otlp_endpoint)
    # The parent is no span of anybody's: it only carries the id that the trace is to have.
    origin = trace.SpanContext(
        UUID(run_id).int, UUID(run_id).int & (2**64 - 1) or 1, is_remote=True, trace_flags=trace.TraceFlags(1)
    )
    context = trace.set_span_in_context(trace.NonRecordingSpan(origin))
    try:
        with provider.get_tracer("terrarium").start_as_current_span(name, context, attributes=attributes):
            yield
    finally:
        provider.force_flush(FLUSH_MILLISECONDS)


@contextmanager
def trace_step(name: str, **attributes: str | int) -> Iterator[None]:
    """The span of a step, below its run's."""
    if not read_settings().otlp_endpoint:
        yield
        return
    with (
        _open_provider(read_settings().otlp_endpoint)
        .get_tracer("terrarium")
        .start_as_current_span(name, attributes=attributes)
    ):
        yield


@cache
def _open_provider(endpoint: str) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "terrarium"}))
    exporter: Any = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=FLUSH_MILLISECONDS // 1000)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
