"""The data of one request to the wire protocol. Each part is read once, on first use. No checks are made here."""

from __future__ import annotations

import re
from binascii import a2b_qp
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from apilane.model.definition import Endpoint
from apilane.model.json import MalformedJson, decode_json
from apilane.plugin.call_records import RecordsView
from apilane.plugin.endpoints import EndpointAction
from apilane.plugin.identity import ANONYMOUS, Actor, Answered
from apilane.runtime.access import AccessPlan
from apilane.runtime.application import ApplicationRuntime, EntityRuntime
from apilane.security.signatures import SignatureHeaders
from apilane.web.bodies import Bodies, Receive

__all__ = ["Call", "Receive", "Scope", "Send", "parse_query"]

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

INT32 = range(-(2**31), 2**31)
INT64 = range(-(2**63), 2**63)
_NUMBER_LENGTH_MAX = 40


_incomplete_escape = re.compile(rb"%(?![0-9a-fA-F]{2})").search


def _decode(text: bytes) -> str:
    """Decode one name or value: ``+`` and percent escapes, with a replacement for invalid UTF-8.

    Quoted-printable text has ``=`` where URLs have ``%``, and the standard library decodes it in C: a filter with 90
    escapes takes 2.3 us. ``urllib.parse`` takes 12.6 us; it is used for malformed escapes only.
    """
    if b"+" in text:
        text = text.replace(b"+", b" ")
    if b"%" in text:
        if _incomplete_escape(text):
            text = unquote_to_bytes(text)
        else:
            text = a2b_qp(text.replace(b"=", b"=3D").replace(b"%", b"="))
    return text.decode("utf-8", "replace")


@lru_cache(512)  # calls use the same few names: 0.1 us instead of 0.6 us each
def _decode_lower(name: bytes) -> str:
    return _decode(name).lower()


_decode_typed = lru_cache(512)(_decode)


def parse_query(raw: bytes, decode_name: Callable[[bytes], str] = _decode_lower) -> Mapping[str, str]:
    """Query parameters by name, in lower case by default. If a parameter is repeated, its first value is used."""
    parameters: dict[str, str] = {}
    for pair in raw.split(b"&"):
        name, _, value = pair.partition(b"=")
        key = decode_name(name)
        if key and key not in parameters:
            parameters[key] = _decode(value) if b"%" in value or b"+" in value else value.decode("utf-8", "replace")
    return parameters


_parse_again = lru_cache(512)(parse_query)
"""Clients repeat the same queries. Decoding their escapes takes 3 to 7 us, a cache hit takes 0.2 us."""
_LENGTH_KEPT = 500


_is_host = re.compile(r"[A-Za-z0-9.-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?").fullmatch


class Call:
    """A request to the wire protocol; a ``CallView`` once it is admitted.

    ``entity`` and ``access`` are set when the route declares ``Data``, ``endpoint`` when it declares
    ``CustomEndpoint``.
    """

    __slots__ = (
        "_addresses",
        "_bodies",
        "_body",
        "_receive",
        "access",
        "actor",
        "answered",
        "application",
        "at_work",
        "client_address",
        "endpoint",
        "entity",
        "entity_name",
        "headers",
        "is_counted",
        "is_second_try",
        "is_streamed",
        "method",
        "query",
        "scope",
        "signature",
        "was_counted",
    )

    application: ApplicationRuntime
    entity: EntityRuntime
    access: AccessPlan
    client_address: str
    """The caller's IP address in canonical form, computed on first use (``client_addresses``)."""
    endpoint: tuple[Endpoint, EndpointAction]

    def __init__(self, scope: Scope, receive: Receive, bodies: Bodies, addresses: Callable[[Scope], str]) -> None:
        self.scope = scope
        self._receive = receive
        self._bodies = bodies
        self._addresses = addresses
        self._body: bytes | None = None
        self.method: str = scope["method"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        query: bytes = scope["query_string"]
        if b"%" in query and len(query) <= _LENGTH_KEPT:
            self.query: Mapping[str, str] = _parse_again(query)
        else:
            self.query = parse_query(query) if query else {}
        self.signature: SignatureHeaders | None = None
        self.actor: Actor = ANONYMOUS
        self.is_counted = False
        """The call is tried again after its uses were counted."""
        self.is_second_try = False
        """The call is tried again with a new definition; what was counted the first time is not counted again."""
        self.was_counted = False
        self.answered: Answered | None = None
        self.at_work: object = None
        """The registered object that failed during admission, for the log."""
        self.is_streamed = False
        """The body is read as a stream, so the call cannot be tried again."""
        self.entity_name: str | None = None
        """Schema name of the current entity, for errors of the database."""

    @property
    def records(self) -> RecordsView:
        """The records of ``entity``."""
        from apilane.web.call_records import CallRecords  # which uses the Data calls, and so this file

        return CallRecords(self)

    @property
    def raw_target(self) -> bytes:
        """Path and query exactly as on the request line."""
        scope = self.scope
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        query: bytes = scope["query_string"]
        return path + b"?" + query if query else path

    @property
    def last_part(self) -> str:
        """The last part of the path, without a trailing slash."""
        path: str = self.scope["path"]
        return path.rstrip("/").rpartition("/")[2]

    def typed_query(self) -> Mapping[str, str]:
        """Query parameters by name in the letter case of the request."""
        return parse_query(self.scope["query_string"], _decode_typed)

    def __getattr__(self, name: str) -> str:
        """Compute the address on first use, because most calls need none. Python calls this for unset attributes
        only."""
        if name == "client_address":
            self.client_address = self._addresses(self.scope)
            return self.client_address
        raise AttributeError(name)

    def base_url(self) -> str:
        """Scheme and host as the client sent them."""
        host = self.headers.get(b"host", b"").decode("latin-1")
        if not _is_host(host):
            host = "localhost"
        return f"{self.scope.get('scheme', 'http')}://{host}"

    def text(self, name: str) -> str | None:
        """A string parameter; an empty one counts as absent."""
        return self.query.get(name) or None

    def integer(self, name: str, default: int, bounds: range = INT32) -> int:
        """An integer parameter; the default when absent or not a number within ``bounds``."""
        value = self.query.get(name)
        if not value or len(value) > _NUMBER_LENGTH_MAX or "_" in value or not value.isascii():
            return default
        try:
            number = int(value)
        except ValueError:
            return default
        return number if number in bounds else default

    def boolean(self, name: str) -> bool:
        """A boolean parameter: ``true`` in any letter case; any other value is false."""
        return self.query.get(name, "").strip().lower() == "true"

    @property
    def has_body(self) -> bool:
        """Whether there is a body. HTTP/1 has headers for it (RFC 9112, 6.3); reading the body would take 12 us."""
        headers = self.headers
        return b"content-length" in headers or b"transfer-encoding" in headers or self.scope["http_version"] >= "2"

    async def body(self) -> bytes:
        """The raw body, read once. Raises ``ApilaneError`` when it exceeds a limit or does not arrive (``Bodies``)."""
        if self._body is None:
            self._body = await self._bodies.read(self.headers, self._receive) if self.has_body else b""
        return self._body

    def stream(self, max_bytes: int) -> AsyncIterator[bytes]:
        """The body as it arrives, once. Raises ``ApilaneError`` beyond ``max_bytes``, or when it arrives too slowly."""
        self.is_streamed = True
        return self._stream(max_bytes)

    async def _stream(self, max_bytes: int) -> AsyncIterator[bytes]:
        if self._body is not None:  # read by the check of its signature
            yield self._body
            return
        async for part in self._bodies.stream(self.headers, self._receive, max_bytes):
            yield part
        self._body = b""

    @property
    def is_body_read(self) -> bool:
        """Whether the body has been read to its end, whole or as a stream: nothing is left to be read."""
        return self._body is not None

    async def json(self) -> object | None:
        """The decoded body; None when it is missing, empty, ``null`` or not JSON
        (docs/reference/protocol/wire-api.md section 1.1).
        """
        body = await self.body()
        if not body:
            return None
        try:
            return decode_json(body)
        except MalformedJson:
            return None
