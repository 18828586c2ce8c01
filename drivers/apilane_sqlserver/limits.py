"""SQL Server's limits, checked before anything is changed (B-D8). Pure.

Sources: "Maximum capacity specifications for SQL Server" and "Primary and foreign key constraints" (cascading).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from apilane.plugin.storage import (
    Entity,
    ForeignKey,
    Limits,
    OnDelete,
    Property,
    PropertyType,
    folded_columns,
    foreign_keys,
    plain_indexes,
    stored_properties,
    unique_columns,
    visible_uniques,
)
from apilane_sqlserver.naming import NAME_MAX

__all__ = ["LIMITS", "STRING_MAX", "problems", "row_bytes"]

STRING_MAX: Final = 4000
KEY_BYTES_MAX: Final = 1700
IN_ROW_BYTES: Final = 24
"""Longer texts can leave the row."""
_BYTES: Final = {PropertyType.Number: 9, PropertyType.Date: 8, PropertyType.Boolean: 1}
_SYSTEM_VIEWS: Final = (
    "altfiles|cacheobjects|charsets|columns|comments|configures|constraints|curconfigs|databases|depends|devices|"
    "filegroups|files|foreignkeys|fulltextcatalogs|indexes|indexkeys|languages|lockinfo|logins|members|messages|"
    "objects|oledbusers|opentapes|perfinfo|permissions|processes|protects|references|remotelogins|segments|servers|"
    "types|users"
)
LIMITS: Final = Limits(
    reserved_tables=f"(?i:sys(?:{_SYSTEM_VIEWS}))",
    name_max=NAME_MAX,
    columns_max=1024,
    key_columns_max=32,
    indexes_max=999,
    folds_in_columns=True,
    references_max=253,
    row_max_bytes=8060,
)
"""A name without a schema means a compatibility view, such as ``sysusers``, before a table of ``dbo``."""

Problem = tuple[str, str]


def problems(entities: Sequence[Entity]) -> list[Problem]:
    """Place and message of each violation."""
    found: list[Problem] = []
    for entity in entities:
        place = f"Entities[{entity.name}]"
        found += _lengths(place, entity)
        found += _keys(place, entity)
    return found + list(_cascades(entities))


def _lengths(place: str, entity: Entity) -> Iterator[Problem]:
    for property in entity.properties:
        is_text = property.type is PropertyType.String and not property.encrypted
        if is_text and property.maximum is not None and property.maximum > STRING_MAX:
            yield (
                f"{place}.Properties[{property.name}]",
                f"Maximum of a String is {STRING_MAX} at most; leave it out for longer texts",
            )


def _keys(place: str, entity: Entity) -> Iterator[Problem]:
    properties = {property.name: property for property in stored_properties(entity)}
    uniques = [("unique", visible, unique_columns(entity, visible)) for visible in visible_uniques(entity)]
    indexes = [("an index", columns, columns) for columns in plain_indexes(entity)]
    for kind, named, columns in (*uniques, *indexes):
        endless = next((name for name in columns if _bytes(properties[name]) is None), None)
        if endless is not None:
            yield (
                f"{place}.Properties[{endless}]",
                f"{kind} on {', '.join(named)} needs a Maximum for {endless}, and one that is not encrypted",
            )
            continue
        marks = 2 * len(folded_columns(entity, columns)) if kind == "unique" else 0
        size = sum(_bytes(properties[name]) or 0 for name in columns) + marks
        if size > KEY_BYTES_MAX:
            yield (
                f"{place}.Properties[{named[0]}]",
                f"{kind} on {', '.join(named)} takes {size} bytes, {KEY_BYTES_MAX} at most (2 for each character)",
            )


def _bytes(property: Property) -> int | None:
    """The maximum size of a value in a key; None: no limit."""
    if property.type is not PropertyType.String:
        return _BYTES[property.type]
    return None if property.encrypted or property.maximum is None else 2 * int(property.maximum)


def row_bytes(entity: Entity) -> int:
    """The largest row: headers, bitmap of nulls, fixed values, and what stays of texts that leave the row."""
    properties = stored_properties(entity)
    texts = [property for property in properties if property.type is PropertyType.String]
    booleans = sum(property.type is PropertyType.Boolean for property in properties)
    numbers = sum(9 if property.decimal_places else 8 for property in properties) - 8 * (len(texts) + booleans)
    inside = sum(min(_bytes(property) or IN_ROW_BYTES, IN_ROW_BYTES) for property in texts)
    return (
        4 + numbers + -(-booleans // 8) + 2 + -(-len(properties) // 8) + (2 + 2 * len(texts) if texts else 0) + inside
    )


def _cascades(entities: Sequence[Entity]) -> Iterator[Problem]:
    """Error 1785: only one path of cascading references may lead from a table to another, and none back to itself.

    SetNull counts too. It does not matter whether any rows are connected in this way.
    """
    references: dict[str, list[tuple[str, ForeignKey]]] = {}
    for entity in entities:
        for key in foreign_keys(entity):
            if key.on_delete is not OnDelete.NoAction:
                references.setdefault(key.entity.lower(), []).append((entity.name, key))
    told: set[tuple[str, str]] = set()
    for entity in entities:
        reached = {entity.name.lower()}
        waiting = [entity.name.lower()]
        while waiting:
            for name, key in references.get(waiting.pop(), ()):
                if name.lower() not in reached:
                    reached.add(name.lower())
                    waiting.append(name.lower())
                elif (name, key.property) not in told:
                    told.add((name, key.property))
                    sentence = (
                        f"deleting a record of {entity.name} would reach {name} on more than one path of Cascade and "
                        "SetNull, or lead back to itself; use NoAction for one of the references"
                    )
                    yield f"Entities[{name}].Properties[{key.property}]", sentence
