"""Strict reading of decimal numbers from callers, for values, dates and filters (B-D5, B-Q4).

``apilane.model.values`` checks the limits of a property (minimum, digits).
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

from apilane.model.json import JsonNumber
from apilane.model.text import trim

__all__ = ["parse_number"]

_is_number = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?").fullmatch


def parse_number(value: object) -> int | Decimal | None:
    """The exact number in a JSON number or a text; None for all other values, including booleans and the empty text.

    A text may have outer blanks, a sign, digits, ``.`` and an exponent. Huge exponents are not expanded: check
    ``Decimal.adjusted()`` before any operation on the result that computes all its digits.
    """
    if type(value) is int:
        return value
    if type(value) is str:
        text = trim(value)
        if _is_number(text) is None:
            return None
    elif isinstance(value, JsonNumber):
        text = value.text
    else:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:  # the exponent is too large even for Decimal
        return None
    return number or 0
