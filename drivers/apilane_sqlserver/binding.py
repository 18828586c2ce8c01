"""Prepares text and values for pyodbc: every parameter gets a type that fits its column. Pure.

Without types, pyodbc would declare a text by its length, so that the server compiles a statement again for each length.
It would also ask the server for the type of a null, which fails in batches and may undo the transaction. So nulls are
written into the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from apilane.plugin.storage import NumberOutOfRange, Value, utf16_length
from apilane_sqlserver.text import PARAMETER_UNITS

__all__ = ["PARAMETERS_MAX", "Bound", "ParameterType", "bind", "type_of"]

PARAMETERS_MAX: Final = 2000
"""SQL Server takes 2100 per call, and the client library needs some of them. Beyond it, long lists of numbers are sent
as one parameter each, and other values go into the text.
"""
LIST_MIN: Final = 100
_LIST: Final = re.compile(rf"IN \((\?(?:, \?){{{LIST_MIN},}})\)")

_WVARCHAR: Final = -9
_WLONGVARCHAR: Final = -10
_BIGINT: Final = -5
_BIT: Final = -7
_DECIMAL: Final = 3
"""ODBC type numbers (sql.h, sqlext.h, sqlucode.h); pyodbc uses the same."""

_DIGITS: Final = 38
_PLACES: Final = 19
"""For decimals: more places than a column has, with room for 64-bit numbers before the point."""


class ParameterType(NamedTuple):
    """The type in T-SQL, and for ``Cursor.setinputsizes`` with Microsoft's drivers and with FreeTDS.

    The last two differ for NVARCHAR(MAX): FreeTDS silently cuts a long WVARCHAR, Microsoft's turns WLONGVARCHAR into
    NTEXT.
    """

    sql: str
    odbc: tuple[int, int, int]
    freetds: tuple[int, int, int]


def _type(sql: str, *odbc: int) -> ParameterType:
    number, size, places = odbc
    return ParameterType(sql, (number, size, places), (number, size, places))


_TEXT: Final = _type(f"NVARCHAR({PARAMETER_UNITS})", _WVARCHAR, PARAMETER_UNITS, 0)
_LONG_TEXT: Final = ParameterType("NVARCHAR(MAX)", (_WVARCHAR, 0, 0), (_WLONGVARCHAR, 0, 0))
_NUMBER: Final = _type("BIGINT", _BIGINT, 19, 0)
_BOOLEAN: Final = _type("BIT", _BIT, 1, 0)


class Bound(NamedTuple):
    """The arguments of the execution; ``types`` and ``values`` have an item for each mark of ``text``."""

    text: str
    types: tuple[ParameterType, ...]
    values: tuple[Value, ...]

    def sizes(self, *, freetds: bool) -> list[tuple[int, int, int]]:
        """The argument of ``Cursor.setinputsizes``."""
        return [type.freetds if freetds else type.odbc for type in self.types]


def type_of(value: Value) -> ParameterType:
    """The type for sending a value. Raises NumberOutOfRange beyond 64 bits and 38 decimal digits."""
    if isinstance(value, str):
        return _TEXT if utf16_length(value) <= PARAMETER_UNITS else _LONG_TEXT
    if isinstance(value, bool):
        return _BOOLEAN
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise NumberOutOfRange("The number does not fit into 64 bits.")
        return _NUMBER
    if isinstance(value, Decimal):
        return _decimal_type(value)
    raise TypeError(f"no type of SQL Server for {type(value).__name__}")


def _decimal_type(value: Decimal) -> ParameterType:
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise NumberOutOfRange("The number is not finite.")
    places = max(-exponent, 0)
    before = max(len(digits) + exponent, 0)
    if places <= _PLACES and before <= _DIGITS - _PLACES:
        places = _PLACES
    elif places + before > _DIGITS:
        raise NumberOutOfRange("The number has more than 38 digits.")
    return _type(f"DECIMAL({_DIGITS},{places})", _DECIMAL, _DIGITS, places)


def _with_lists(text: str, parameters: Sequence[Value]) -> tuple[str, list[Value]]:
    """Text and parameters with each long list of numbers as one parameter, in JSON; the text is then constant."""
    parts: list[str] = []
    values: list[Value] = []
    place = used = 0
    for found in _LIST.finditer(text):
        before, count = text[place : found.start()], found[1].count("?")
        first = used + before.count("?")
        values += parameters[used:first]
        members, used = parameters[first : first + count], first + count
        sql = _type_of_list(members)
        if sql is None:
            values += members
            parts += [before, found[0]]
        else:
            values.append(f"[{','.join(map(_in_json, members))}]")
            parts += [before, f"IN (SELECT [v] FROM OPENJSON(?) WITH ([v] {sql} '$'))"]  # noqa: S608  # types
        place = found.end()
    return "".join((*parts, text[place:])), [*values, *parameters[used:]]


def _in_json(value: Value) -> str:
    """A number without an exponent; Decimal keeps all digits."""
    if value is None:
        return "null"
    return f"{value:f}" if isinstance(value, Decimal) else str(int(value))


def _type_of_list(values: Sequence[Value]) -> str | None:
    """The type of the numbers of a list; None when one of them is no number."""
    if not all(value is None or isinstance(value, (int, Decimal)) for value in values):
        return None
    for value in values:
        if value is not None:
            type_of(value)  # raises NumberOutOfRange
    is_whole = not any(isinstance(value, Decimal) for value in values)
    return "BIGINT" if is_whole else f"DECIMAL({_DIGITS},{_PLACES})"


def bind(text: str, parameters: Sequence[Value]) -> Bound:
    """``text`` has one ``?`` for each parameter and no other."""
    if len(parameters) > PARAMETERS_MAX:
        text, parameters = _with_lists(text, parameters)
    too_many = len(parameters) > PARAMETERS_MAX
    if not too_many and not any(value is None for value in parameters):
        return Bound(text, tuple(map(type_of, parameters)), tuple(parameters))
    first, *pieces = text.split("?")
    parts = [first]
    for value, piece in zip(parameters, pieces, strict=True):
        parts += [_literal(value) if too_many or value is None else "?", piece]
    values = () if too_many else tuple(value for value in parameters if value is not None)
    return Bound("".join(parts), tuple(map(type_of, values)), values)


def _literal(value: Value) -> str:
    """A value as T-SQL. A backslash before a line feed would join the lines, so the text is split between them."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        text = value.replace("'", "''")
        pieces = "N'" + text.replace("\\\r\n", "\\' + N'\r\n").replace("\\\n", "\\' + N'\n") + "'"
        if len(pieces) > PARAMETER_UNITS // 2 and "' + N'" in pieces:  # joining short pieces would cut at 4,000
            return f"(CAST(N'' AS NVARCHAR(MAX)) + {pieces})"
        return pieces
    type = type_of(value)
    return f"{value:f}" if isinstance(value, Decimal) else f"CAST({int(value)} AS {type.sql})"
