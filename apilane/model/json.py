"""JSON from callers: strict reading that keeps the exact text of fractions, and exact writing of the values read.

``MalformedJson`` is raised for bodies that count as missing (B-E7). This module does not use entities.
"""

from __future__ import annotations

import re

import msgspec

__all__ = ["INT_DIGITS_MAX", "MAX_DEPTH", "JsonNumber", "MalformedJson", "decode_json", "encode_json", "json_text"]

MAX_DEPTH = 100
"""Levels of nested arrays and objects."""


class MalformedJson(ValueError):
    """The bytes are not JSON as defined in docs/reference/protocol/wire-api.md section 1.1 and B-E7."""


class JsonNumber(msgspec.Struct, frozen=True, gc=False):
    """A JSON number with a point or an exponent; ``text`` is the exact text that was sent."""

    text: str


encode_json = msgspec.json.Encoder(decimal_format="number").encode
"""The encoder of all answers: UTF-8 JSON, decimals as numbers."""

INT_DIGITS_MAX = 4300
"""Python's limit for converting text to integers, whose time grows with the square of the digits."""
_MARK = "e0"

_decode = msgspec.json.Decoder(float_hook=JsonNumber).decode
_decode_marked = msgspec.json.Decoder(
    float_hook=lambda text: JsonNumber(text.removesuffix(_MARK) if len(text) > INT_DIGITS_MAX else text)
).decode
_long_integers = re.compile(rb"(?<![0-9])[0-9]{%d,}+(?![.eE])" % (INT_DIGITS_MAX + 1)).finditer
_encode = msgspec.json.Encoder().encode


def decode_json(body: bytes) -> object:
    """The value of a JSON text: dict, list, str, int, ``JsonNumber``, bool or None. If a key is
    repeated, its last value is used.

    An integer of more than ``INT_DIGITS_MAX`` digits becomes a ``JsonNumber``. Raises ``MalformedJson`` for bad syntax,
    NaN, invalid UTF-8, lone surrogates, nesting over ``MAX_DEPTH`` and an empty text.
    """
    try:
        try:
            value: object = _decode(body)
        except msgspec.ValidationError:  # an integer has too many digits; a decoder without a type checks nothing else
            value = _decode_marked(_marked(body))
    except RecursionError as error:
        raise MalformedJson(f"nested deeper than {MAX_DEPTH}") from error
    except UnicodeDecodeError as error:
        raise MalformedJson("it is not UTF-8") from error
    except msgspec.DecodeError as error:
        raise MalformedJson(str(error)) from error
    # Only texts with many brackets can be deep. Most texts have one bracket; for them the count (0.5 us) is skipped.
    is_flat = body.find(b"{", 1) < 0 and body.find(b"[", 1) < 0
    if not is_flat and body.count(b"[") + body.count(b"{") > MAX_DEPTH and _depth_exceeds(value, MAX_DEPTH):
        raise MalformedJson(f"nested deeper than {MAX_DEPTH}")
    return value


def _marked(body: bytes) -> bytes:
    """``body`` with an exponent after each integer that is too long, so that it is read like a fraction, as text.

    Digits are outside of a string when an even number of quotes precedes them. The time grows with the size only.
    """
    pieces: list[bytes] = []
    start, is_inside = 0, False
    for found in _long_integers(body):
        before = body[start : found.start()]
        bare = before.replace(b"\\\\", b"").replace(b'\\"', b"")
        is_inside ^= bare.count(b'"') % 2 == 1
        pieces += [before, found[0]]
        if not is_inside and not before.endswith((b"+", b"e", b"E", b"e-", b"E-")):
            pieces.append(_MARK.encode())
        start = found.end()
    return b"".join([*pieces, body[start:]])


def _depth_exceeds(value: object, limit: int) -> bool:
    """Check level by level, without recursion."""
    level = [value] if type(value) in {dict, list} else []
    for _ in range(limit):
        children = [child for outer in level for child in (outer.values() if type(outer) is dict else outer)]  # type: ignore[attr-defined]
        level = [child for child in children if type(child) is dict or type(child) is list]
        if not level:
            return False
    return True


def json_text(value: object) -> str:
    """The compact JSON text of a decoded value, with fractions as they were sent and integers of any size."""
    if isinstance(value, JsonNumber):
        return value.text
    if type(value) is int:
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join([f"{json_text(key)}:{json_text(item)}" for key, item in value.items()]) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    return _encode(value).decode()
