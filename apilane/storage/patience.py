"""A time limit for many short waits: one timer looks after all of them.

``asyncio.timeout`` makes and cancels a timer for each wait, 4 us of the 90 that storing a record takes. Here a wait
costs an entry in a dictionary; one that takes too long is ended up to ``LOOK_S`` late.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from types import TracebackType

__all__ = ["Patience"]

LOOK_S = 1.0


Wait = tuple[float, int, asyncio.AbstractEventLoop]
"""Until when; cancellations of the task when it began, which are none of ours; in which loop. A plain tuple, as a named
one takes 0.3 us."""


class Patience:
    """``with patience:`` around what the running task awaits; TimeoutError when it takes longer than ``timeout_s``.

    One wait of a task at a time.
    """

    __slots__ = ("_ended", "_timeout_s", "_timer", "_waits")

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._waits: dict[asyncio.Task[object], Wait] = {}
        self._ended: set[asyncio.Task[object]] = set()
        self._timer: tuple[asyncio.AbstractEventLoop, asyncio.TimerHandle] | None = None

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # who awaits is a task
        loop = asyncio.get_running_loop()  # not that of the task: some servers' tasks know none
        self._waits[task] = (monotonic() + self._timeout_s, task.cancelling(), loop)
        if self._timer is None or self._timer[0] is not loop:
            self._look_later(loop)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        wait = self._waits.pop(task, None)
        if task in self._ended:
            self._ended.discard(task)
            # Otherwise it was cancelled from elsewhere too, and that is what happened; as in asyncio.timeout.
            if wait is not None and task.uncancel() <= wait[1] and kind is asyncio.CancelledError:
                raise TimeoutError from error

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop, loop.call_later(min(LOOK_S, self._timeout_s / 4), self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the waits that took too long, and forget those of loops that are gone. Without any the timer rests."""
        self._timer = None
        now = monotonic()
        for task, (until, _, own_loop) in list(self._waits.items()):
            if until > now:
                break  # the oldest come first
            if own_loop is not loop:
                del self._waits[task]
            elif task not in self._ended:
                self._ended.add(task)
                task.cancel()
        if self._waits:
            self._look_later(loop)
