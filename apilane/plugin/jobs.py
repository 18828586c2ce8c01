"""Jobs: functions that run again and again, in one process of the cluster (``apilane_register_jobs``)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from apilane.plugin.outbox import NAME_MAX, is_asynchronous, is_name, number_problem

if TYPE_CHECKING:
    from apilane.plugin.identity import ApplicationView

__all__ = ["Applications", "Job", "job_problem"]


class Applications(Protocol):
    """The applications of the instance, for a job."""

    async def find(self, token: str) -> ApplicationView | None:
        """The application with that token; None when there is none. Raises StorageError when it cannot be used."""
        ...

    def each(self) -> AsyncIterator[ApplicationView]:
        """All applications, one after another. An application that cannot be used is logged and left out."""
        ...


class Job(Struct, frozen=True, kw_only=True):
    """A function that runs every ``every_s`` seconds.

    One process of the cluster runs it. When that process ends, another one takes over. ``every_s`` is counted from
    start to start, also across restarts; a job that is new, or late, runs at once. A job never runs twice at a time: if
    it takes longer than ``every_s``, the next run begins when it ends. ``run`` is asynchronous and must not block the
    event loop. A failure is logged with the plugin and does not stop the job. After ``timeout_s`` seconds the run is
    cancelled.
    """

    name: str
    """100 characters at most, unique among all plugins."""
    every_s: float
    run: Callable[[Applications], Awaitable[None]]
    timeout_s: float = 3600.0


def job_problem(job: Job) -> str | None:
    """The error of a job, as the end of a sentence; None when it is valid."""
    if not is_name(job.name):
        return f"has the name {job.name!r}; expected a text of 1 to {NAME_MAX} characters"
    if not is_asynchronous(job.run):
        return "has a run that is not an asynchronous function; write it with 'async def'"
    return number_problem(job, "every_s", "timeout_s")
