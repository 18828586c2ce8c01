"""Aggregates, groups, parts of dates and distinct values in plain Python, written from the specification alone.

It shares no code with the product. Rows have decoded wire values; numbers with decimals are ``Decimal``. Sums and
averages are exact fractions, so that ``same`` can allow for the digits of a provider.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

Row = Mapping[str, Any]
Measure = tuple[str, str]
"""Property and function in lower case."""
Group = tuple[str, str | None]
"""Property, and a part of a date or None."""

FUNCTIONS = ("count", "min", "max", "sum", "avg")
PARTS = ("year", "month", "day", "hour", "minute", "second")


def measure_key(measure: Measure) -> str:
    """The key of an aggregate in an answer."""
    return f"{measure[0]}_{measure[1]}"


def group_key(group: Group) -> str:
    """The key of a group value in an answer."""
    return group[0] if group[1] is None else f"{group[0]}_{group[1]}"


def figure(values: Sequence[Any], function: str) -> Any:
    """An aggregate of values; nulls do not count."""
    known = [value for value in values if value is not None]
    if function == "count":
        return len(known)
    if not known:
        return None
    if function in {"min", "max"}:
        return min(known) if function == "min" else max(known)
    total = sum((Fraction(value) for value in known), Fraction())
    return total if function == "sum" else total / len(known)


def part_of(ms: int | None, part: str) -> int | None:
    """A part of a date in UTC."""
    if ms is None:
        return None
    return int(getattr(datetime(1970, 1, 1) + timedelta(milliseconds=ms), part))


def part_form(value: int | None, part: str, provider: str) -> Any:
    """The JSON value of a part, whose type depends on the provider."""
    if value is None or provider in {"postgresql", "sqlserver"}:
        return value
    return (
        f"{value:04}"
        if provider == "sqlite" and part == "year"
        else f"{value:02}"
        if provider == "sqlite"
        else str(value)
    )


def aggregate(
    rows: Sequence[Row], measures: Sequence[Measure], groups: Sequence[Group], *, ascending: bool, provider: str
) -> list[dict[str, Any]]:
    """Every object of the answer, in order."""
    if not groups:
        return [{measure_key(each): figure([row[each[0]] for row in rows], each[1]) for each in measures}]
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        key = tuple(row[name] if part is None else part_of(row[name], part) for name, part in groups)
        found.setdefault(key, []).append(row)
    lines = [(key, [figure([row[name] for row in own], function) for name, function in measures])
             for key, own in found.items()]  # fmt: skip
    lines.sort(key=lambda line: _order(line[0]))
    lines.sort(key=lambda line: _order(line[1]), reverse=not ascending)  # stable, so that ties keep their order
    return [
        {
            **{measure_key(each): value for each, value in zip(measures, figures, strict=True)},
            **{
                group_key((name, part)): value if part is None else part_form(value, part, provider)
                for (name, part), value in zip(groups, key, strict=True)
            },
        }
        for key, figures in lines
    ]


def _order(values: Sequence[Any]) -> list[tuple[bool, Any]]:
    """Null first, ascending."""
    return [(value is not None, 0 if value is None else value) for value in values]


def distinct(rows: Sequence[Row], name: str) -> list[dict[str, Any]]:
    """One object for each value, in order."""
    values = {row[name] for row in rows}
    return [{name: value} for value in sorted(values, key=lambda value: _order([value]))]


def same(expected: Any, actual: Any) -> bool:
    """Whether a decoded answer is the expected one: keys in order, types exact; a fraction up to 1e-9 of its value."""
    if isinstance(expected, dict):
        return (
            isinstance(actual, dict)
            and list(expected) == list(actual)
            and all(same(expected[key], actual[key]) for key in expected)
        )
    if isinstance(expected, list):
        return isinstance(actual, list) and len(expected) == len(actual) and all(map(same, expected, actual))
    if isinstance(expected, Fraction | Decimal):
        if isinstance(actual, bool) or not isinstance(actual, int | float | Decimal):
            return False
        if Fraction(actual) == Fraction(expected):
            return True
        return not (type(actual) is int and expected == int(expected)) and math.isclose(actual, expected, rel_tol=1e-9)
    return type(expected) is type(actual) and bool(expected == actual)
