"""Running jobs: each at its interval, in the process that leads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

from apilane.control.background import BackgroundStore
from apilane.events.clock import now_ms
from apilane.plugin.jobs import Applications, Job

__all__ = ["Jobs"]


log = logging.getLogger("apilane.jobs")


class Jobs:
    """``plugin_of``: the name of the plugin that registered a job, for the log."""

    def __init__(
        self,
        store: BackgroundStore,
        jobs: Sequence[Job],
        applications: Applications,
        plugin_of: Callable[[Job], str],
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._applications = applications
        self._plugin_of = plugin_of
        self._running: dict[str, asyncio.Task[None]] = {}
        self._starts: dict[str, int] = {}
        """The last known start of each job."""

    async def lead(self) -> None:
        """Begin to lead: read when the jobs ran last."""
        self._starts = await self._store.job_starts()

    async def start_due(self) -> None:
        """Start the jobs that are due. The start is stored first, so a restart or another leader does not repeat it."""
        for job in self._jobs:
            now, last = now_ms(), self._starts.get(job.name)
            # A start in the future comes from a clock that was wrong.
            is_due = last is None or now >= last + job.every_s * 1000 or last > now
            if not is_due or job.name in self._running:
                continue
            if not await self._store.start_job(job.name, last, now):
                self._starts = await self._store.job_starts()
                continue
            self._starts[job.name] = now
            task = self._running[job.name] = asyncio.create_task(self._run(job), name=f"apilane-job-{job.name}")
            task.add_done_callback(partial(self._ended, job.name))

    def _ended(self, name: str, _task: asyncio.Task[None]) -> None:
        del self._running[name]

    async def stop(self) -> None:
        """Cancel the running jobs, because this process leads no more."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _run(self, job: Job) -> None:
        limit = asyncio.timeout(job.timeout_s)
        try:
            async with limit:
                await job.run(self._applications)
        except (Exception, SystemExit) as error:
            what = f"did not end within {job.timeout_s:g} s" if limit.expired() else "failed"
            log.error(  # noqa: TRY400 - the traceback is given
                "the job %s of plugin %r %s", *(job.name, self._plugin_of(job), what), exc_info=error
            )
