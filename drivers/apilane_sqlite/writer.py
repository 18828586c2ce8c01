"""Writes of one database: the event loop queues them, one thread runs them in groups and answers all writes of a group
together.

The thread starts with the first waiting write and ends after a time without writes. Group commit makes durable writes
fast: 32 callers share one fsync instead of making 32.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from time import monotonic
from typing import Any, Final

from apilane.plugin.storage import StorageError, Unavailable, UnitWithScripts
from apilane_sqlite.errors import is_busy
from apilane_sqlite.transaction import Outcome, WritingConnection

__all__ = ["WriteRequest", "Writer"]

IDLE_S: Final = 1.0
WAIT_LIMIT_S: Final = 20.0
"""The longest time that a unit waits to begin (docs/reference/protocol/data-model.md B-D15)."""


class WriteRequest:
    """One queued unit. ``claim`` is taken once: by the thread that begins the unit, or by the caller that gives up."""

    __slots__ = ("alone", "alters", "claim", "expires_at", "future", "loop", "make_unit", "single")

    def __init__(
        self,
        make_unit: Callable[[], UnitWithScripts[Any]],
        *,
        single: bool = False,
        alone: bool = False,
        alters: bool = False,
    ) -> None:
        self.make_unit = make_unit
        self.single = single
        self.alone = alone or alters
        self.alters = alters
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()
        self.claim = Lock()
        self.expires_at = monotonic() + WAIT_LIMIT_S

    def begin(self) -> bool:
        """Claim the request; False when its caller left or was told that it waited too long."""
        return self.claim.acquire(blocking=False) and not self.future.done()


class Writer:
    """``submit``, ``busy``, ``release`` and ``stop`` are called on the event loop, the rest in the thread."""

    def __init__(self, path: str, statement_timeout_s: float) -> None:
        self._path = path
        self._statement_timeout_s = statement_timeout_s
        self._queue: SimpleQueue[WriteRequest | None] = SimpleQueue()
        self._lock = Lock()
        self._thread: Thread | None = None
        self._unsent: list[WriteRequest] = []
        """Requests of this iteration of the event loop."""
        self._waiting: dict[WriteRequest, None] = {}
        """Unfinished requests, in order. Finished ones are removed immediately, to keep garbage collection short."""
        self._watch: tuple[asyncio.AbstractEventLoop, asyncio.TimerHandle] | None = None
        self._held: WriteRequest | None = None
        self._taken: list[WriteRequest] = []

    @property
    def busy(self) -> bool:
        """Whether accepted requests are unfinished."""
        return bool(self._waiting)

    @property
    def queued(self) -> int:
        """The number of accepted requests that are unfinished."""
        return len(self._waiting)

    def submit(self, request: WriteRequest) -> None:
        self._waiting[request] = None
        if not self._unsent or self._unsent[0].loop is not request.loop:
            request.loop.call_soon(self._send)
        self._unsent.append(request)
        if self._watch is None or self._watch[0] is not request.loop:
            self._watch = request.loop, request.loop.call_later(WAIT_LIMIT_S, self._expire)

    def _send(self) -> None:
        """Queue the requests of the last iteration of the event loop together. The thread then runs them as one group,
        and does not compete with the callers that prepare the others.
        """
        requests, self._unsent = self._unsent, []
        with self._lock:
            for request in requests:
                self._queue.put(request)
            if self._thread is None:
                self._thread = Thread(target=self._work, name=f"sqlite-writer {self._path}", daemon=True)
                self._thread.start()

    def release(self) -> None:
        """End the thread and its connection as soon as no request waits."""
        with self._lock:
            if self._thread is not None:
                self._queue.put(None)

    async def stop(self) -> None:
        """Finish all accepted requests and end the thread."""
        for request in list(self._waiting):
            if request.loop.is_closed():  # its callers cannot receive an answer
                self._waiting.pop(request, None)
        while self.busy:  # noqa: ASYNC110  # rare, and an event would cost every write
            await asyncio.sleep(0.002)
        if self._watch is not None:
            self._watch[1].cancel()
            self._watch = None
        thread = self._thread
        self.release()
        if thread is not None:
            await asyncio.to_thread(thread.join, WAIT_LIMIT_S)

    def _expire(self) -> None:
        """Fail requests that wait too long; the timer runs while requests wait."""
        self._watch = None
        if not self.busy:
            return
        now = monotonic()
        next_at = now + 1.0
        for request in list(self._waiting):
            if request.expires_at > now:
                next_at = request.expires_at
                break
            if request.claim.acquire(blocking=False) and not request.future.done():
                text = f"The database {self._path} was busy for {WAIT_LIMIT_S:.0f} s."
                request.future.set_exception(Unavailable(text))
        loop = asyncio.get_running_loop()
        self._watch = loop, loop.call_later(next_at - now, self._expire)

    def _work(self) -> None:
        database = WritingConnection(self._path, self._statement_timeout_s)
        while self._wait():
            self._taken.clear()
            try:
                if self._held is not None and self._held.alone:
                    outcomes = self._run_alone(database)
                else:
                    outcomes = database.commit(self._take)
            except Exception as error:  # the affected callers raise it; the thread continues
                outcomes = self._failed(error)
            answered = {id(outcome.request) for outcome in outcomes}
            skipped = [Outcome(request) for request in self._taken if id(request) not in answered]
            self._answer(outcomes + skipped)
        database.close()

    def _wait(self) -> bool:
        """Wait for a request; False when the thread must end."""
        if self._held is not None:
            return True
        with suppress(Empty):
            self._held = self._queue.get(timeout=IDLE_S)
        if self._held is not None:
            return True
        with self._lock:
            if self._queue.empty():
                self._thread = None
                return False
        return True

    def _take(self) -> WriteRequest | None:
        """The next unit for the current group; a unit that runs alone waits for the group's end."""
        while True:
            request, self._held = self._held, None
            if request is None:
                try:
                    request = self._queue.get_nowait()
                except Empty:
                    return None
                if request is None:
                    continue
            if request.alone:
                self._held = request
                return None
            self._taken.append(request)
            if request.begin():
                return request

    def _run_alone(self, database: WritingConnection) -> list[Outcome]:
        request = self._held
        assert request is not None  # noqa: S101  # just looked at
        outcome = database.alter(request) if request.alters else database.run_alone(request)
        self._held = None
        return [outcome]

    def _failed(self, error: Exception) -> list[Outcome]:
        """The outcomes of a failed group: none if the file was only busy, else an error for each waiting caller."""
        if not self._taken and isinstance(error, StorageError) and is_busy(error.__cause__):
            return []
        concerned = list(self._taken)
        if not concerned or not isinstance(error, StorageError):
            concerned += [self._held] if self._held is not None else []
            self._held = None
            while not self._queue.empty():
                request = self._queue.get_nowait()
                concerned += [request] if request is not None else []
        for request in concerned:
            request.claim.acquire(blocking=False)
        return [Outcome(request, error=copy(error)) for request in concerned]

    def _answer(self, outcomes: list[Outcome]) -> None:
        """Answer the callers, with one wake-up per event loop."""
        by_loop: dict[asyncio.AbstractEventLoop, list[Outcome]] = {}
        for outcome in outcomes:
            by_loop.setdefault(outcome.request.loop, []).append(outcome)
        for loop, batch in by_loop.items():
            try:
                loop.call_soon_threadsafe(self._settle, batch)
            except RuntimeError:  # the loop was closed, so its callers are gone
                for outcome in batch:
                    self._waiting.pop(outcome.request, None)

    def _settle(self, outcomes: list[Outcome]) -> None:
        for request, value, error in outcomes:
            self._waiting.pop(request, None)
            if request.future.done():
                continue
            if error is None:
                request.future.set_result(value)
            else:
                request.future.set_exception(error)
