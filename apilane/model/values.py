"""Value rules: a decoded JSON value becomes a stored value (docs/reference/protocol/data-model.md section 4,
docs/reference/protocol/wire-api.md section 1.4).

One reader is compiled per property. The database checks Required. The code that calls the reader encrypts the value.
Null stays null.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import ROUND_DOWN, Context, Decimal
from typing import NoReturn

from msgspec.structs import replace

from apilane.errors import ApilaneError, Code
from apilane.model.dates import MAX_MS, parse_date
from apilane.model.definition import Property, PropertyType
from apilane.model.formats import restricted
from apilane.model.json import JsonNumber, json_text
from apilane.model.numbers import parse_number
from apilane.model.patterns import compile_pattern
from apilane.model.text import WHITE_SPACE, utf16_length

__all__ = ["Reader", "StoredValue", "is_storable_text", "read_boolean", "value_reader"]

StoredValue = str | int | float | Decimal | bool | None
Reader = Callable[[object], StoredValue]

_INVALID_DATE = "The value provided is not a valid unix timestamp or date in format yyyy-MM-dd HH:mm:ss.fff"
_MAX_DIGITS = 18
_MAX_PLAIN = 10**_MAX_DIGITS - 1
_MANY_MS = 10**10
"""Smaller numbers may be seconds."""
_FLOAT_DIGITS = 15
_EXACT = Context(prec=60, rounding=ROUND_DOWN)


def value_reader(entity_name: str, property: Property, *, exact_decimals: bool) -> Reader:
    """The reader of one property: it turns a decoded JSON value into a portable stored value.

    String gives str. Number gives int; with decimal places it gives ``Decimal`` (``exact_decimals``) or float. Boolean
    gives bool, Date gives int (unix ms), null gives None. The reader raises ``ApilaneError`` VALIDATION for the first
    rule that fails.
    """
    if property.values or property.format is not None:
        plain = value_reader(entity_name, replace(property, values=(), format=None), exact_decimals=exact_decimals)
        return restricted(property, plain, _refusal(entity_name, property))
    if property.type is PropertyType.String:
        return _string_reader(entity_name, property)
    if property.type is PropertyType.Number:
        return _number_reader(entity_name, property, exact_decimals)
    if property.type is PropertyType.Boolean:
        return lambda value: value if value is None or type(value) is bool else read_boolean(value)
    return _date_reader(entity_name, property)


def read_boolean(value: object) -> bool:
    """``true``, ``1``, and ``"true"``, ``"1"`` and ``"on"`` in any letter case are true; every other value is false."""
    if type(value) is str:
        return value.lower() in {"true", "1", "on"}
    return value is True or (type(value) is int and value == 1)


def is_storable_text(text: str) -> bool:
    """Whether every provider can store the text: it has no NUL and no lone surrogate (B-E7)."""
    if "\0" in text:
        return False
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return False
    return True


def _refusal(entity_name: str, property: Property) -> Callable[[str], NoReturn]:
    def refuse(message: str) -> NoReturn:
        raise ApilaneError(Code.VALIDATION, message, property=property.name, entity=entity_name)

    return refuse


def _string_reader(entity_name: str, property: Property) -> Reader:
    refuse = _refusal(entity_name, property)
    minimum, maximum = property.minimum or 0, property.maximum
    most = math.inf if maximum is None else maximum
    pattern = property.validation_regex
    matches = compile_pattern(pattern) if pattern else None

    def read(value: object) -> StoredValue:
        if type(value) is str and matches is None:  # fast path for nearly every text: takes half the time
            text = value.strip(WHITE_SPACE)
            if text.isascii() and "\0" not in text and minimum <= len(text) <= most:
                return text
        return read_any(value)

    def read_any(value: object) -> StoredValue:
        if value is None:
            return None
        text = (value if type(value) is str else json_text(value)).strip(WHITE_SPACE)
        if not is_storable_text(text):
            refuse("Invalid text")
        length = utf16_length(text)
        if length < minimum:
            refuse(f"Minimum {minimum} characters")
        if maximum is not None and length > maximum:
            refuse(f"Maximum {maximum} characters")
        if matches is not None and not matches(text):
            refuse(f"The value provided does not match regex {pattern}")
        return text

    return read


def _number_reader(entity_name: str, property: Property, exact_decimals: bool) -> Reader:
    refuse = _refusal(entity_name, property)
    minimum, maximum = property.minimum, property.maximum
    places = property.decimal_places or 0
    convert: Callable[[Decimal], StoredValue] = int if not places else (Decimal if exact_decimals else float)
    digits = _MAX_DIGITS if exact_decimals or not places else _FLOAT_DIGITS

    def read_any(value: object) -> StoredValue:
        if value is None:
            return None
        number = parse_number(value)
        if number is None:
            refuse("Invalid number")
        if minimum is not None and number < minimum:
            refuse(f"Minimum allowed value {minimum}")
        if maximum is not None and number > maximum:
            refuse(f"Maximum allowed value {maximum}")
        stored = _truncated(Decimal(number), places, digits)
        if stored is None:
            refuse("Invalid number")
        return convert(stored)

    # Fast paths for nearly every number: no digits must be cut off, which saves 1 us.
    least = -_MAX_PLAIN if minimum is None else max(minimum, -_MAX_PLAIN)
    most = _MAX_PLAIN if maximum is None else min(maximum, _MAX_PLAIN)

    if not places:
        return lambda value: value if type(value) is int and least <= value <= most else read_any(value)
    fits = re.compile(rf"-?[0-9]{{1,{digits - places}}}\.[0-9]{{1,{places}}}").fullmatch
    lowest, highest = Decimal(least), Decimal(most)

    def read(value: object) -> StoredValue:
        if type(value) is JsonNumber and fits(value.text):
            number = Decimal(value.text)
            if number and lowest <= number <= highest:  # read_any handles 0, because it may be -0
                return convert(number)
        return read_any(value)

    return read


def _truncated(number: Decimal, places: int, digits: int) -> Decimal | None:
    """``number`` cut to ``places``; None when the result has more than ``digits`` digits or does not fit its column.

    The column holds 64 bits without decimal places, else 18 digits of which ``places`` are decimals: the same limit on
    every provider.
    """
    whole_digits = _MAX_DIGITS - places if places else 19
    if number.adjusted() >= whole_digits:  # checked first, because arithmetic with 1e999999999 is slow
        return None
    cut = number.quantize(Decimal(1).scaleb(-places), context=_EXACT)
    if not cut:
        return Decimal(0)  # without a sign
    if len(cut.normalize(_EXACT).as_tuple().digits) > digits:
        return None
    return cut if places or -(2**63) <= cut < 2**63 else None


def _date_reader(entity_name: str, property: Property) -> Reader:
    refuse = _refusal(entity_name, property)

    def read(value: object) -> StoredValue:
        if type(value) is int and _MANY_MS <= value <= MAX_MS:  # fast path: parsing takes three times as long
            return value
        if value is None:
            return None
        ms = parse_date(value)
        if ms is None:
            refuse(_INVALID_DATE)
        return ms

    return read
