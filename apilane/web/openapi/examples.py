"""Examples of records that are sent, made from the rules of their properties."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from apilane.model.defaults import NOW
from apilane.model.definition import ForeignKey, Property, PropertyType

__all__ = ["record_example"]

LENGTH_MAX: Final = 200
PROPERTIES_MAX: Final = 5
_DATE: Final = "2026-03-01T12:00:00Z"
_FORMATS: Final[dict[str, Any]] = {
    "Email": "maria@example.com",
    "Url": "https://example.com/",
    "Uuid": "7f3c2f0e-5d0b-4a56-9a57-0f6f6f1c2d3e",
    "Json": {"key": "value"},
    "Color": "#336699",
}


def record_example(properties: Iterable[Property], keys: Iterable[ForeignKey]) -> dict[str, Any] | None:
    """A record with the required properties and a few others. None: a rule is too special for an example."""
    references = {key.property for key in keys}
    shown: dict[str, Any] = {}
    for property in sorted(properties, key=lambda each: not each.required):
        value = 1 if property.name in references else _value(property)
        if value is None and property.required and property.default is None:
            return None
        if value is not None and (property.required or len(shown) < PROPERTIES_MAX):
            shown[property.name] = value
    return shown or None


def _value(property: Property) -> Any:
    """A value that the property admits; None: unknown."""
    if property.values:
        return property.values[0]
    if property.default is not None and property.default != NOW and property.format != "Json":
        return property.default
    match property.type:
        case PropertyType.Boolean:
            return True
        case PropertyType.Date:
            return _DATE
        case PropertyType.Number:
            lowest = 1 if property.minimum is None else max(1, property.minimum)
            return lowest if property.maximum is None else min(lowest, property.maximum)
    if property.validation_regex:
        return "maria@example.com" if property.name == "Email" and property.is_system else None
    if property.format in _FORMATS:
        return _FORMATS[property.format]
    text, shortest = property.name, property.minimum or 0
    if shortest > LENGTH_MAX:
        return None
    return text.ljust(shortest, "x")[: property.maximum]
