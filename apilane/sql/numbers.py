"""Numbers with decimals in the form that all providers return. Pure."""

from __future__ import annotations

from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Any, Final

from apilane.sql.statement import Value

__all__ = ["plain_number", "plain_result"]

_ENCODABLE: Final = range(-(2**63), 2**63)

_EXACT: Final = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""``Decimal.normalize`` without a context rounds to 28 digits."""


def plain_number(value: Any) -> Value:
    """A ``decimal.Decimal`` without trailing zeros: 12.50 as 12.5 and 3.00 as 3."""
    whole = int(value)
    return whole if whole == value else _EXACT.normalize(value)


def plain_result(value: Any) -> Value:
    """The result of a sum or an average: an int if it is whole, else without trailing zeros and with every digit.

    A whole number beyond 64 bits stays a ``Decimal``, because the JSON encoder takes no larger int.
    """
    whole = int(value)
    if whole == value:
        return whole if whole in _ENCODABLE else Decimal(whole)
    return _EXACT.normalize(value) if isinstance(value, Decimal) else value
