"""The spans. None has a value of a record, a query or a header: only declared paths, names, codes, and SQL with marks
instead of values.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from opentelemetry import context as contexts
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from apilane.plugin import SeenDelivery, SeenRequest, SeenStatement

__all__ = ["Spans"]

SYSTEMS = {"sqlite": "sqlite", "mysql": "mysql", "postgresql": "postgresql", "sqlserver": "microsoft.sql_server"}
_read = TraceContextTextMapPropagator().extract


class _Notes(NamedTuple):
    span: Span
    context: contexts.Context
    started_ns: int
    token: Any


class Spans:
    """Makes spans with ``tracer``; None: the process is not open."""

    def __init__(self) -> None:
        self.tracer: Tracer | None = None

    def request_started(self, seen: SeenRequest) -> None:
        """Begin the span of a request, in the trace of the caller if it sends one; the answer names the trace."""
        if self.tracer is None:
            return
        headers = seen.scope["headers"]
        carrier = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in headers
            if name in {b"traceparent", b"tracestate"}
        }
        started_ns = time.time_ns()
        span = self.tracer.start_span(
            seen.scope["method"] if seen.scope["method"].isalpha() else "other",
            _read(carrier, contexts.Context()),
            SpanKind.SERVER,
            start_time=started_ns,
        )
        context = set_span_in_context(span, contexts.Context())
        seen.notes["otel"] = _Notes(span, context, started_ns, contexts.attach(context))
        found = span.get_span_context()
        parent = f"00-{found.trace_id:032x}-{found.span_id:016x}-{int(found.trace_flags):02x}"
        seen.answer_headers = (*seen.answer_headers, (b"traceparent", parent.encode()))

    def request_admitted(self, seen: SeenRequest) -> None:
        """The span of the checks."""
        notes: _Notes | None = seen.notes.get("otel")
        if self.tracer is not None and notes is not None and notes.span.is_recording():
            self.tracer.start_span("admission", notes.context, start_time=notes.started_ns).end()

    def request_ended(self, seen: SeenRequest) -> None:
        """End the span of a request."""
        notes: _Notes | None = seen.notes.get("otel")
        if notes is None:
            return
        contexts.detach(notes.token)
        span = notes.span
        if span.is_recording():
            method = seen.scope["method"] if seen.scope["method"].isalpha() else "other"
            span.update_name(f"{method} {seen.path}".rstrip())
            found = {"http.request.method": method, "http.route": seen.path, "http.response.status_code": seen.status}
            call: Any = seen.call
            application, actor = getattr(call, "application", None), getattr(call, "actor", None)
            found["apilane.application"] = "" if application is None else application.token
            found["apilane.entity"] = "" if call is None else call.entity_name or ""
            found["apilane.caller"] = "" if actor is None else actor.kind
            found["apilane.code"] = "" if seen.code is None else seen.code.value
            found["apilane.request_id"] = seen.request_id or ""
            span.set_attributes({name: value for name, value in found.items() if value})
            if seen.status >= 500 or not seen.status:
                span.set_status(Status(StatusCode.ERROR))
        span.end()

    @contextmanager
    def statement(self, seen: SeenStatement) -> Iterator[None]:
        """The span of a trip to the database, inside of a request or a delivery."""
        tracer = self.tracer
        if tracer is None or not get_current_span().is_recording():
            yield
            return
        attributes = {"db.system.name": SYSTEMS.get(seen.provider.lower(), "other_sql"), "db.operation.name": seen.kind}
        if seen.text is not None:
            attributes["db.query.text"] = seen.text
        span = tracer.start_span(f"{seen.kind} {seen.provider}", kind=SpanKind.CLIENT, attributes=attributes)
        with _ending(span):
            yield

    @contextmanager
    def delivery(self, seen: SeenDelivery) -> Iterator[None]:
        """The span of an attempt to deliver a message; the statements of its handler are inside."""
        tracer, message = self.tracer, seen.message
        if tracer is None:
            yield
            return
        attributes: dict[str, str | int] = {
            "messaging.system": "apilane",
            "messaging.operation.type": "process",
            "messaging.destination.name": message.kind,
            "messaging.message.id": message.key,
            "apilane.application": seen.application.token,
            "apilane.attempt": message.attempt,
        }
        span = tracer.start_span(
            f"deliver {message.kind}", contexts.Context(), SpanKind.CONSUMER, attributes=attributes
        )
        token = contexts.attach(set_span_in_context(span, contexts.Context()))
        try:
            with _ending(span):
                yield
        finally:
            contexts.detach(token)


@contextmanager
def _ending(span: Span) -> Iterator[None]:
    """End a span with the block, and name the error that the block raises."""
    try:
        yield
    except BaseException as error:
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(Status(StatusCode.ERROR))
        raise
    finally:
        span.end()
