"""The metrics of this plugin: names, kinds, labels and texts of the exposition."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["FAMILIES", "LAG_BOUNDS_S", "REQUEST_BOUNDS_S", "Family"]

REQUEST_BOUNDS_S = (
    0.001,
    0.002,
    0.003,
    0.005,
    0.01,
    0.025,
    0.05,
    0.075,
    0.1,
    0.25,
    0.5,
    0.75,
    1.0,
    2.5,
    5.0,
    7.5,
    10.0,
)
"""Those of the wire (docs/reference/protocol/wire-api.md section 8)."""
LAG_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Family(NamedTuple):
    """One metric. ``live``: only the values of processes that live now count."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    text: str
    bounds: tuple[float, ...] = ()
    live: bool = False

    @property
    def width(self) -> int:
        """Stored numbers of a series: one, or the sum of a histogram and one for each bucket."""
        return len(self.bounds) + 2 if self.kind == "histogram" else 1


FAMILIES = {
    family.name: family
    for family in (
        Family(
            "apilane_api_data_duration",
            "histogram",
            ("action", "entity", "apptoken"),
            "Seconds of Data, Files and Custom calls until the answer was ready.",
            REQUEST_BOUNDS_S,
        ),
        Family("apilane_requests", "counter", ("call", "method", "status"), "Answered requests."),
        Family("apilane_errors", "counter", ("call", "code"), "Answers with an error code of the wire."),
        Family("apilane_rate_limit_refusals", "counter", ("apptoken",), "Calls refused by the rate limit of a rule."),
        Family("apilane_event_loop_lag", "histogram", (), "Seconds that the event loop was late.", LAG_BOUNDS_S),
        Family("apilane_cache_lookups", "counter", ("cache",), "Requests that needed an entry of the cache."),
        Family("apilane_cache_misses", "counter", ("cache",), "Entries that were read because the cache had none."),
        Family("apilane_workers", "gauge", (), "Processes that serve.", live=True),
        Family("apilane_applications_loaded", "gauge", (), "Applications in memory, all workers together.", live=True),
        Family("apilane_connections", "gauge", ("provider",), "Open connections; SQLite: open databases.", live=True),
        Family("apilane_connections_idle", "gauge", ("provider",), "Open connections that no caller uses.", live=True),
        Family("apilane_connection_waiters", "gauge", ("provider",), "Callers waiting for a connection.", live=True),
        Family("apilane_writes_queued", "gauge", ("provider",), "Writes in the queues of SQLite writers.", live=True),
    )
}
"""The metrics that workers write, by name. The outbox is read when metrics are read (``exposition``)."""
