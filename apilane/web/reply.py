"""Sends answers as ASGI messages: prebuilt headers, and a body of bytes, of a file or of chunks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import IO

from apilane.errors import ApilaneError, RateLimitedError
from apilane.plugin.replies import PLAIN, FileBody, Header, Reply
from apilane.web.bodies import BodyTooLarge, BrokenBody, NoRoomForBody
from apilane.web.call import Send

__all__ = ["CLOSE", "error_reply", "preflight", "send_reply"]

CLOSE: Header = (b"connection", b"close")
CHUNK_BYTES = 65_536


async def send_reply(send: Send, reply: Reply) -> None:
    """Send an answer. It has no content-length, because granian adds it; a header from here would cost 2 us."""
    headers: list[Header] = [*reply.common, *reply.headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if type(reply.body) is bytes:
        await send({"type": "http.response.body", "body": reply.body})
    else:
        await _send_chunks(send, reply.body)


async def _send_chunks(send: Send, body: bytes | FileBody | AsyncIterator[bytes]) -> None:
    """Send a body chunk by chunk; the source is closed even after an error."""
    chunks = _file_chunks(body) if isinstance(body, FileBody) else body
    assert not isinstance(chunks, bytes)  # noqa: S101 - send_reply sends bytes itself
    try:
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    finally:
        if (close := getattr(chunks, "aclose", None)) is not None:
            await close()
    await send({"type": "http.response.body", "body": b""})


async def _file_chunks(body: FileBody) -> AsyncIterator[bytes]:
    """Chunks of a part of a file, read in a thread."""
    file: IO[bytes] = await asyncio.to_thread(body.path.open, "rb")
    try:
        if body.offset:
            await asyncio.to_thread(file.seek, body.offset)
        left = body.length
        while left is None or left > 0:
            chunk = await asyncio.to_thread(file.read, CHUNK_BYTES if left is None else min(CHUNK_BYTES, left))
            if not chunk:
                return
            if left is not None:
                left -= len(chunk)
            yield chunk
    finally:
        await asyncio.to_thread(file.close)


def error_reply(error: ApilaneError) -> Reply:
    """The answer for an error: its standard body and status."""
    headers: tuple[Header, ...] = ()
    if isinstance(error, (BodyTooLarge, BrokenBody, NoRoomForBody)):
        headers = (CLOSE,)
    elif isinstance(error, RateLimitedError):
        headers = ((b"retry-after", b"%d" % error.retry_after_s),)
    return Reply(error.body(), error.status, headers)


def preflight(requested_headers: bytes | None) -> Reply:
    """The answer to a CORS preflight: any origin, method and header, no credentials.

    The requested headers are repeated because ``*`` does not cover ``Authorization``.
    """
    headers = (
        (b"access-control-allow-methods", b"GET, POST, PUT, DELETE, OPTIONS"),
        (b"access-control-allow-headers", requested_headers or b"*"),
        (b"access-control-max-age", b"86400"),
    )
    return Reply(b"", 204, headers, PLAIN)
