"""PostgreSQL's limits, checked before anything is changed (B-D8), and the lengths of texts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from apilane.plugin.storage import (
    Entity,
    Limits,
    Property,
    PropertyType,
    stored_properties,
    unique_columns,
    visible_uniques,
)

__all__ = ["INDEXED_CHARACTERS", "KEY_CHARACTERS_MAX", "LIMITS", "NAME_MAX", "problems", "row_bytes", "text_length"]

NAME_MAX: Final = 63
TEXT_MAX: Final = 10_485_760
INDEXED_CHARACTERS: Final = 500
"""Number of indexed characters of a long text: an index entry has at most about 2,700 bytes."""
KEY_CHARACTERS_MAX: Final = 650
"""For all texts of one key together, at 4 bytes a character."""
TEXT_IN_ROW_BYTES: Final = 24
"""Longer values can leave the row (TOAST)."""

LIMITS: Final = Limits(
    reserved_columns=r"tableoid|[cx]m(?:in|ax)|ctid",
    reserved_tables=r"pg_.*|.*_pkey|.*_ID_seq",
    name_max=NAME_MAX,
    columns_max=1600,
    key_columns_max=32,
    row_max_bytes=8160,
)
"""Names in small letters are reserved, as written. A table in ``public`` is not found if the catalog has its name, and
a table has an index ``..._pkey`` and a sequence ``..._ID_seq``.
"""


def problems(entities: Sequence[Entity]) -> list[tuple[str, str]]:
    """Maxima beyond PostgreSQL's, and keys with texts that do not fit into an index."""
    found = []
    for entity in entities:
        for property in entity.properties:
            if property.type is PropertyType.String and not property.encrypted and (property.maximum or 0) > TEXT_MAX:
                place = f"Entities[{entity.name}].Properties[{property.name}]"
                found.append((place, f"a String may have a Maximum of {TEXT_MAX} at most"))
        stored = {property.name: property for property in stored_properties(entity)}
        for properties in visible_uniques(entity):
            texts = [stored[name] for name in unique_columns(entity, properties) if name in stored]
            lengths = [text_length(p) for p in texts if p.type is PropertyType.String]
            if None in lengths or sum(length or 0 for length in lengths) > KEY_CHARACTERS_MAX:
                place = f"Entities[{entity.name}].Constraints[{','.join(properties)}]"
                sentence = f"unique texts need a Maximum, of {KEY_CHARACTERS_MAX} characters together at most"
                found.append((place, sentence))
    return found


def row_bytes(entity: Entity) -> int:
    """The largest tuple: header, bitmap of nulls, and the values in their order, aligned."""
    properties = stored_properties(entity)
    size = 0
    for property in properties:
        if property.type is PropertyType.Boolean:
            size += 1
        elif property.type is PropertyType.String:
            length = text_length(property)
            size += TEXT_IN_ROW_BYTES if length is None else min(4 * length + 1, TEXT_IN_ROW_BYTES)
        elif property.decimal_places:
            size += 3 + 2 * (-(-(18 - property.decimal_places) // 4) - (-property.decimal_places // 4))
        else:
            size = _aligned(size) + 8
    return _aligned(_aligned(23 + -(-len(properties) // 8)) + size)


def _aligned(size: int) -> int:
    return -(-size // 8) * 8


def text_length(property: Property) -> int | None:
    """The length of a String's column; None: no limit."""
    return property.maximum if property.maximum and not property.encrypted else None
