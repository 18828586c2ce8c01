"""PostgreSQL's limits, checked before anything is changed (B-D8), and the lengths of texts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from apilane.plugin.storage import Entity, Property, PropertyType, stored_properties, unique_columns, visible_uniques

__all__ = ["INDEXED_CHARACTERS", "KEY_CHARACTERS_MAX", "NAME_MAX", "problems", "text_length"]

NAME_MAX: Final = 63
TEXT_MAX: Final = 10_485_760
INDEXED_CHARACTERS: Final = 500
"""Number of indexed characters of a long text: an index entry has at most about 2,700 bytes."""
KEY_CHARACTERS_MAX: Final = 650
"""Largest sum of the lengths of all texts of one key, because a character may have 4 bytes."""


def problems(entities: Sequence[Entity]) -> list[tuple[str, str]]:
    """Violations of the limits: maxima beyond PostgreSQL's, and keys with texts that do not fit into an index."""
    found = []
    for entity in entities:
        if len(entity.name) > NAME_MAX:
            found.append((f"Entities[{entity.name}]", f"a name may have {NAME_MAX} letters at most"))
        for property in entity.properties:
            if len(property.name) > NAME_MAX:
                place = f"Entities[{entity.name}].Properties[{property.name}]"
                found.append((place, f"a name may have {NAME_MAX} letters at most"))
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


def text_length(property: Property) -> int | None:
    """The length of a String's column; None: no limit."""
    return property.maximum if property.maximum and not property.encrypted else None
