"""Dates as callers write them (docs/reference/protocol/wire-api.md section 1.4 and B-W3). Every input form becomes unix
milliseconds, UTC.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

from apilane.model.json import JsonNumber
from apilane.model.numbers import parse_number
from apilane.model.text import trim

__all__ = ["MAX_MS", "MIN_MS", "parse_date"]

MIN_MS = -62_135_596_800_000
"""0001-01-01T00:00:00.000Z"""
MAX_MS = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z: the last moment that clients and every provider can represent."""

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_TIME = r"([01][0-9]|2[0-3]):([0-5][0-9])"
_plain = re.compile(
    rf"([0-9]{{4}})-([0-9]{{2}})-([0-9]{{2}})(?: {_TIME}(?::([0-5][0-9])(?:\.([0-9]{{3}}))?)?)?"
).fullmatch
_iso = re.compile(
    rf"([0-9]{{4}})-([0-9]{{2}})-([0-9]{{2}})[Tt]{_TIME}(?::([0-5][0-9])(?:[.,]([0-9]+))?)?"
    rf"(?:[Zz]|([+-])([01][0-9]|2[0-3])(?::?([0-5][0-9]))?)?"
).fullmatch


def parse_date(value: object) -> int | None:
    """Unix milliseconds of a decoded JSON value. None: the value is not a date, or lies outside the years 1 to 9999.

    White space around a text does not count. Text of 10 digits is seconds and text of 13 digits is milliseconds;
    leading zeros are not counted. Other text is a date, or a date and time. With ``T``, the time may have a fraction of
    any length (cut to milliseconds) and ``Z`` or an offset. A number of 10 digits is seconds, any other number is
    milliseconds; a number with a fraction is not a date.
    """
    if type(value) is str:
        text = trim(value)
        ms = _from_digits(text) if text.isascii() and text.isdigit() else _from_text(text)
    elif type(value) is int:
        ms = _from_number(value)
    elif isinstance(value, JsonNumber):
        number = parse_number(value)
        # Check the size first: int() of a number with a huge exponent would compute all its digits.
        if isinstance(number, Decimal) and (number.adjusted() > 15 or number != int(number)):
            return None
        ms = None if number is None else _from_number(int(number))
    else:
        return None
    return ms if ms is not None and MIN_MS <= ms <= MAX_MS else None


def _from_number(number: int) -> int:
    return number * 1000 if 1_000_000_000 <= abs(number) <= 9_999_999_999 else number


def _from_digits(text: str) -> int | None:
    digits = text.lstrip("0")
    if len(digits) == 10:
        return int(digits) * 1000
    return int(digits) if len(digits) == 13 else None


def _from_text(text: str) -> int | None:
    match = _plain(text) or _iso(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, *offset = match.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _EPOCH_DAY
    except ValueError:  # no such day
        return None
    minutes = int(hour or 0) * 60 + int(minute or 0)
    if offset and offset[0]:
        ahead = int(offset[1]) * 60 + int(offset[2] or 0)
        minutes += ahead if offset[0] == "-" else -ahead
    return ((days * 1440 + minutes) * 60 + int(second or 0)) * 1000 + int((fraction or "")[:3].ljust(3, "0"))
