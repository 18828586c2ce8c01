"""Answers of wire calls: bytes, a file, or a stream of chunks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from msgspec import Struct

from apilane.errors import Code

__all__ = ["EXPOSED_HEADERS", "JSON", "PLAIN", "FileBody", "Header", "Reply"]

Header = tuple[bytes, bytes]
EXPOSED_HEADERS = "x-auth-token-id, retry-after, content-disposition"
"""The headers of an answer that scripts of other origins may read."""
CORS: tuple[Header, ...] = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", EXPOSED_HEADERS.encode()),
)
PLAIN = CORS
"""Common headers of an answer without a body, or with a content type in ``headers``."""
JSON = (*CORS, (b"content-type", b"application/json; charset=utf-8"))
"""Common headers of an answer in JSON."""


class FileBody(Struct, frozen=True):
    """A part of a file as the body of an answer; units are bytes. ``length`` None: up to the end of the file."""

    path: Path
    offset: int = 0
    length: int | None = None


class Reply(Struct, gc=False):
    """An answer. ``headers`` come after ``common``, which is CORS and the content type.

    A ``body`` of chunks is closed when the client disconnects. When a later chunk fails, the connection is closed.
    """

    body: bytes | FileBody | AsyncIterator[bytes]
    status: int = 200
    headers: tuple[Header, ...] = ()
    common: tuple[Header, ...] = JSON
    code: Code | None = None
    """The code of an error answer, for observers. The server sets it."""
