"""Reads rows that hold TEXT which is not UTF-8. Other programs and custom SQL can store it, and apsw cannot return it.

Such a text reads as null. The ordinary reads try first, so only the rows of these tables take two reads.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

import apsw

from apilane.plugin.storage import Row, Value

__all__ = ["readable_rows"]


def readable_rows(connection: apsw.Connection, text: str, parameters: Sequence[Value]) -> Generator[Row, None, None]:
    """The rows of a SELECT, with null in the place of each TEXT that is not UTF-8."""
    cursor = connection.execute(text, parameters)
    names = [f"c{position}" for position in range(len(cursor.getdescription()))]
    values = ", ".join(f"CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) ELSE {name} END" for name in names)
    types = ", ".join(f"typeof({name})" for name in names)
    as_bytes = f"WITH read({', '.join(names)}) AS ({text}) SELECT {values}, {types} FROM read"  # noqa: S608  # no values
    count = len(names)
    rows = connection.execute(as_bytes, parameters)
    cursor.close(True)  # not earlier: the rows are of its snapshot
    try:
        for row in rows:
            pairs = zip(row[:count], row[count:], strict=True)
            yield tuple(_text(value) if type == "text" else value for value, type in pairs)
    finally:
        rows.close(True)


def _text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
