"""Numbers with decimals in the form that all providers return. Pure."""

from __future__ import annotations

from typing import Any

from apilane.sql.statement import Value

__all__ = ["plain_number"]


def plain_number(value: Any) -> Value:
    """A ``decimal.Decimal`` without trailing zeros: 12.50 as 12.5 and 3.00 as 3."""
    whole = int(value)
    return whole if whole == value else value.normalize()
