"""Audit records of operators' writes to an application's data: who, when, what, and the outcome.

The record is stored in the control store before the write begins, so a write that cannot be recorded does not happen.
The outcome is added afterwards. A record without an outcome means that the server stopped during the write. Records
hold names of entities and properties, IDs and counts, but no values.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TypeVar

from apilane.control.store import ControlStore
from apilane.errors import ApilaneError
from apilane.plugin.calls import Write
from apilane.plugin.identity import Actor
from apilane.runtime.application import ApplicationRuntime
from apilane.storage.errors import StorageError

__all__ = ["AuditTrail", "ids_text"]

T = TypeVar("T")

log = logging.getLogger("apilane.audit")


def ids_text(ids: Iterable[int]) -> str:
    """IDs as text, consecutive ones joined: ``IDs 1-3, 7``."""
    runs: list[list[int]] = []
    for id in sorted(set(ids)):
        if runs and id == runs[-1][1] + 1:
            runs[-1][1] = id
        else:
            runs.append([id, id])
    return "IDs " + (", ".join(f"{first}-{last}" if last > first else f"{first}" for first, last in runs) or "none")


class AuditTrail:
    """The audit records of operators' writes, in the control store of an instance."""

    def __init__(self, store: ControlStore) -> None:
        self._store = store

    async def record(self, application: ApplicationRuntime, operator: Actor, write: Write[T]) -> T:
        """Record the start of a write, run the write and record its outcome.

        Raises the errors of the write. Raises StorageError, with nothing written, when the record cannot be made.
        """
        if write.what is None:
            return await write.run()
        change = write.what()
        token, version = application.token, application.stored.version
        record = await self._store.record_write(token, version, operator.credential or "", change)
        try:
            done = await write.run()
        except Exception as error:
            refusal = error.code.value if isinstance(error, ApilaneError) else type(error).__name__
            await self._complete(token, record, change, f"failed: {refusal}")
            raise
        await self._complete(token, record, change, write.outcome(done))
        return done

    async def note(self, application: ApplicationRuntime | None, operator: Actor, what: str) -> None:
        """Put on record that an operator was admitted to something. ``application`` None: it is about the instance."""
        token, version = (application.token, application.stored.version) if application else ("", 0)
        record = await self._store.record_write(token, version, operator.credential or "", what)
        await self._complete(token, record, what, "admitted")

    async def _complete(self, application: str, record: int, change: str, outcome: str) -> None:
        """Add the outcome. The write is done, so a failure to store its outcome is only logged."""
        try:
            await self._store.complete_record(record, (change, outcome))
        except StorageError:
            log.exception("audit record %d of application %s has no outcome: %s", record, application, outcome)
