"""Operators' writes to an application's data on record: who, when, what, and the outcome.

The record is in the control store before the write begins, so a write that cannot be recorded does not happen; the
outcome is added afterwards. A record without an outcome is of a write during which the server died. No values are
recorded: names of entities and properties, IDs and counts.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from apilane.control.store import ControlStore
from apilane.errors import ApilaneError
from apilane.runtime.application import ApplicationRuntime
from apilane.security.identity import Actor
from apilane.storage.errors import StorageError

__all__ = ["AuditTrail", "audited", "ids_text"]

T = TypeVar("T")

log = logging.getLogger("apilane.audit")


def ids_text(ids: Iterable[int]) -> str:
    """IDs for people, runs of them joined: ``IDs 1-3, 7``."""
    runs: list[list[int]] = []
    for id in sorted(set(ids)):
        if runs and id == runs[-1][1] + 1:
            runs[-1][1] = id
        else:
            runs.append([id, id])
    return "IDs " + (", ".join(f"{first}-{last}" if last > first else f"{first}" for first, last in runs) or "none")


class AuditTrail:
    """The records of operators' writes in the control store of an instance."""

    def __init__(self, store: ControlStore) -> None:
        self._store = store

    async def record(
        self,
        application: str,
        version: int,
        operator: str,
        *,
        write: Callable[[], Awaitable[T]],
        what: Callable[[], str],
        outcome: Callable[[T], str],
    ) -> T:
        """Run ``write`` between the two halves of its record; ``what`` and ``outcome`` make its two lines.

        ``application``: the token. ``version``: of its definition. ``operator``: the e-mail address. Raises what
        ``write`` raises, and StorageError before anything is written when the record cannot be made.
        """
        change = what()
        record = await self._store.record_write(application, version, operator, change)
        try:
            done = await write()
        except Exception as error:
            refusal = error.code.value if isinstance(error, ApilaneError) else type(error).__name__
            await self._complete(application, record, change, f"failed: {refusal}")
            raise
        await self._complete(application, record, change, outcome(done))
        return done

    async def _complete(self, application: str, record: int, change: str, outcome: str) -> None:
        """The write is done: that its outcome cannot be noted must not turn it into a failure."""
        try:
            await self._store.complete_record(record, (change, outcome))
        except StorageError:
            log.exception("audit record %d of application %s has no outcome: %s", record, application, outcome)


def audited(
    trail: AuditTrail,
    application: ApplicationRuntime,
    actor: Actor,
    write: Callable[[], Awaitable[T]],
    *,
    what: Callable[[], str],
    outcome: Callable[[T], str],
) -> Awaitable[T]:
    """Run ``write``; on record when ``actor`` is an operator (``AuditTrail.record``)."""
    if actor.owner is None:
        return write()  # without another coroutine around it
    return trail.record(
        application.token, application.stored.version, actor.owner, write=write, what=what, outcome=outcome
    )
