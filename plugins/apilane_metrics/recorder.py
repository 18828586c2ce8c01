"""Writes the numbers of one worker: of each request when it ends, and of the process once a second."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from pathlib import Path
from typing import Any, Final

from apilane.plugin import Code, ConfigurationError, CustomEndpoint, PerOperation, ProcessView, SeenRequest
from apilane_metrics.families import LAG_BOUNDS_S, REQUEST_BOUNDS_S
from apilane_metrics.slots import Slot

__all__ = ["Recorder"]

SAMPLE_S: Final = 0.25
STATE_EVERY: Final = 4
"""Samples of the event loop between two of the process's state."""
TIMED: Final = ("/api/data/", "/api/files/", "/api/custom/")
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Recorder:
    """An ``Observer``'s functions. The file of numbers is opened with the process."""

    def __init__(self, folder: Path, series_max: int) -> None:
        self._folder = folder
        self._series_max = series_max
        self._slot: Slot | None = None
        self._values: Any = None
        self._paths: dict[str, tuple[str, dict[Any, tuple[int, int]]]] = {}
        """By declared path: where the label ``entity`` is found ("entity", "endpoint", "none"; "" for paths that are
        not timed), and the places of its series by method, status, entity and application."""
        self._found = self._identified = 0
        """Calls with an application, and with the session of a user; written to the file with the samples."""
        self._written: dict[tuple[str, str], int] = {}
        self._task: asyncio.Task[None] | None = None

    async def opened(self, process: ProcessView) -> None:
        """Open the file of this worker and begin to sample."""
        try:
            slot = self._slot = Slot(self._folder, self._series_max)
        except OSError as error:
            raise ConfigurationError(f"The metrics in {self._folder} cannot be written: {error.strerror}.") from error
        self._values = slot.values
        self._task = asyncio.create_task(self._sample(slot, process), name="apilane-metrics")

    async def closed(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._slot is not None:
            self._write_lookups(self._slot)
            self._slot.close()

    def ended(self, seen: SeenRequest) -> None:
        """Count one request. One function, because each call of another one costs 0.1 us."""
        values = self._values
        if values is None:
            return
        route, call = seen.route, seen.call
        path = seen.path if route is None else route.path
        known = self._paths.get(path)
        if known is None:
            known = self._paths[path] = self._source(seen), {}
        source, places = known
        entity = token = ""
        if call is not None:
            try:
                token = call.application.token
                self._found += 1
                if call.actor.session_id is not None:
                    self._identified += 1
            except AttributeError:  # the call named no application
                pass
            if source == "entity":
                entity = call.entity_name or ""
            elif source == "endpoint":
                entity = _endpoint_of(call)
        key = seen.scope["method"], seen.status, entity, token
        at = places.get(key)
        if at is None:
            at = self._new(path, source, key, places)
        counted, timed = at
        values[counted] += 1.0
        if timed:
            duration_s = seen.ended - seen.started
            values[timed] += duration_s
            values[timed + 1 + bisect_left(REQUEST_BOUNDS_S, duration_s)] += 1.0
        if seen.code is not None:
            self._count_error(seen, path, token)

    def _place(self, family: str, *labels: str) -> int:
        assert self._slot is not None  # noqa: S101  requests come after the start
        return self._slot.place(family, labels)

    def _new(
        self, path: str, source: str, key: tuple[str, int, str, str], places: dict[Any, tuple[int, int]]
    ) -> tuple[int, int]:
        """The places of a request's counter and histogram; 0 where it has none."""
        method, status, entity, token = key
        counted = self._place(
            "apilane_requests", path or "unknown", method if method in METHODS else "other", str(status)
        )
        timed = 0
        if source:
            action = path.rstrip("/").rpartition("/")[2].lower()
            timed = self._place("apilane_api_data_duration", action, entity.lower(), token.lower())
        if len(places) < self._series_max:  # further ones are looked up in the index of the file
            places[key] = counted, timed
        return counted, timed

    def _count_error(self, seen: SeenRequest, path: str, token: str) -> None:
        code = seen.code
        assert code is not None  # noqa: S101  just looked at
        self._values[self._place("apilane_errors", path or "unknown", code.value)] += 1.0
        if code is Code.RATE_LIMIT_EXCEEDED:
            self._values[self._place("apilane_rate_limit_refusals", token)] += 1.0

    @staticmethod
    def _source(seen: SeenRequest) -> str:
        route = seen.route
        if route is None or not route.path.lower().startswith(TIMED):
            return ""
        if isinstance(route.access, CustomEndpoint):
            return "endpoint"
        return "none" if isinstance(route.access, PerOperation) else "entity"

    async def _sample(self, slot: Slot, process: ProcessView) -> None:
        loop = asyncio.get_running_loop()
        lag = slot.place("apilane_event_loop_lag", ())
        number = 0
        while True:
            if number % STATE_EVERY == 0:
                self._write_state(slot, process)
            number += 1
            due = loop.time() + SAMPLE_S
            await asyncio.sleep(SAMPLE_S)
            late_s = max(0.0, loop.time() - due)
            slot.values[lag] += late_s
            slot.values[lag + 1 + bisect_left(LAG_BOUNDS_S, late_s)] += 1.0

    def _write_state(self, slot: Slot, process: ProcessView) -> None:
        values = slot.values
        values[slot.place("apilane_workers", ())] = 1.0
        values[slot.place("apilane_applications_loaded", ())] = process.applications()
        for provider, load in process.loads().items():
            values[slot.place("apilane_connections", (provider,))] = load.connections
            values[slot.place("apilane_connections_idle", (provider,))] = load.idle
            values[slot.place("apilane_connection_waiters", (provider,))] = load.waiting
            values[slot.place("apilane_writes_queued", (provider,))] = load.queued_writes
        for cache in process.caches():
            self._raise_to(slot, "apilane_cache_misses", cache.name, cache.misses)
        self._write_lookups(slot)

    def _write_lookups(self, slot: Slot) -> None:
        self._raise_to(slot, "apilane_cache_lookups", "applications", self._found)
        self._raise_to(slot, "apilane_cache_lookups", "identities", self._identified)

    def _raise_to(self, slot: Slot, family: str, cache: str, count: int) -> None:
        """Add what was counted since the last time."""
        seen = self._written.get((family, cache), 0)
        slot.values[slot.place(family, (cache,))] += count - seen
        self._written[family, cache] = count


def _endpoint_of(call: Any) -> str:
    endpoint = getattr(call, "endpoint", None)
    return "" if endpoint is None else endpoint[0].name
