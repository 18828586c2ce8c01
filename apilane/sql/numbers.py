"""Numbers with decimals in the form that all providers return. Pure."""

from __future__ import annotations

from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context
from typing import Any, Final

from apilane.sql.statement import Value

__all__ = ["plain_number"]

_EXACT: Final = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""``Decimal.normalize`` without a context rounds to 28 digits."""


def plain_number(value: Any) -> Value:
    """A ``decimal.Decimal`` without trailing zeros: 12.50 as 12.5 and 3.00 as 3."""
    whole = int(value)
    return whole if whole == value else _EXACT.normalize(value)
