"""The limits that every provider has in some form: names, columns, indexes, the bytes of a row. Pure.

A dialect names its numbers in ``Dialect.limits``; ``problems_of`` compares entities with them before any change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from apilane.model.definition import Entity, Property
from apilane.sql.ddl import folded_columns, foreign_keys, plain_indexes, tenant_key, unique_columns, visible_uniques
from apilane.sql.tables import stored_properties

__all__ = ["Limits", "kinds_of", "problems_of"]


class Limits(Struct, frozen=True, kw_only=True):
    """The limits of one provider; None: it has none."""

    reserved_columns: str = r"(?!)"
    """Pattern of the column names that the provider keeps for itself, matched against the whole name."""
    reserved_tables: str = r"(?!)"
    """Pattern of the table names that the provider keeps for itself."""
    name_max: int | None = None
    """Characters of a name. Names of entities and properties are ASCII."""
    columns_max: int | None = None
    """Columns of a table, hidden ones included."""
    key_columns_max: int | None = None
    """Columns of an index or a unique constraint."""
    indexes_max: int | None = None
    """Indexes of a table, unique constraints included and the primary key not."""
    folds_in_columns: bool = False
    """A unique constraint has one more column for each of its Strings and for the tenant, and one more index if it has
    such columns.
    """
    references_max: int | None = None
    """Foreign keys of a table."""
    row_max_bytes: int | None = None
    """Bytes of a row, as ``Dialect.row_bytes`` counts them."""


def problems_of(
    entities: Sequence[Entity], limits: Limits, row_bytes: Callable[[Entity], int]
) -> list[tuple[str, str]]:
    """The names, columns, indexes and rows of ``entities`` that exceed ``limits``."""
    return [
        problem
        for entity in entities
        for problem in (*_names(entity, limits), *_counts(entity, limits), *_row(entity, limits, row_bytes))
    ]


def _names(entity: Entity, limits: Limits) -> Iterator[tuple[str, str]]:
    places = [(f"Entities[{entity.name}]", entity.name, limits.reserved_tables, "table")]
    for property in stored_properties(entity):
        place = f"Entities[{entity.name}].Properties[{property.name}]"
        places.append((place, property.name, limits.reserved_columns, "column"))
    for place, name, reserved, kind in places:
        if re.fullmatch(reserved, name):
            yield place, f"the database keeps the {kind} name {name} for itself"
        elif limits.name_max is not None and len(name) > limits.name_max:
            yield place, f"a name may have {limits.name_max} letters at most, {name} has {len(name)}"


def _counts(entity: Entity, limits: Limits) -> Iterator[tuple[str, str]]:
    place = f"Entities[{entity.name}]"
    uniques = [(names, unique_columns(entity, names)) for names in visible_uniques(entity)]
    folded = [
        {*folded_columns(entity, carried), *([tenant] if (tenant := tenant_key(entity, names)) else [])}
        for names, carried in uniques
        if limits.folds_in_columns
    ]
    columns = len(stored_properties(entity)) + sum(map(len, folded))
    if limits.columns_max is not None and columns > limits.columns_max:
        yield f"{place}.Properties", f"a table has {limits.columns_max} columns at most, this one would have {columns}"
    indexes = [("Constraints[Unique", names, carried) for names, carried in uniques]
    indexes += [("Indexes[", names, names) for names in plain_indexes(entity)]
    count = len(indexes) + sum(map(bool, folded))
    if limits.indexes_max is not None and count > limits.indexes_max:
        sentence = f"a table has {limits.indexes_max} indexes at most, this one would have {count}"
        yield f"{place}.Constraints", sentence
    for kind, names, carried in indexes:
        if limits.key_columns_max is not None and len(carried) > limits.key_columns_max:
            beginning = f"{kind} " if kind.endswith("Unique") else kind
            sentence = f"an index has {limits.key_columns_max} columns at most, this one would have {len(carried)}"
            yield f"{place}.{beginning}{', '.join(names)}]", sentence
    references = len(foreign_keys(entity))
    if limits.references_max is not None and references > limits.references_max:
        sentence = f"a table has {limits.references_max} foreign keys at most, this one would have {references}"
        yield f"{place}.Constraints", sentence


def _row(entity: Entity, limits: Limits, row_bytes: Callable[[Entity], int]) -> Iterator[tuple[str, str]]:
    if limits.row_max_bytes is not None and (size := row_bytes(entity)) > limits.row_max_bytes:
        kinds = kinds_of(stored_properties(entity))
        sentence = (
            f"a row of {kinds} takes up to {size} bytes, {limits.row_max_bytes} are allowed; move properties to a "
            "second entity, or shorten Strings by a Maximum"
        )
        yield f"Entities[{entity.name}].Properties", sentence


def kinds_of(properties: Sequence[Property]) -> str:
    """The kinds of ``properties`` with their number, the most frequent first: ``250 String, 3 Date``."""
    counted = {kind: sum(p.type.name == kind for p in properties) for kind in sorted({p.type.name for p in properties})}
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counted.items(), key=lambda each: -each[1]))
