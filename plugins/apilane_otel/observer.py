"""The observer: opens and closes the exporter with the process.

Spans wait in a bounded queue, from which a thread sends them. If the collector is away, the queue fills and further
spans are dropped; no request waits.
"""

from __future__ import annotations

import asyncio
import threading
from time import monotonic
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased

from apilane.plugin import Observer, ProcessView, Secret
from apilane_otel.spans import Spans

__all__ = ["make_observer"]

QUEUE: Final = 4096
BATCH: Final = 512
DELAY_MS: Final = 1000
EXPORT_S: Final = 3.0
"""Time that the collector has to take a batch."""
END_S: Final = 2.0
"""Time that the process waits at its end until the last spans are sent."""


def make_observer(endpoint: str, service_name: str, sample_ratio: float, authorization: Secret | None) -> Observer:
    """The observer that sends spans to ``endpoint``."""
    spans = Spans()
    providers: list[TracerProvider] = []

    async def opened(_process: ProcessView) -> None:
        headers = {} if authorization is None else {"authorization": await authorization.get()}
        sampled = TraceIdRatioBased(sample_ratio)
        provider = TracerProvider(
            # A caller cannot have more traces recorded than the ratio.
            sampler=ParentBased(sampled, remote_parent_sampled=sampled, remote_parent_not_sampled=ALWAYS_OFF),
            resource=Resource.create({"service.name": service_name}),
            shutdown_on_exit=False,
        )
        exporter = OTLPSpanExporter(endpoint=endpoint, headers=headers, timeout=EXPORT_S)
        provider.add_span_processor(
            BatchSpanProcessor(
                exporter, max_queue_size=QUEUE, max_export_batch_size=BATCH, schedule_delay_millis=DELAY_MS
            )
        )
        providers.append(provider)
        spans.tracer = provider.get_tracer("apilane")

    async def closed() -> None:
        spans.tracer = None
        while providers:
            # A thread of its own, because the process waits at its end for those of asyncio.
            sending = threading.Thread(target=providers.pop().shutdown, name="apilane-otel", daemon=True)
            sending.start()
            deadline = monotonic() + END_S
            while sending.is_alive() and monotonic() < deadline:  # noqa: ASYNC110  once, at the end
                await asyncio.sleep(0.02)

    return Observer(
        opened=opened,
        closed=closed,
        request_started=spans.request_started,
        request_admitted=spans.request_admitted,
        request_ended=spans.request_ended,
        statement=spans.statement,
        delivery=spans.delivery,
    )
