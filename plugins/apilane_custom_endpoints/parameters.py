"""Reads the callers' values for the marks of an endpoint, as values to bind. No I/O.

A mark that the manifest declares with a type refuses a value that cannot be read. A mark without a type is a 64-bit
integer, and an unreadable value is null, as on the wire.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import SequenceMatcher
from typing import Final

from apilane.plugin import (
    Actor,
    ApilaneError,
    Code,
    Dialect,
    Parameter,
    Value,
    is_storable_text,
    parse_date,
    parse_number,
    trim,
    unauthorized,
)

__all__ = [
    "OWNER_DIFFERENTIATION",
    "RESERVED",
    "Reader",
    "described",
    "lookalikes",
    "readers",
    "server_values",
    "unreadable",
]

OWNER: Final = "Owner"
OWNER_DIFFERENTIATION: Final = "Owner_Differentiation"
RESERVED: Final = (OWNER, OWNER_DIFFERENTIATION)
"""Marks that the server fills."""

SIMILAR: Final = 0.85

Reader = Callable[[str], Value]

_INT64: Final = range(-(2**63), 2**63)
_DIGITS_MAX: Final = 18
_is_integer = re.compile(r"[+-]?[0-9]{1,40}", re.ASCII).fullmatch

_EXPECTED: Final = {
    "Number": "Invalid number",
    "Boolean": "Invalid boolean",
    "Date": "The value provided is not a valid unix timestamp or date in format yyyy-MM-dd HH:mm:ss.fff",
}
_UNSTORABLE: Final = "contains a NUL character or half of a surrogate pair, which databases cannot store"

_BOOLEANS: Final = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}


_SCHEMAS: Final = {
    "": {"type": "integer", "format": "int64"},
    "Number": {"type": "number"},
    "Boolean": {"type": "boolean"},
    "Date": {"type": ["integer", "string"]},
    "String": {"type": "string"},
}
_TEXTS: Final = {"Date": "Unix milliseconds, or a text such as 2026-03-01."}


def described(name: str, type: str) -> Parameter:
    """The description of a parameter, by its type in the manifest."""
    return Parameter(name=name, type=_SCHEMAS[type], text=_TEXTS.get(type, ""))


def readers(dialect: Dialect) -> Mapping[str, Reader]:
    """Functions that read the text of a parameter, by its type in the manifest; '' for an undeclared one."""

    def read_boolean(text: str) -> Value:
        value = _BOOLEANS.get(trim(text).lower())
        return value if value is None else dialect.encode_boolean(value)

    def read_number(text: str) -> Value:
        number = parse_number(text)
        if number is None or isinstance(number, int):
            return number
        if number.adjusted() > _DIGITS_MAX:  # before any arithmetic, which is slow for 1e999999999
            return None
        if number == number.to_integral_value():
            return int(number) if int(number) in _INT64 else None
        encoded = dialect.encode_decimal(number)
        return encoded if not isinstance(encoded, float) or math.isfinite(encoded) else None

    return {"": _integer, "Number": read_number, "Boolean": read_boolean, "Date": parse_date, "String": _text}


def _text(text: str) -> str | None:
    """The text; None when a provider cannot store it, such as NUL."""
    return text if is_storable_text(text) else None


def _integer(text: str) -> int | None:
    text = trim(text)
    if _is_integer(text) is None:
        return None
    value = int(text)
    return value if value in _INT64 else None


def lookalikes(names: Iterable[str]) -> list[str]:
    """The problems of marks that a reader takes for one that the server fills. A caller would choose their values."""
    found = []
    for name in names:
        for reserved in RESERVED:
            plain, wanted = (text.replace("_", "").lower() for text in (name, reserved))
            is_close = reserved == OWNER_DIFFERENTIATION and SequenceMatcher(None, plain, wanted).ratio() > SIMILAR
            if name not in RESERVED and (plain == wanted or is_close):
                text = f"the mark {{{name}}} looks like {{{reserved}}}, but the caller would choose its value; "
                found.append(f"{text}write {{{reserved}}}, or another name")
    return found


def unreadable(name: str, type: str, endpoint: str) -> ApilaneError:
    """The error for a value that cannot be read as the type that the manifest declares."""
    if type == "String":
        message = f"Invalid text: the parameter {name} {_UNSTORABLE}"
    else:
        message = f"{_EXPECTED[type]}: the parameter {name} is a {type}"
    return ApilaneError(Code.VALIDATION, message, property=name, entity=endpoint)


def server_values(names: frozenset[str], actor: Actor, endpoint: str) -> dict[str, Value]:
    """Values of the marks that the server fills.

    Raises UNAUTHORIZED for ``{Owner}`` of an anonymous caller and of a program without a user.
    """
    values: dict[str, Value] = {}
    if OWNER in names:
        if actor.user_id is None and actor.kind != "operator":
            raise unauthorized(endpoint)
        values[OWNER] = actor.user_id
    if OWNER_DIFFERENTIATION in names:
        values[OWNER_DIFFERENTIATION] = actor.tenant
    return values
