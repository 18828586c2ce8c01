"""InnoDB's limits for lengths, keys and rows. Pure; sizes in bytes of utf8mb4."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from apilane.plugin.storage import (
    Entity,
    Limits,
    Property,
    PropertyType,
    folded_columns,
    stored_properties,
    tenant_key,
    unique_columns,
    visible_uniques,
)

__all__ = [
    "BYTES_PER_CHARACTER",
    "KEY_MAX_BYTES",
    "LIMITS",
    "NAME_MAX",
    "key_prefixes",
    "problems",
    "row_bytes",
    "text_length",
]

TEXT_MAX: Final = 16_383
KEY_MAX_BYTES: Final = 3072
ROW_MAX_BYTES: Final = 65_535
NAME_MAX: Final = 64
BYTES_PER_CHARACTER: Final = 4
NUMBER_BYTES: Final = 9
LONGTEXT_BYTES: Final = 12
TEXT_IN_PAGE_BYTES: Final = 40
"""InnoDB moves longer values out of the page, if the column can hold more than 255 bytes."""

LIMITS: Final = Limits(
    reserved_columns=r"(?i:DB_ROW_ID|DB_TRX_ID|DB_ROLL_PTR|FTS_DOC_ID)",
    name_max=NAME_MAX,
    columns_max=1017,
    key_columns_max=16,
    indexes_max=63,
    folds_in_columns=True,
    row_max_bytes=8125,
)
"""A row is smaller than 8126 bytes, half a page of InnoDB; the server counts the primary key as an index."""


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
    for names in visible_uniques(entity):
        yield from _unique_problems(entity, names, f"{place}.Constraints[Unique {', '.join(names)}]")
    properties = stored_properties(entity)
    keys = _generated(entity)
    size = sum(map(_row_bytes, [*properties, *keys])) + (len(properties) + len(keys) + 7) // 8
    if size > ROW_MAX_BYTES and not too_long:
        yield (
            f"{place}.Properties",
            f"the properties take up to {size} bytes, a row holds {ROW_MAX_BYTES}; lower the longest Maximum",
        )


def row_bytes(entity: Entity) -> int:
    """The largest record in its page: header, transaction, bitmap of nulls, and what stays of texts."""
    properties, keys = stored_properties(entity), _generated(entity)
    nulls = sum(not property.required for property in properties) + len(keys)
    return 5 + 13 + -(-nulls // 8) + sum(map(_bytes_in_page, [*properties, *keys]))


def _generated(entity: Entity) -> list[Property]:
    """The Strings and tenants of unique constraints, one for each: each has a generated column of the same size."""
    uniques = [(unique_columns(entity, names), tenant_key(entity, names)) for names in visible_uniques(entity)]
    return [
        p
        for names, tenant in uniques
        for p in entity.properties
        if p.name == tenant or p.name in folded_columns(entity, names)
    ]


def _bytes_in_page(property: Property) -> int:
    if _is_text(property):
        length = text_length(property)
        size = 256 if length is None else length * BYTES_PER_CHARACTER
        return 1 + (size if size < 256 else TEXT_IN_PAGE_BYTES)
    if property.type is PropertyType.Boolean:
        return 1
    if property.decimal_places:
        return _decimal_bytes(18 - property.decimal_places) + _decimal_bytes(property.decimal_places)
    return 8


def _decimal_bytes(digits: int) -> int:
    """DECIMAL packs nine digits into four bytes."""
    whole, rest = divmod(digits, 9)
    return 4 * whole + -(-rest // 2)


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
