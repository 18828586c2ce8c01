"""InnoDB's limits for lengths, keys and rows. Pure; sizes in bytes of utf8mb4."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from apilane.plugin.storage import (
    Entity,
    Property,
    PropertyType,
    foreign_keys,
    plain_indexes,
    stored_properties,
    unique_columns,
    visible_uniques,
)

__all__ = ["KEY_MAX_BYTES", "key_prefixes", "problems", "text_length"]

TEXT_MAX: Final = 16_383
KEY_MAX_BYTES: Final = 3072
ROW_MAX_BYTES: Final = 65_535
COLUMNS_MAX: Final = 1017
INDEXES_MAX: Final = 64
BYTES_PER_CHARACTER: Final = 4
NUMBER_BYTES: Final = 9
LONGTEXT_BYTES: Final = 12


def text_length(property: Property) -> int | None:
    """The characters of a VARCHAR; None for a LONGTEXT and for other types."""
    return property.maximum if property.type is PropertyType.String and not property.encrypted else None


def key_prefixes(entity: Entity, columns: Sequence[str]) -> dict[str, int]:
    """Prefix lengths in characters for the texts of a non-unique index. Columns that are not named fit completely."""
    texts = {
        name: text_length(property) for name, property in _properties(entity, columns).items() if _is_text(property)
    }
    room = (KEY_MAX_BYTES - NUMBER_BYTES * (len(columns) - len(texts))) // BYTES_PER_CHARACTER
    if None not in texts.values() and sum(length or 0 for length in texts.values()) <= room:
        return {}
    share = room // len(texts)
    return {name: share for name, length in texts.items() if length is None or length > share}


def problems(entities: Sequence[Entity]) -> list[tuple[str, str]]:
    """Places and messages, see ``Dialect.problems``."""
    return [problem for entity in entities for problem in _problems(entity)]


def _problems(entity: Entity) -> Iterator[tuple[str, str]]:
    place = f"Entities[{entity.name}]"
    too_long = False
    for property in entity.properties:
        if (text_length(property) or 0) > TEXT_MAX:
            too_long = True
            yield (
                f"{place}.Properties[{property.name}].Maximum",
                f"a String holds {TEXT_MAX} characters at most; without a Maximum it holds any length",
            )
    for properties in visible_uniques(entity):
        yield from _unique_problems(entity, properties, f"{place}.Constraints[Unique {', '.join(properties)}]")
    size = sum(map(_row_bytes, stored_properties(entity)))
    if size > ROW_MAX_BYTES and not too_long:
        yield (
            f"{place}.Properties",
            f"the properties take up to {size} bytes, a row holds {ROW_MAX_BYTES}; lower the longest Maximum",
        )
    if len(stored_properties(entity)) > COLUMNS_MAX:
        yield f"{place}.Properties", f"a table has {COLUMNS_MAX} columns at most"
    indexes = len(visible_uniques(entity)) + len(plain_indexes(entity)) + len(foreign_keys(entity))
    if indexes > INDEXES_MAX:
        yield f"{place}.Constraints", f"a table has {INDEXES_MAX} indexes at most, this one would have {indexes}"


def _unique_problems(entity: Entity, properties: tuple[str, ...], place: str) -> Iterator[tuple[str, str]]:
    columns = _properties(entity, unique_columns(entity, properties))
    endless = [name for name, property in columns.items() if _is_text(property) and text_length(property) is None]
    if endless:
        yield place, f"a String without Maximum ({', '.join(endless)}) cannot be unique"
        return
    size = sum(map(_key_bytes, columns.values()))
    if size > KEY_MAX_BYTES:
        yield (
            place,
            f"the key takes up to {size} bytes, {KEY_MAX_BYTES} are allowed ({BYTES_PER_CHARACTER} a character)",
        )


def _properties(entity: Entity, columns: Sequence[str]) -> dict[str, Property]:
    known = {property.name: property for property in stored_properties(entity)}
    return {name: known[name] for name in columns if name in known}


def _is_text(property: Property) -> bool:
    return property.type is PropertyType.String


def _key_bytes(property: Property) -> int:
    return (text_length(property) or 0) * BYTES_PER_CHARACTER if _is_text(property) else NUMBER_BYTES


def _row_bytes(property: Property) -> int:
    if not _is_text(property):
        return NUMBER_BYTES
    length = text_length(property)
    return LONGTEXT_BYTES if length is None else length * BYTES_PER_CHARACTER + 2
