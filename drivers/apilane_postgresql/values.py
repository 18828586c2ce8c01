"""Converts values of custom SQL to values with a JSON form, for every type of PostgreSQL.

asyncpg does not read all values of some types: years before 1 and after 9999, ``24:00``, ``infinity``. For these types
a connection gets decoders that read every value. Apilane's tables contain only texts, numbers, booleans and nulls,
which need no conversion. The types and their forms: ``docs/reference/protocol/query-language.md`` section 8.5.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from asyncpg import BitString, Box, Circle, Line, LineSegment, Path, Point, Polygon, Range

from apilane.plugin.storage import plain_number

if TYPE_CHECKING:
    import asyncpg

__all__ = ["plain", "read_every_value"]

_DAY_US: Final = 86_400_000_000
_DAYS_TO_2000: Final = date(2000, 1, 1).toordinal()
_DAYS_OF_400_YEARS: Final = 146_097
DIGITS_MAX: Final = 4000
"""Python writes integers of up to 4,300 digits; longer ones stay decimals."""
_INFINITY: Final = {
    2**31 - 1: "infinity",
    -(2**31): "-infinity",
    2**63 - 1: "infinity",
    -(2**63): "-infinity",
}
"""The numbers that PostgreSQL sends for infinite dates, which have 32 bits, and timestamps, which have 64."""


async def read_every_value(raw: asyncpg.Connection[Any]) -> None:
    """Make a connection read every value of the types that asyncpg reads in part. It costs a few queries."""
    for name, decode in _FROM_NUMBERS.items():
        await raw.set_type_codec(name, schema="pg_catalog", encoder=_none, decoder=decode, format="tuple")
    for name, decode in _FROM_BYTES.items():
        await raw.set_type_codec(name, schema="pg_catalog", encoder=_none, decoder=decode, format="binary")


def _none(_value: object) -> Any:
    raise TypeError("scripts have no parameters of this type")


# Dates and times: ISO 8601. Python's types serve where they can; a text where they cannot.


def _date(sent: tuple[int]) -> date | str:
    return _INFINITY.get(sent[0]) or _day(sent[0])


def _day(days: int) -> date | str:
    """Days from 2000-01-01. ISO 8601 counts the year 1 BC as 0000, and writes a sign before years of other lengths."""
    ordinal = days + _DAYS_TO_2000
    if 1 <= ordinal <= date.max.toordinal():
        return date.fromordinal(ordinal)
    cycles, within = divmod(ordinal - 1, _DAYS_OF_400_YEARS)  # the calendar repeats after 400 years
    like = date.fromordinal(within + 1)
    year = like.year + 400 * cycles
    sign = "-" if year < 0 else "+" if year > date.max.year else ""
    return f"{sign}{abs(year):04d}{like.isoformat()[4:]}"


def _timestamp(sent: tuple[int]) -> datetime | str:
    if sent[0] in _INFINITY:
        return _INFINITY[sent[0]]
    days, within = divmod(sent[0], _DAY_US)
    day = _day(days)
    return f"{day}T{_clock(within)}" if isinstance(day, str) else datetime.combine(day, _time((within,)))  # type: ignore[arg-type]


def _timestamp_in_utc(sent: tuple[int]) -> datetime | str:
    given = _timestamp(sent)
    if isinstance(given, datetime):
        return given.replace(tzinfo=UTC)
    return given if given in _INFINITY.values() else f"{given}Z"


def _time(sent: tuple[int]) -> time | str:
    if sent[0] == _DAY_US:
        return "24:00:00"
    return (datetime.min + timedelta(microseconds=sent[0])).time()


def _time_with_offset(sent: tuple[int, int]) -> str:
    """PostgreSQL sends the seconds west of Greenwich."""
    offset = timezone(timedelta(seconds=-sent[1]))
    return f"{_clock(sent[0])}{time(tzinfo=offset).isoformat()[8:]}"


def _clock(microseconds: int) -> str:
    given = _time((microseconds,))
    return given if isinstance(given, str) else given.isoformat()


def _interval(sent: tuple[int, int, int]) -> str:
    """An ISO 8601 duration with a sign for each part, as PostgreSQL writes it: ``P1Y2M-3DT4H5M6.7S``."""
    months, days, microseconds = sent
    sign = -1 if microseconds < 0 else 1
    minutes, rest = divmod(abs(microseconds), 60_000_000)
    years = int(months / 12)  # towards zero
    day = [(years, "Y"), (months - 12 * years, "M"), (days, "D")]
    hours = [(sign * (minutes // 60), "H"), (sign * (minutes % 60), "M")]
    seconds = f"{'-' * (sign < 0)}{rest // 1_000_000}" + f".{rest % 1_000_000:06d}".rstrip("0").rstrip(".") + "S"
    whole = "".join(f"{count}{unit}" for count, unit in day if count)
    part = "".join(f"{count}{unit}" for count, unit in hours if count) + (seconds if rest else "")
    return f"P{whole}T{part}" if part else f"P{whole}" if whole else "PT0S"


def _row_address(sent: bytes) -> str:
    block, row = struct.unpack(">IH", sent)
    return f"({block},{row})"


_FROM_NUMBERS: Final[dict[str, Callable[[Any], Any]]] = {
    "date": _date,
    "timestamp": _timestamp,
    "timestamptz": _timestamp_in_utc,
    "time": _time,
    "timetz": _time_with_offset,
    "interval": _interval,
}
_FROM_BYTES: Final[dict[str, Callable[[Any], Any]]] = {"tid": _row_address}


# Everything else.

_AS_THEY_ARE: Final = frozenset({type(None), bool, int, float, str, bytes, datetime, date, time})


def plain(value: Any) -> Any:
    """A value that JSON can hold.

    Arrays become lists and rows objects (lists if their columns have no names). Other types become the texts that
    PostgreSQL writes. A numeric that is no number becomes None, as other numbers of that kind do in JSON.
    """
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is Decimal:
        return _decimal(value)
    if kind in _TEXTS:
        return _TEXTS[kind](value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "keys"):  # a row within a row
        return {name: plain(item) for name, item in value.items()}
    return str(value)


def _decimal(value: Decimal) -> Any:
    if not value.is_finite():
        return None
    return plain_number(value) if value.adjusted() < DIGITS_MAX else value


def _range(value: Any) -> str:
    """``[1,5)``, ``(,2020-01-01]`` or ``empty``."""
    if value.isempty:
        return "empty"
    begin, end = "[" if value.lower_inc else "(", "]" if value.upper_inc else ")"
    return f"{begin}{_bound(value.lower)},{_bound(value.upper)}{end}"


def _bound(value: Any) -> str:
    """A bound in the form of its type, in quotes where PostgreSQL writes quotes."""
    if value is None:
        return ""
    text = value.isoformat().replace("+00:00", "Z") if isinstance(value, date) else f"{value}"
    if text and not any(letter in '()[],"\\' or letter.isspace() for letter in text):
        return text
    doubled = text.replace("\\", "\\\\").replace('"', '""')
    return f'"{doubled}"'


def _listed(points: Any) -> str:
    return ",".join(map(_point, points))


def _point(point: Any) -> str:
    return f"({_number(point[0])},{_number(point[1])})"


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")


_TEXTS: Final[dict[type, Callable[[Any], str]]] = {
    BitString: lambda value: value.as_string().replace(" ", ""),
    Range: _range,
    Point: _point,
    LineSegment: lambda value: f"[{_listed(value)}]",
    Box: _listed,
    Path: lambda value: f"({_listed(value)})" if value.is_closed else f"[{_listed(value)}]",
    Polygon: lambda value: f"({_listed(value)})",
    Circle: lambda value: f"<{_point(value[0])},{_number(value[1])}>",
    Line: lambda value: "{" + ",".join(map(_number, value)) + "}",
}
