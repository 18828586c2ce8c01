"""Deletes contents without a record: left by a crash between content and record, or after a record was deleted."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from apilane.plugin import Applications, ApplicationView, FileStore, Job, StoredName
from apilane.plugin.storage import compile_statement
from apilane_files.options import FileSettings
from apilane_files.stores import Stores

__all__ = ["delete_orphans", "orphans_job"]

NAMES_PER_STATEMENT = 64

log = logging.getLogger("apilane.files")

_files = sa.table("Files", sa.column("UID"))


async def delete_orphans(application: ApplicationView, store: FileStore, after_s: float) -> int:
    """Delete the contents of an application that are older than ``after_s`` and have no record; returns their number.

    Records are read after the names, and a record is written seconds after its content, so a content of that age
    without a record never gets one. Raises StorageError; nothing is deleted without an answer of the database.
    """
    newest_ms = time.time() * 1000 - after_s * 1000
    deleted = 0
    batch: list[StoredName] = []
    async for each in store.names(application.token):
        if each.written_ms <= newest_ms:
            batch.append(each)
        if len(batch) == NAMES_PER_STATEMENT:
            deleted += await _delete_unknown(application, store, batch)
            batch = []
    if batch:
        deleted += await _delete_unknown(application, store, batch)
    if deleted:
        log.info("application %s: %d stored files without a record were deleted", application.token, deleted)
    return deleted


async def _delete_unknown(application: ApplicationView, store: FileStore, found: Sequence[StoredName]) -> int:
    names = [each.name for each in found]
    padded = [*names, *names[-1:] * (NAMES_PER_STATEMENT - len(names))]  # one statement for all lengths
    wanted: list[sa.BindParameter[Any]] = [sa.bindparam(f"name{place}") for place in range(NAMES_PER_STATEMENT)]
    select = sa.select(_files.c.UID).where(_files.c.UID.in_(wanted))
    statement = compile_statement(select, application.dialect.sqlalchemy)
    rows = await application.session.fetch(
        statement, statement.parameters({f"name{place}": name for place, name in enumerate(padded)})
    )
    known = {row[0] for row in rows}
    unknown = [name for name in names if name not in known]
    for name in unknown:
        await store.delete(application.token, name)
    return len(unknown)


def orphans_job(options: FileSettings, stores: Stores) -> Job:
    """The search in all applications, one after another. A failure in one does not end the search in the others."""

    async def run(applications: Applications) -> None:
        async for application in applications.each():
            try:
                await delete_orphans(application, stores.of(application), options.orphans_after_s)
            except Exception:
                log.warning("application %s: the search for orphans failed", application.token, exc_info=True)

    return Job(name="files.orphans", every_s=options.orphans_every_s, run=run)
