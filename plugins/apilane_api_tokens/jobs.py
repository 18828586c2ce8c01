"""The clean-up job: deletes old uses, and tokens that ended long ago."""

from __future__ import annotations

import logging
from collections.abc import Generator
from time import time_ns

from apilane.plugin import Applications, ApplicationView, Job
from apilane.plugin.storage import Result, Statement, Step
from apilane_api_tokens.options import ApiTokenSection, ApiTokenSettings
from apilane_api_tokens.statements import statements_of, step
from apilane_api_tokens.tokens import DAY_MS

__all__ = ["clean_up", "clean_up_job"]

log = logging.getLogger("apilane.api_tokens")


async def clean_up(application: ApplicationView) -> int:
    """Delete what is older than the settings of the application allow; returns the number of rows."""
    now_ms, section = time_ns() // 1_000_000, application.options(ApiTokenSection)
    statements = statements_of(application)
    oldest_ms = now_ms - section.log_days * DAY_MS
    deleted = await _delete(application, statements.delete_calls, oldest_ms)
    deleted += await _delete(application, statements.delete_days, now_ms // DAY_MS - section.count_days)
    return deleted + await _delete(application, statements.delete_ended, oldest_ms)


async def _delete(application: ApplicationView, delete: Statement, before: int) -> int:
    def unit() -> Generator[Step, Result, int]:
        return (yield step(delete, {"before": before})).matched

    return await application.session.run(unit, single=True)


def clean_up_job(options: ApiTokenSettings) -> Job:
    """The clean-up of all applications, one after another. A failure in one does not end it in the others."""

    async def run(applications: Applications) -> None:
        async for application in applications.each():
            try:
                deleted = await clean_up(application)
            except Exception:
                log.warning("application %s: the clean-up of API tokens failed", application.token, exc_info=True)
            else:
                if deleted:
                    log.info("application %s: %d old rows of API tokens were deleted", application.token, deleted)

    return Job(name="api_tokens.clean_up", every_s=options.clean_up_every_s, run=run)
