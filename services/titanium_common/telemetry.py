"""OpenTelemetry traces; imported only where `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from starlette.types import Scope

    from titanium_common.context import RequestContext


class Tracing:
    """One server span for each request, as part of the caller's trace."""

    def __init__(self, service: str, version: str, endpoint: str, exporter: SpanExporter | None = None) -> None:
        """Start exporting in the background.

        Args:
            service: the service's name.
            version: the service's version.
            endpoint: base URL of an OTLP/HTTP collector.
            exporter: where spans go instead, for tests.
        """
        self.provider = TracerProvider(resource=Resource.create({"service.name": service, "service.version": version}))
        if exporter is None:
            exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces", timeout=5)
        self.provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self.provider.get_tracer("titanium_common")

    def start(self, scope: Scope, context: RequestContext) -> Span:
        """Start the request's span and let `context` carry its identifiers."""
        parent = None
        for name, value in scope["headers"]:
            if name == b"traceparent" and value[3:35].decode("latin-1") == context.trace_id:
                remote = SpanContext(
                    int(value[3:35], 16),
                    int(value[36:52], 16),
                    is_remote=True,
                    trace_flags=TraceFlags(int(context.flags, 16)),
                )
                parent = trace.set_span_in_context(NonRecordingSpan(remote))
        span = self._tracer.start_span(scope["method"], context=parent, kind=SpanKind.SERVER)
        identity = span.get_span_context()
        context.trace_id = f"{identity.trace_id:032x}"
        context.span_id = f"{identity.span_id:016x}"
        context.flags = f"{identity.trace_flags:02x}"
        return span

    def finish(self, span: Span, method: str, route: str, status: int, error: BaseException | None) -> None:
        """End the span with what became of the request."""
        span.update_name(f"{method} {route}")
        span.set_attributes({"http.request.method": method, "http.route": route, "http.response.status_code": status})
        if status >= 500:
            span.set_status(Status(StatusCode.ERROR))
            if error is not None:
                span.set_attribute("error.type", type(error).__name__)
        span.end()

    def close(self) -> None:
        """Send what is waiting and stop."""
        self.provider.shutdown()
