"""Describes calls before they are sent, and encodes their values. Nothing here sends anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, BinaryIO, Generic, TypeVar
from urllib.parse import quote, urlencode
from uuid import UUID

import httpx

__all__ = ["Call", "Credentials", "ParameterValue", "Record", "json_text", "read_json", "target_of"]

Record = dict[str, Any]
"""A record: its properties by their names in the schema. Dates are unix milliseconds, UTC."""

ParameterValue = str | bool | int | float | Decimal | date | UUID | None
"""A value of a custom endpoint's parameter; None: the parameter is not sent. A ``datetime`` needs a time zone."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user token and its ID, which signing needs. Store both to continue later. ``repr`` hides the token."""

    token: str = field(repr=False)
    token_id: int | None = None


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call. ``path``: below the base URL, without a query. ``read``: makes the result from an answer with
    ``status``.

    ``body``: a value to send as JSON, or bytes to send unchanged; None sends no body. ``file``: name and content of an
    upload. ``into``: an open file that takes the body of a successful answer in chunks, in place of the memory.
    ``source``: a body that is sent in parts.
    ``repeatable``: the call changes nothing, so it may be sent again. ``becomes``: the credentials of the client after
    this call.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], T] = field(repr=False)
    query: dict[str, Any] = field(default_factory=dict, repr=False)
    body: Any = field(default=None, repr=False)
    file: tuple[str, bytes | BinaryIO] | None = field(default=None, repr=False)
    into: BinaryIO | None = field(default=None, repr=False)
    source: bytes | BinaryIO | Iterable[bytes] | None = field(default=None, repr=False)
    status: int = 200
    repeatable: bool = False
    becomes: Callable[[T], Credentials | None] | None = field(default=None, repr=False)

    def content(self) -> bytes | None:
        """The body as it is sent."""
        if self.body is None or isinstance(self.body, bytes):
            return self.body
        return json_text(self.body).encode()


def target_of(call: Call[Any]) -> str:
    """Path and query. Every ambiguous character is percent-encoded. Keys with the value None are left out."""
    pairs = [(name, _query_text(value)) for name, value in call.query.items() if value is not None]
    return call.path + ("?" + urlencode(pairs, quote_via=quote, safe="") if pairs else "")


def _query_text(value: object) -> str:
    """A value in a query: text as it is, all else as in JSON without quotes. Raises as ``json_text``."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | int | float | dict | list):
        return json_text(value)
    return _wire_form(value)


def json_text(value: object) -> str:
    """Compact JSON. ``datetime`` with a time zone, ``date``, ``Decimal`` and ``UUID`` become text. Raises ValueError
    for NaN, infinity and a ``datetime`` without a time zone, and TypeError for other types.
    """
    return json.dumps(value, default=_wire_form, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _wire_form(value: object) -> str:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("A datetime needs a time zone, such as datetime.UTC: the server keeps points in time")
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "milliseconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError("NaN and infinity cannot be sent")
        return format(value, "f")
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"A value of type {type(value).__name__} cannot be sent")


def read_json(kind: type[T] | tuple[type[Any], ...], of: type[Any] | None = None) -> Callable[[httpx.Response], Any]:
    """A reader of JSON values of type ``kind``; ``of``: the type of list items. Raises ValueError for other types."""

    def read(response: httpx.Response) -> Any:
        value = response.json()
        fits = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
        if not fits or (of is not None and not all(isinstance(item, of) for item in value)):
            raise ValueError(f"unexpected JSON type: {type(value).__name__}")
        return value

    return read
