"""Conditions on text (B-Q3). Letter case is ignored, accents and blanks are compared, wildcards are plain characters.
Pure.

Columns have a linguistic collation, which matches additional rows: ``ß`` equals ``ss`` and blanks at the end are
ignored. Therefore a condition has two parts. The first uses the column's collation and an index; it finds all matches
and some other rows. The second compares letter by letter (``Latin1_General_100_BIN2``) and removes the other rows. The
first part is left out if it could miss a match.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.mssql import NVARCHAR

from apilane.plugin.storage import Value, any_or_none, fold, utf16_length

__all__ = ["BINARY", "LINGUISTIC", "PARAMETER_UNITS", "operand", "predicate", "unique_key"]

LINGUISTIC: Final = "Latin1_General_100_CI_AS_SC"
"""For String columns: case-insensitive, accent-sensitive, one character beyond the BMP counts as one."""
BINARY: Final = "Latin1_General_100_BIN2"
"""For exact comparisons; positions and lengths are in UTF-16 units."""

PARAMETER_UNITS: Final = 4000
"""UTF-16 units of the longest NVARCHAR that is not MAX. CHARINDEX cannot search for a longer text."""

_UPPER: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LOWER: Final = "abcdefghijklmnopqrstuvwxyz"
_WORD: Final = re.compile(r"[0-9a-z]+")
_SIGMA: Final = frozenset("ςσΣ")
"""The forms of sigma. They are equal in filters; whether they are equal in a collation is not documented."""
_AFTER: Final = {"9": "a", "z": "α"}
"""In every Windows sort order, digits come before Latin letters, which come before Greek ones."""


def operand(operator: str, value: str) -> tuple[str, tuple[Value, ...]]:
    """``(variant, parameters)`` of a value; see ``apilane.sql.dialect.Dialect.text_operand``.

    Variants: ``any`` and ``none`` for ''; ``ascii`` (this function folds the value, the server folds A to Z in the
    column); ``folded`` (the server folds both). ``index`` or ``range`` is added if an index finds the candidates, and
    ``long`` if the searched text is too long for CHARINDEX.
    """
    if not value and operator not in {"equal", "notequal"}:
        return "none" if operator == "notcontains" else "any", ()
    variant = "ascii" if value.isascii() else "folded"
    if value.isascii():
        value = fold(value)
    length = utf16_length(value)
    match operator:
        case "equal" if _SIGMA.isdisjoint(value):
            return f"{variant} index", (value,)
        case "startswith":
            word = _WORD.match(value)
            if word is None:
                return variant, (length, value)
            return f"{variant} range", (word[0], _after(word[0]), length, value)
        case "endswith":
            return variant, (length, value)
        case "contains" | "notcontains" if length > PARAMETER_UNITS:
            return f"{variant} long", (value[: PARAMETER_UNITS // 2], length, value)
        case _:
            return variant, (value,)


def predicate(
    operator: str, variant: str, column: sa.ColumnElement[str], binds: Sequence[sa.BindParameter[Any]]
) -> sa.ColumnElement[bool]:
    """The condition for a variant of ``operand``; rows with null in the column never match."""
    if (whole := any_or_none(variant, column)) is not None:
        return whole
    is_ascii = variant.startswith("ascii")
    folded = _folded_ascii(column) if is_ascii else _folded(column)
    wanted: Any = binds[-1] if is_ascii else _folded(binds[-1])
    match operator:
        case "equal":
            candidates = [column == binds[0]] if variant.endswith("index") and _is_linguistic(column) else []
            return sa.and_(*candidates, folded == wanted, _bytes(column) == _bytes(binds[0]))
        case "notequal":
            return sa.or_(folded != wanted, _bytes(column) != _bytes(binds[0]))
        case "startswith":
            return sa.and_(*_range(variant, column, binds), *_end(sa.func.left, column, folded, binds, wanted))
        case "endswith":
            return sa.and_(*_end(sa.func.right, column, folded, binds, wanted))
        case "contains":
            return _contains(variant, folded, binds, wanted)
        case "notcontains":
            return sa.not_(_contains(variant, folded, binds, wanted)).self_group()
    raise ValueError(f"no text operator: {operator}")


@cache
def _letters() -> tuple[str, str]:
    """The letters below U+10000 that fold to another letter, and those. TRANSLATE takes UTF-16 units one by one."""
    letters = [chr(code) for code in range(0x10000) if not 0xD800 <= code < 0xE000]
    folding = [letter for letter in letters if fold(letter) != letter]
    return "".join(folding), "".join(map(fold, folding))


def unique_key(column: str) -> str:
    """T-SQL of what a unique constraint compares: the folded text of ``column`` (T-SQL too), and a mark after it,
    because comparisons ignore blanks at the end.
    """
    letters, folded = _letters()
    return f"TRANSLATE({column} COLLATE {BINARY}, N'{letters}', N'{folded}') + N'.'"


def _after(word: str) -> str:
    """The first text that sorts after every text beginning with ``word``, which consists of 0-9 and a-z."""
    last = word[-1]
    return word[:-1] + (_AFTER.get(last) or chr(ord(last) + 1))


def _folded_ascii(text: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """Fold only A to Z. LOWER is not used, because it converts the Kelvin sign to k."""
    return sa.func.translate(
        sa.collate(text, BINARY), sa.literal_column(f"N'{_UPPER}'"), sa.literal_column(f"N'{_LOWER}'"), type_=NVARCHAR()
    )


def _folded(text: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """Fold with the server's LOWER, for the column and for the value, so that equal texts stay equal. Final sigma
    becomes sigma."""
    lower = sa.func.lower(sa.collate(text, BINARY), type_=NVARCHAR())
    return sa.func.replace(lower, _letter("ς"), _letter("σ"), type_=NVARCHAR())


def _letter(letter: str) -> sa.ColumnElement[str]:
    return sa.literal_column(f"NCHAR({ord(letter)})", type_=NVARCHAR())


def _bytes(text: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
    """The length in bytes. It finds blanks at the end, which comparisons and LEN ignore."""
    return sa.func.datalength(text, type_=sa.BigInteger())


def _range(
    variant: str, column: sa.ColumnElement[str], binds: Sequence[sa.BindParameter[Any]]
) -> list[sa.ColumnElement[bool]]:
    in_order = variant.endswith("range") and _is_linguistic(column)
    return [column >= binds[0], column < binds[1]] if in_order else []


def _is_linguistic(column: sa.ColumnElement[str]) -> bool:
    """Whether the column has the linguistic collation, which ignores letter case."""
    return getattr(column.type, "collation", None) == LINGUISTIC


def _end(
    cut: Any, column: sa.ColumnElement[str], folded: sa.ColumnElement[str], binds: Sequence[Any], wanted: Any
) -> list[sa.ColumnElement[bool]]:
    return [cut(folded, _number(binds[-2]), type_=NVARCHAR()) == wanted, _bytes(column) >= _bytes(binds[-1])]


def _contains(variant: str, folded: sa.ColumnElement[str], binds: Sequence[Any], wanted: Any) -> sa.ColumnElement[bool]:
    if not variant.endswith("long"):
        return sa.func.charindex(wanted, folded, type_=sa.BigInteger()) > sa.literal_column("0")
    head = binds[0] if variant.startswith("ascii") else _folded(binds[0])
    place = sa.func.charindex(head, folded, type_=sa.BigInteger())
    found = sa.func.substring(folded, place, _number(binds[1]), type_=NVARCHAR())
    return sa.and_(place > sa.literal_column("0"), found == wanted)


def _number(bind: sa.BindParameter[Any]) -> sa.ColumnElement[Any]:
    return sa.type_coerce(bind, sa.BigInteger())
