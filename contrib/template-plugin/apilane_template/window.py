"""The maintenance window: an availability check that depends on the time of day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time
from typing import Annotated

from msgspec import Meta, Struct

from apilane.plugin import ApplicationView, RequestCheck, RequestView

__all__ = ["MaintenanceSettings", "MaintenanceWindow"]


class MaintenanceSettings(Struct, frozen=True, kw_only=True):
    """The settings of the plugin."""

    window: Annotated[str | None, Meta(description="Two times of day, UTC, such as 02:00-02:30; unset: never.")] = None


def _now() -> datetime:
    return datetime.now(UTC)


class MaintenanceWindow:
    """Refuses all callers except owners between two times of day, UTC; past midnight when the end is the earlier time.

    ``window``: such as ``02:00-02:30``. Raises ValueError for an invalid one, which stops start-up. ``now``: the clock;
    tests pass another one.
    """

    enforces: frozenset[str] = frozenset()
    """Empty, because no part of a manifest needs this check. A check of IP lists would name ``IPPolicy``."""

    def __init__(self, window: str, now: Callable[[], datetime] = _now) -> None:
        self._begin, self._end = _times(window)
        self._now = now

    def prepare(self, application: ApplicationView) -> RequestCheck | None:
        """The check for one version of an application. Compute here what does not depend on the request."""
        message = f"Maintenance until {self._end:%H:%M} UTC"

        def check(request: RequestView) -> str | None:
            """The message of the refusal; None: admitted. It runs for every request, so it may do no I/O."""
            return message if self.is_closed(self._now().time()) else None

        return check

    def is_closed(self, moment: time) -> bool:
        """Whether that time of day is in the window."""
        if self._begin <= self._end:
            return self._begin <= moment < self._end
        return moment >= self._begin or moment < self._end


def _times(window: str) -> tuple[time, time]:
    try:
        begin, end = (time.fromisoformat(part.strip()) for part in window.split("-"))
    except ValueError:
        raise ValueError(f"the window is {window!r}; expected two times such as 02:00-02:30.") from None
    return begin, end
