"""The numbers that operators ask for: records and snapshots of an entity, and the storage that an application takes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from apilane.runtime.application import ApplicationRuntime, EntityRuntime
from apilane.services.history_reads import HISTORY
from apilane.sql.dialect import Dialect
from apilane.sql.statement import Statement, compile_statement

__all__ = ["count_data", "count_data_and_history", "storage_used_mb"]

MB: Final = 1_048_576
DECIMALS: Final = 6


async def count_data(entity: EntityRuntime) -> int:
    """The number of an entity's records."""
    count: int = (await entity.session.fetch(entity.count((), None)))[0][0]
    return count


async def count_data_and_history(entity: EntityRuntime) -> tuple[int, int]:
    """The number of an entity's records, and of its snapshots."""
    history, session = entity.application.helpers[HISTORY], entity.session
    data = await session.fetch(entity.count((), None))
    kept = await session.fetch(history.count((("Entity", "Entity"),), None), (entity.name,))
    return data[0][0], kept[0][0]


def total_size(table: sa.Table, *, dialect: Dialect) -> Statement:
    """One row: the sum of the column ``Size``; null without rows."""
    return compile_statement(sa.select(sa.func.sum(table.c["Size"])), dialect.sqlalchemy)


async def storage_used_mb(application: ApplicationRuntime, database: Path | None) -> float:
    """The size of all files as stored in ``Files.Size``, and of the embedded ``database`` with its journal."""
    files = application.entities["files"]
    size = (await application.session.fetch(files.statement(total_size)))[0][0]
    octets = 0 if database is None else await asyncio.to_thread(_octets, database)
    return round(float(size or 0) + octets / MB, DECIMALS)


def _octets(database: Path) -> int:
    journals = (database.with_name(f"{database.name}{end}") for end in ("", "-wal"))
    return sum(path.stat().st_size for path in journals if path.exists())
