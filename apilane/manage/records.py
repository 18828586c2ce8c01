"""The audit of the management API: each change is on record before it happens, its outcome is added afterwards."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from apilane.control.records import AuditRecord
from apilane.control.store import ControlStore
from apilane.errors import ApilaneError
from apilane.plugin.manage import AuditEntry
from apilane.storage.errors import StorageError

__all__ = ["AUDIT_PAGE_MAX", "audit_entry", "on_record"]

AUDIT_PAGE_MAX: Final = 200
ACTOR_MAX: Final = 100
INSTANCE: Final = ""
"""The token of records that belong to no application."""

log = logging.getLogger("apilane.audit")


@asynccontextmanager
async def on_record(
    store: ControlStore, actor: str, what: str, *, token: str = INSTANCE, version: int = 0
) -> AsyncIterator[None]:
    """Store a record before the block and its outcome after it. Nothing runs if the record cannot be stored."""
    record = await store.record_write(token, version, actor[:ACTOR_MAX] or "unknown", what)
    try:
        yield
    except Exception as error:
        refusal = error.code.value if isinstance(error, ApilaneError) else type(error).__name__
        await _complete(store, record, what, f"refused: {refusal}")
        raise
    await _complete(store, record, what, "done")


async def _complete(store: ControlStore, record: int, what: str, outcome: str) -> None:
    try:
        await store.complete_record(record, (what, outcome))
    except StorageError:
        log.exception("audit record %d has no outcome: %s", record, outcome)


def audit_entry(record: AuditRecord) -> AuditEntry:
    """A stored record, for callers."""
    return AuditEntry(
        id=record.id,
        created=record.created,
        actor=record.actor,
        token=record.token,
        version=record.version,
        changes=record.changes,
    )
