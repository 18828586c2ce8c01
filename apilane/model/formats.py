"""Formats and admitted values of properties (docs/reference/protocol/data-model.md section 2.2). Pure.

A property without them has the plain reader, so it pays nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

import msgspec

from apilane.model.definition import Property, PropertyType
from apilane.model.email_addresses import is_email
from apilane.model.json import JsonNumber, json_text

__all__ = ["FORMATS", "JSON", "has_format", "is_admitted", "json_value", "literal", "restricted"]

JSON: Final = "Json"
_uuid = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch
_color = re.compile(r"#([0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})").fullmatch
_host = re.compile(r"[^\s/?#@\\]+").fullmatch
_decode_raw = msgspec.json.Decoder(msgspec.Raw).decode


def _is_url(text: str) -> bool:
    """Whether a text is an absolute address of the web."""
    if any(letter.isspace() or not letter.isprintable() for letter in text):
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and _host(parts.hostname or "") is not None and parts.port != 0
    except ValueError:
        return False


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return False
    return True


FORMATS: Final[dict[str, Callable[[str], bool]]] = {
    "Email": is_email,
    "Url": _is_url,
    "Uuid": lambda text: _uuid(text) is not None,
    JSON: _is_json,
    "Markdown": lambda _text: True,
    "Color": lambda text: _color(text) is not None,
}
"""By name: whether a stored text has the format."""


def has_format(format: str, text: str) -> bool:
    """Whether a stored text has a format."""
    return FORMATS[format](text)


def json_value(text: str) -> msgspec.Raw | str:
    """The JSON value of a Json property as answers hold it; a text that is not JSON stays a text."""
    return _decode_raw(text) if _is_json(text) else text


def literal(value: object) -> object:
    """A value of a manifest as the JSON decoder gives it: fractions keep their digits."""
    return JsonNumber(repr(value)) if type(value) is float else value


def is_admitted(property: Property) -> Callable[[object], bool]:
    """Whether a stored value, of any driver, is one of ``values``."""
    if property.type is PropertyType.Number:
        numbers = {Decimal(str(value)) for value in property.values}
        return lambda value: Decimal(str(value)) in numbers
    texts = set(property.values)
    return lambda value: value in texts


def restricted(
    property: Property, read: Callable[[object], Any], refuse: Callable[[str], NoReturn]
) -> Callable[[object], Any]:
    """``read`` with the checks of ``values`` and ``format``. Null stays null."""
    if property.format == JSON:
        return lambda value: None if value is None else read(json_text(value))
    message = f"The value must be one of: {', '.join(map(str, property.values))}"
    if not property.values:
        message = f"The value provided does not have the format {property.format}"
    admitted = {read(literal(value)) for value in property.values}
    fits = admitted.__contains__ if admitted else FORMATS[property.format or "Markdown"]

    def checked(value: object) -> Any:
        stored = read(value)
        if stored is not None and not fits(stored):
            refuse(message)
        return stored

    if not (admitted and property.format):
        return checked
    with_format = FORMATS[property.format]

    def checked_twice(value: object) -> Any:
        stored = checked(value)
        if stored is not None and not with_format(stored):
            refuse(f"The value provided does not have the format {property.format}")
        return stored

    return checked_twice
