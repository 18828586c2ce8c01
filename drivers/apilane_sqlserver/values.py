"""Converts values of custom SQL to Python's types: those that pyodbc cannot read, and those without a JSON form.

Apilane's tables contain only texts, numbers, booleans and nulls, which need no conversion.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from apilane.plugin.storage import plain_number

__all__ = ["convert_results", "plain"]

_DATETIMEOFFSET: Final = -155
_UDT: Final = -151
"""Types of SQL Server that ODBC does not define (msodbcsql.h)."""


def convert_results(connection: Any) -> None:
    """Make a pyodbc connection convert the types that it cannot read."""
    connection.add_output_converter(_DATETIMEOFFSET, _with_offset)
    connection.add_output_converter(_UDT, bytes)


def _with_offset(raw: bytes) -> datetime | str:
    """``SQL_SS_TIMESTAMPOFFSET_STRUCT``: year to second, nanoseconds, hours and minutes of the offset."""
    if len(raw) != struct.calcsize("<6hI2h"):
        return raw.decode("utf-16-le", "replace")
    year, month, day, hour, minute, second, nanoseconds, hours, minutes = struct.unpack("<6hI2h", raw)
    offset = timezone(timedelta(hours=hours, minutes=minutes))
    return datetime(year, month, day, hour, minute, second, nanoseconds // 1000, offset)


_PLAIN: Final[dict[type, Callable[[Any], Any]]] = {
    Decimal: plain_number,
    datetime: datetime.isoformat,
    date: date.isoformat,
    time: time.isoformat,
    UUID: str,
}


def plain(value: Any) -> Any:
    """A text, number, boolean, bytes or null: dates as ISO 8601, decimals without trailing zeros."""
    convert = _PLAIN.get(type(value))
    return value if convert is None else convert(value)
