"""Reading on after one record of an ordered read, by the values of its sort keys. Pure.

The records that follow are read in up to three steps, each with a condition that an index on the first key answers:
records that are equal in the first key, records beyond it, and, at the end of a descending order, records without a
value. Most pages need the first two. One condition for all of them would be an OR, which no index answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from apilane.model.definition import Direction, Entity, SortKey
from apilane.sql.dialect import Dialect

__all__ = ["Keyset", "Step", "deciding_keys", "keyset_conditions", "steps_after", "total_order"]

Step = Literal["all", "tied", "beyond", "null"]
"""``all``: every record, in the order of the steps."""


class Keyset(NamedTuple):
    """What determines the text of one step. Parameters: ``k0``, ``k1`` ... for the values that are not null."""

    keys: tuple[SortKey, ...]
    """``deciding_keys`` of the read."""
    nulls: tuple[bool, ...]
    """By key: whether the value of the record is null."""
    step: Step


def total_order(order: Sequence[SortKey]) -> tuple[SortKey, ...]:
    """The keys of an order, each property once, with ``ID`` as the last if it is not there already (B-Q12)."""
    keys: dict[str, SortKey] = {}
    for key in (*order, SortKey("ID")):
        keys.setdefault(key.property, key)
    return tuple(keys.values())


def deciding_keys(order: Sequence[SortKey]) -> tuple[SortKey, ...]:
    """The keys that decide the order: those up to ``ID``, which no two records share."""
    keys = total_order(order)
    return keys[: [key.property for key in keys].index("ID") + 1]


def steps_after(entity: Entity, keys: tuple[SortKey, ...], nulls: tuple[bool, ...]) -> list[Keyset]:
    """The steps that read all records after one, in order."""
    descending = keys[0].direction is Direction.DESC
    steps: list[Step] = ["tied"] if len(keys) > 1 else []
    if not (descending and nulls[0]):
        steps.append("beyond")
        property = entity.property(keys[0].property)
        if descending and property is not None and not property.required and not property.is_primary_key:
            steps.append("null")
    return [Keyset(keys, nulls, step) for step in steps]


def keyset_conditions(
    entity: Entity, table: sa.Table, keyset: Keyset, dialect: Dialect
) -> list[sa.ColumnElement[bool]]:
    """The conditions of a step, all of which must hold."""
    columns = [table.c[key.property] for key in keyset.keys]
    properties = [entity.property(key.property) for key in keyset.keys]
    keys = tuple(
        _Key(
            key=column if property is None else dialect.order_key(column, property),
            bind=sa.bindparam(f"k{number}", type_=column.type),
            descends=key.direction is Direction.DESC,
            is_null=is_null,
            nullable=bool(column.nullable),
        )
        for number, (key, column, property, is_null) in enumerate(
            zip(keyset.keys, columns, properties, keyset.nulls, strict=False)
        )
    )
    match keyset.step:
        case "all":
            return []
        case "null":
            return [columns[0].is_(None)]
        case "beyond":
            return [beyond] if (beyond := _beyond(keys[0])) is not None else []
        case "tied":
            return [_tied(keys[0]), _after(keys[1:])]


class _Key(NamedTuple):
    """One sort key, with the value of the record to read on from."""

    key: sa.ColumnElement[Any]
    bind: sa.BindParameter[Any]
    descends: bool
    is_null: bool
    nullable: bool


def _tied(key: _Key) -> sa.ColumnElement[bool]:
    return key.key.is_(None) if key.is_null else key.key == key.bind


def _beyond(key: _Key) -> sa.ColumnElement[bool] | None:
    """Values, other than null, that come later in the order; None when there are none."""
    if key.is_null:
        return None if key.descends else key.key.is_not(None)
    return key.key < key.bind if key.descends else key.key > key.bind


def _after(keys: tuple[_Key, ...]) -> sa.ColumnElement[bool]:
    """Records that come later by these keys. Nulls are the last of a descending key."""
    key, rest = keys[0], keys[1:]
    later = [] if (beyond := _beyond(key)) is None else [beyond]
    if key.descends and key.nullable and not key.is_null:
        later.append(key.key.is_(None))
    if rest:
        later.append(sa.and_(_tied(key), _after(rest)))
    return sa.or_(*later)
