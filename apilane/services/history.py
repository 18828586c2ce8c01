"""Snapshots of records before they change (docs/reference/protocol/data-model.md section 7). This module only writes
them; ``history_reads`` and ``history_removal`` read and delete them.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

import msgspec

from apilane.model.system import is_secret
from apilane.runtime.application import EntityRuntime
from apilane.runtime.identities import now_ms
from apilane.sql.write import insert_row
from apilane.storage.protocol import Result, Row, Step

__all__ = ["snapshot", "snapshot_columns"]

_COLUMNS = ("Entity", "RecordID", "Owner", "Data", "Created")
_encode = msgspec.json.Encoder(decimal_format="number").encode


def snapshot_columns(entity: EntityRuntime) -> tuple[str, ...]:
    """The columns of a snapshot: all but secrets (B-D10), ``ID`` first."""
    return tuple(p.name for p in entity.entity.properties if not is_secret(entity.entity, p))


def snapshot(
    entity: EntityRuntime, columns: Sequence[str], row: Row, user_id: int | None
) -> Generator[Step, Result, None]:
    """Within a unit: store ``row`` (values of ``columns``, the ``ID`` first) as it is before the change.

    Encrypted values stay ciphertext; booleans become JSON booleans.
    """
    application = entity.application
    data = {}
    for column, value in zip(columns, row, strict=True):
        decode = application.dialect.decoder(entity.properties[column.lower()])
        data[column] = value if value is None or decode is None else decode(value)
    statement = application.helpers["H_Entity_Change_Tracking"].statement(insert_row, _COLUMNS)
    values = {
        "Entity": entity.name,
        "RecordID": row[0],
        "Owner": user_id,
        "Data": _encode(data).decode(),
        "Created": now_ms(),
    }
    yield Step(statement, statement.parameters(values))
