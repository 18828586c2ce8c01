"""The text that Prometheus reads: the numbers of all workers, added up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import TimeoutError as FutureTimeoutError
from itertools import accumulate
from pathlib import Path
from time import monotonic
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from apilane.plugin import OutboxState, ProcessView
from apilane_metrics.families import FAMILIES, Family
from apilane_metrics.slots import read_slots

__all__ = ["CONTENT_TYPE", "OUTBOX", "Exposition"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
OUTBOX: Final = {
    "apilane_outbox_waiting": "Messages that wait.",
    "apilane_outbox_dead": "Messages that were given up.",
    "apilane_outbox_oldest_seconds": "Age of the oldest message that waits.",
}
"""The metrics of outboxes with messages, read when they are scraped. A worker does not store them."""
OUTBOXES_MAX: Final = 100
OUTBOXES_WAIT_S: Final = 5.0
OUTBOXES_KEPT_S: Final = 5.0
"""How long the state of the outboxes is shown again, so that many scrapes do not read databases."""


class Exposition:
    """``folder``: of the numbers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.process: tuple[ProcessView, asyncio.AbstractEventLoop] | None = None
        """The process and its event loop, once it is open; the outboxes are read through it."""
        self._outboxes: tuple[float, list[OutboxState]] = (0.0, [])
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def text(self) -> bytes:
        """All metrics. It takes 0.1 s for thousands of series, so it runs in a thread beside the event loop."""
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        """Nothing is checked when the registry is made."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Called by the registry."""
        sums: dict[tuple[str, tuple[str, ...]], list[float]] = {}
        for family, labels, values, live in read_slots(self._folder):
            if FAMILIES[family].live and not live:
                continue
            known = sums.setdefault((family, labels), [0.0] * len(values))
            for place, value in enumerate(values):
                known[place] += value
        by_family: dict[str, list[tuple[tuple[str, ...], list[float]]]] = {name: [] for name in FAMILIES}
        for (name, labels), summed in sorted(sums.items()):
            by_family[name].append((labels, summed))
        for name, series in by_family.items():
            yield _metric(FAMILIES[name], series)
        yield from self._outbox_metrics()

    def _outbox_metrics(self) -> Iterable[Metric]:
        waiting, dead, oldest = (GaugeMetricFamily(name, text, labels=["apptoken"]) for name, text in OUTBOX.items())
        for state in self._read_outboxes():
            waiting.add_metric([state.application], state.waiting)
            dead.add_metric([state.application], state.dead)
            oldest.add_metric([state.application], state.oldest_s)
        return waiting, dead, oldest

    def _read_outboxes(self) -> list[OutboxState]:
        until, known = self._outboxes
        if monotonic() < until or self.process is None:
            return known
        process, loop = self.process
        try:
            reading = asyncio.run_coroutine_threadsafe(process.outboxes(OUTBOXES_MAX), loop)
            known = reading.result(OUTBOXES_WAIT_S)
        except (FutureTimeoutError, RuntimeError):  # late, or the loop has ended: the last state is shown
            return known
        self._outboxes = monotonic() + OUTBOXES_KEPT_S, known
        return known


def _metric(family: Family, series: list[tuple[tuple[str, ...], list[float]]]) -> Metric:
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(family.name, family.text, labels=family.labels)
        bounds = [*(f"{bound:g}" for bound in family.bounds), "+Inf"]
        for labels, (total, *buckets) in series:
            histogram.add_metric(labels, list(zip(bounds, accumulate(buckets), strict=True)), total)
        return histogram
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(family.name, family.text, labels=family.labels)
    for labels, (value,) in series:
        metric.add_metric(labels, value)
    return metric
