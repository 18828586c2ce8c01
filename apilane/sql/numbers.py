"""Numbers with decimals in the form that all providers return. Pure."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Any, Final

from apilane.sql.statement import Value

__all__ = ["plain_number", "plain_result"]

_EXACT: Final = Context(prec=80)
"""More digits than any provider's sums have."""
_ENCODABLE: Final = range(-(2**63), 2**63)


def plain_number(value: Any) -> Value:
    """A ``decimal.Decimal`` without trailing zeros: 12.50 as 12.5 and 3.00 as 3."""
    whole = int(value)
    return whole if whole == value else value.normalize()


def plain_result(value: Any) -> Value:
    """The result of a sum or an average: an int if it is whole, else without trailing zeros and with every digit.

    A whole number beyond 64 bits stays a ``Decimal``, because the JSON encoder takes no larger int.
    """
    whole = int(value)
    if whole == value:
        return whole if whole in _ENCODABLE else Decimal(whole)
    return value.normalize(_EXACT) if isinstance(value, Decimal) else value
