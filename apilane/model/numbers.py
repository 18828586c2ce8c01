"""Numbers as callers write them: strict decimal reading, shared by values, dates and filters (B-D5, B-Q4).

Limits of a property (minimum, digits) are the business of ``apilane.model.values``.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

from apilane.model.json import JsonNumber
from apilane.model.text import trim

__all__ = ["parse_number"]

_is_number = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?").fullmatch


def parse_number(value: object) -> int | Decimal | None:
    """The exact number in a JSON number or a text; None for everything else, booleans and the empty text included.

    A text has a sign, digits, ``.``, an exponent and outer blanks at most. Huge exponents stay unexpanded: check
    ``Decimal.adjusted()`` before doing anything with the result that would write its digits out.
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
    except InvalidOperation:  # an exponent beyond what even Decimal can hold
        return None
    return number or 0
