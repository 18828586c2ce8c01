"""Cursors of Data Get: a text that stands for a place in an ordered read
(docs/reference/protocol/wire-api.md section 4.1).

A cursor holds the sort values of the last record of a page. It is encrypted, because the default order may use
properties that the caller may not read, and it opens only for the entity, filter, order and reach that made it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from apilane.errors import DEFAULT_MESSAGES, ApilaneError, Code
from apilane.model.definition import SortKey
from apilane.runtime.application import EntityRuntime
from apilane.sql.keyset import Keyset, deciding_keys, steps_after
from apilane.sql.select import ReadShape
from apilane.sql.statement import Value
from apilane.storage.protocol import Row

__all__ = ["CURSOR_KEYS_MAX", "CURSOR_TEXT_MAX", "read_on"]

CURSOR_TEXT_MAX: Final = 500
"""Characters of a text in a cursor, which travels in an address."""
CURSOR_KEYS_MAX: Final = 16
"""Properties of an order with cursors, ``ID`` included."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


async def read_on(
    entity: EntityRuntime, read: ReadShape, values: Mapping[str, Value], after: str | None, *, is_slow: bool
) -> tuple[Sequence[Row], str | None]:
    """The rows of a page, and the cursor of the next page; None after the last.

    ``values``: the parameters of ``read``, among them ``limit``. ``after``: the cursor to read on from; None: from
    ``offset``. Raises INVALID_SORT_PARAMETER for a wrong cursor, and when the next one would be too long.
    """
    keys = deciding_keys(read.order)
    if len(keys) > CURSOR_KEYS_MAX:
        raise _refusal(entity, f"a cursor takes at most {CURSOR_KEYS_MAX} sort keys, found {len(keys)}")
    context = _context(entity, read, values, keys)
    width, limit = len(read.columns), int(values["limit"] or 0)
    names = [key.property for key in keys]
    known = set(read.columns).difference(name for name, _ in read.masks)  # a masked value may read as null
    hidden = tuple(name for name in names if name not in known)
    read = read._replace(keys=hidden)
    rows: list[Row] = []
    for step, parameters in _steps(entity, read, keys, after, context):
        statement = await entity.read.beside(step) if is_slow else entity.read(step)
        wanted = {**values, **parameters, "limit": limit + 1 - len(rows)}
        rows += await entity.session.fetch(statement, statement.parameters(wanted))
        if len(rows) > limit:
            break
    following = None
    if len(rows) > limit:
        del rows[limit:]
        last = rows[-1]
        place = {**dict(zip(read.columns, last, strict=False)), **dict(zip(hidden, last[width:], strict=True))}
        following = _sealed(entity, [place[name] for name in names], context)
    return ([row[:width] for row in rows] if hidden else rows), following


def _steps(
    entity: EntityRuntime, read: ReadShape, keys: tuple[SortKey, ...], after: str | None, context: str
) -> list[tuple[ReadShape, dict[str, Value]]]:
    """The reads that fill a page, in order, each with its parameters."""
    if after is None:
        return [(read._replace(after=Keyset(keys, (), "all")), {})]
    place = _opened(entity, after, context)
    parameters: dict[str, Value] = {f"k{number}": value for number, value in enumerate(place)}
    parameters["offset"] = 0
    steps = steps_after(entity.entity, keys, tuple(value is None for value in place))
    return [(read._replace(after=step), parameters) for step in steps]


def _context(entity: EntityRuntime, read: ReadShape, values: Mapping[str, Value], keys: tuple[SortKey, ...]) -> str:
    """What a cursor is bound to, in a form that is the same in every worker."""
    filter_values = [str(value) for name, value in values.items() if name[0] == "f" and name[1:].isdigit()]
    types = [entity.properties[key.property.lower()].type.name for key in keys]
    order = [astuple(key) for key in keys]
    parts = (entity.key, order, types, read.restrictions, read.filter, filter_values)
    return f"cursor:{sha256(repr(parts).encode('utf-8', 'surrogatepass')).hexdigest()}"


def _sealed(entity: EntityRuntime, place: Sequence[Value], context: str) -> str:
    for value in place:
        if isinstance(value, str) and len(value) > CURSOR_TEXT_MAX:
            raise _refusal(
                entity,
                f"a cursor holds texts of at most {CURSOR_TEXT_MAX} characters, and the last record of the page has "
                f"{len(value)} in a property of the order. Sort by another property, or read without 'cursor'",
            )
    stored = [{"decimal": str(value)} if isinstance(value, Decimal) else value for value in place]
    return entity.application.cipher.encrypt(_encode(stored).decode(), context)


def _opened(entity: EntityRuntime, cursor: str, context: str) -> list[Value]:
    text = entity.application.cipher.decrypt(cursor, context)
    if text is None:
        raise _refusal(
            entity,
            "'after' is not a cursor of this entity, filter and sort. Send the Next of a page that was read with the "
            "same entity, filter and sort, or leave 'after' out to begin again",
        )
    place: list[Any] = _decode(text)
    return [Decimal(value["decimal"]) if isinstance(value, dict) else value for value in place]


def _refusal(entity: EntityRuntime, detail: str) -> ApilaneError:
    message = f"{DEFAULT_MESSAGES[Code.INVALID_SORT_PARAMETER]}: {detail}"
    return ApilaneError(Code.INVALID_SORT_PARAMETER, message, entity=entity.name)
