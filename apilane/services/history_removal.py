"""Deletes snapshots of the history: for operators, and those that are older than the application keeps them.

Rows are deleted in small units, so that no unit holds its locks for long. A deletion that stops half-way has deleted
the oldest rows, and the next one continues.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping, Sequence
from functools import partial
from typing import Final

from apilane.model.definition import SortKey
from apilane.plugin.calls import Write
from apilane.runtime.application import ApplicationRuntime, EntityRuntime
from apilane.runtime.identities import now_ms
from apilane.services.history_reads import HISTORY, of_history, stored_name
from apilane.sql.select import ReadShape
from apilane.sql.write import Restriction, delete_by_ids
from apilane.storage.protocol import Result, Step

__all__ = ["delete_history", "delete_old_history"]

IDS_PER_STATEMENT: Final = 64
ROWS_AT_ONCE: Final = 512
"""Snapshots of one unit: 8 statements, some milliseconds."""
SWEEP_UNITS_MAX: Final = 1000
"""The most units of one sweep, so that the sweeps of other applications do not wait for hours."""
DAY_MS: Final = 86_400_000


async def delete_history(application: ApplicationRuntime, entity: str, record_id: int | None) -> Write[int]:
    """Delete the snapshots of one record, or of all records of an entity; the result is their number.

    Snapshots that are stored meanwhile stay. Raises ERROR for an entity that does not exist and has no history.
    """
    name = await stored_name(application, entity)
    wanted = of_history(name, record_id)
    which = "all records" if record_id is None else f"ID {record_id}"
    return Write(
        run=lambda: _delete(application, wanted, now_ms()),
        what=lambda: f"EntityHistory/Delete {name}: {which}",
        outcome=lambda gone: f"{gone} snapshots deleted",
    )


async def delete_old_history(application: ApplicationRuntime) -> int:
    """Delete the snapshots that are older than ``HistoryRetentionDays``, and return their number. Raises StorageError.

    There is no index by age. Snapshots are nearly in the order of their age, so it reads from the oldest ones on, until
    a page has none that is due.
    """
    days = application.definition.history_retention_days
    if days is None:
        return 0
    return await _delete(application, {}, now_ms() - days * DAY_MS, units_max=SWEEP_UNITS_MAX)


async def _delete(
    application: ApplicationRuntime, wanted: Mapping[str, int | str], until_ms: int, units_max: int | None = None
) -> int:
    """Delete the selected snapshots that were stored up to ``until_ms``."""
    history, session = application.helpers[HISTORY], application.session
    restrictions: tuple[Restriction, ...] = tuple((column, column) for column in wanted)
    order = (SortKey("RecordID"),) if wanted else ()  # the order of an index, or of the key: no page sorts all rows
    page = history.read(ReadShape(("ID", "Created"), restrictions, None, order, True))
    gone = kept = units = 0
    while units_max is None or units < units_max:
        rows = await session.fetch(page, page.parameters({**wanted, "limit": ROWS_AT_ONCE, "offset": kept}))
        due = [id for id, created in rows if created <= until_ms]
        if not due:
            break
        gone += await session.run(partial(_delete_steps, history, due))
        units += 1
        kept += len(rows) - len(due)
        await asyncio.sleep(0)
    return gone


def _delete_steps(history: EntityRuntime, ids: Sequence[int]) -> Generator[Step, Result, int]:
    statement = history.statement(delete_by_ids, IDS_PER_STATEMENT)
    gone = 0
    for start in range(0, len(ids), IDS_PER_STATEMENT):
        part = ids[start : start + IDS_PER_STATEMENT]
        filled = (*part, *[part[-1]] * (IDS_PER_STATEMENT - len(part)))  # one text for all lengths
        gone += (yield Step(statement, filled)).matched
    return gone
