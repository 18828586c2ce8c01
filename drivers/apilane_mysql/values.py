"""Converts values of custom SQL to values with a JSON form, for every type of MySQL and MariaDB.

Apilane's tables contain only texts, numbers, booleans and nulls, which need no conversion. The types and their forms:
``docs/reference/protocol/query-language.md`` section 8.5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from apilane.plugin.storage import Row, plain_number

__all__ = ["plain_rows"]

_TIMESTAMP, _DATETIME, _BIT = 7, 12, 16
"""Column types of the protocol."""


def plain_rows(description: Sequence[Any], rows: Sequence[Row]) -> list[Row]:
    """Rows of a result whose columns ``description`` describes: name, type and more."""
    special = [(at, _SPECIAL[column[1]]) for at, column in enumerate(description) if column[1] in _SPECIAL]
    if not special:
        return [tuple(map(_plain, row)) for row in rows]
    converted: list[Row] = []
    for row in rows:
        values = list(map(_plain, row))
        for at, convert in special:
            if values[at] is not None:
                values[at] = convert(values[at])
        converted.append(tuple(values))
    return converted


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain_number(value)
    return _time(value) if isinstance(value, timedelta) else value


def _time(value: timedelta) -> str:
    """A TIME, which is also a duration of up to 838 hours, as the server writes it: ``-00:30:00``, ``26:00:00.5``."""
    sign, value = ("-", -value) if value < timedelta(0) else ("", value)
    minutes, seconds = divmod(value.days * 86_400 + value.seconds, 60)
    fraction = f".{value.microseconds:06d}".rstrip("0") if value.microseconds else ""
    return f"{sign}{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}{fraction}"


def _date_and_time(value: Any) -> Any:
    """The client gives dates that are in no calendar, such as ``0000-00-00``, as texts."""
    return value.replace(" ", "T") if isinstance(value, str) else value


def _bits(value: Any) -> Any:
    return int.from_bytes(value, "big") if isinstance(value, bytes) else value


_SPECIAL: Final[dict[int, Callable[[Any], Any]]] = {
    _BIT: _bits,
    _DATETIME: _date_and_time,
    _TIMESTAMP: _date_and_time,
}
