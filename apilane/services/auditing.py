"""Owners' writes to an application's data on record: who, when, what, and what came of it.

The record is in the control store before the write begins, so a write that cannot be recorded does not happen; what
came of it is added afterwards. A record without an outcome is of a write during which the server died. No values are
recorded: names of entities and properties, IDs and counts.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from apilane.errors import ApilaneError
from apilane.plugin.identity import Actor
from apilane.runtime.application import ApplicationRuntime
from apilane.storage.errors import StorageError

__all__ = ["audited", "ids_text"]

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


def audited(
    application: ApplicationRuntime,
    actor: Actor,
    write: Callable[[], Awaitable[T]],
    what: Callable[[], str],
    outcome: Callable[[T], str],
) -> Awaitable[T]:
    """Run ``write``; on record when ``actor`` is an owner. ``what`` and ``outcome`` make the two lines of the record.

    Raises what ``write`` raises, and ``StorageError`` before anything is written when the record cannot be made.
    """
    if actor.kind != "operator":
        return write()  # without another coroutine around it
    return _recorded(application, actor.credential or "", write, what, outcome)


async def _recorded(
    application: ApplicationRuntime,
    owner: str,
    write: Callable[[], Awaitable[T]],
    what: Callable[[], str],
    outcome: Callable[[T], str],
) -> T:
    store = application.control
    change = what()
    record = await store.record_write(application.token, application.stored.version, owner, change)
    try:
        done = await write()
    except Exception as error:
        refusal = error.code.value if isinstance(error, ApilaneError) else type(error).__name__
        await _add_outcome(application, record, change, f"failed: {refusal}")
        raise
    await _add_outcome(application, record, change, outcome(done))
    return done


async def _add_outcome(application: ApplicationRuntime, record: int, change: str, outcome: str) -> None:
    """What is done is done: that it cannot be noted must not turn into a failure of the write."""
    try:
        await application.control.complete_record(record, (change, outcome))
    except StorageError:
        log.exception("audit record %d of application %s has no outcome: %s", record, application.token, outcome)
