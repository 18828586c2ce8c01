"""Raw values: what an import stores as it is sent (docs/reference/protocol/data-model.md section 4.1).

The rules of a property (its regex, its least length, its bounds) do not apply, and text is not trimmed. A value must
have the type of its property and fit its column, on every provider alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from apilane.errors import ApilaneError, Code
from apilane.model.dates import MAX_MS, MIN_MS
from apilane.model.definition import Property, PropertyType
from apilane.model.json import JsonNumber
from apilane.model.text import utf16_length
from apilane.model.values import Reader, StoredValue, is_storable_text, value_reader

__all__ = ["raw_reader"]

_BOOLEANS: Final = {0: False, 1: True}


def raw_reader(entity_name: str, property: Property, *, exact_decimals: bool) -> Reader:
    """The reader of raw values of one property; null stays null. It raises ``ApilaneError`` VALIDATION."""
    if property.type is PropertyType.Number:
        unbound = replace(property, minimum=None, maximum=None, values=())
        number = value_reader(entity_name, unbound, exact_decimals=exact_decimals)
        return _of_types((int, JsonNumber), number, "Invalid number", entity_name, property)
    if property.type is PropertyType.Boolean:
        return _of_types((bool, int), _boolean, "Invalid boolean: expected true or false", entity_name, property)
    if property.type is PropertyType.Date:
        return _of_types((int,), _date, "Invalid date: expected unix milliseconds", entity_name, property)
    longest = property.maximum

    def text(value: object) -> StoredValue:
        found = str(value)
        if not is_storable_text(found):
            return None
        if longest is not None and utf16_length(found) > longest:
            raise ApilaneError(
                Code.VALIDATION, f"Maximum {longest} characters", property=property.name, entity=entity_name
            )
        return found

    return _of_types((str,), text, "Invalid text", entity_name, property)


def _of_types(
    types: tuple[type, ...], read: Callable[[object], StoredValue], message: str, entity: str, property: Property
) -> Reader:
    """A reader that refuses values of other types, and those for which ``read`` gives None."""

    def checked(value: object) -> StoredValue:
        if value is None:
            return None
        stored = read(value) if type(value) in types else None
        if stored is None:
            raise ApilaneError(Code.VALIDATION, message, property=property.name, entity=entity)
        return stored

    return checked


def _boolean(value: object) -> StoredValue:
    return value if type(value) is bool else _BOOLEANS.get(value)  # type: ignore[call-overload]


def _date(value: object) -> StoredValue:
    return value if type(value) is int and MIN_MS <= value <= MAX_MS else None
