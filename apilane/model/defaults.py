"""Default values of properties (docs/reference/protocol/data-model.md section 2.2)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from apilane.model.definition import Property, PropertyType
from apilane.model.formats import JSON, literal
from apilane.model.json import decode_json

__all__ = ["NOW", "default_maker"]

NOW: Final = "Now"


def default_maker(property: Property, read: Callable[[object], Any]) -> Callable[[], Any]:
    """A function that makes the default value. ``read``: the reader of the property, or its writer.

    Raises ``ApilaneError`` when the property refuses its default, and ``MalformedJson`` for a Json default that is no
    JSON.
    """
    default = property.default
    if property.type is PropertyType.Date and default == NOW:
        return lambda: read(time.time_ns() // 1_000_000)
    sent = decode_json(str(default).encode()) if property.format == JSON else literal(default)
    read(sent)
    return lambda: read(sent)
