"""Sends answers as ASGI messages: prebuilt headers, and a body of bytes, of a file or of chunks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, MutableMapping
from typing import IO, Any

from apilane.errors import ApilaneError, DatabaseBusyError, RateLimitedError
from apilane.plugin.replies import PLAIN, FileBody, Header, Reply
from apilane.web.bodies import BodyTooLarge, BrokenBody, NoRoomForBody, linger
from apilane.web.call import Receive, Send

__all__ = ["CLOSE", "UnfitReply", "error_reply", "holding_back", "preflight", "send_last", "send_reply", "without_body"]

CLOSE: Header = (b"connection", b"close")
CHUNK_BYTES = 65_536
STALLED_S = 60.0
"""How long a client may read nothing of a streamed answer. The source of the stream stays open for that time."""
log = logging.getLogger("apilane.web")


class UnfitReply(Exception):
    """A reply that cannot be sent; raised before its first byte. The text says what is wrong, for the log."""


async def send_reply(send: Send, reply: Reply) -> None:
    """Send an answer. The server adds its length: granian does so anyway, and a header of ours takes 2 us.

    Raises UnfitReply before anything was sent. A body of chunks that fails later raises its own failure, which closes
    the connection.
    """
    body = reply.body
    if reply.headers or type(body) is not bytes:
        _check_headers(reply)
    chunks = None if type(body) is bytes else await _begin(body)
    headers: list[Header] = [*reply.common, *reply.headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if chunks is None:
        await send({"type": "http.response.body", "body": body})
    else:
        await _send_chunks(send, *chunks)


async def send_last(send: Send, reply: Reply, receive: Receive) -> None:
    """Send an answer that closes the connection to a client that may still be sending."""
    if type(reply.body) is bytes:
        reply.headers = (*reply.headers, (b"content-length", b"%d" % len(reply.body)))
    await send_reply(holding_back(send, receive), reply)


def holding_back(send: Send, receive: Receive) -> Send:
    """``send``, but the last byte is held until the client has sent everything, or sends nothing more (``linger``).

    hyper, below granian, closes the connection with the last byte, and a client that is still sending then drops the
    answer.
    """

    async def send_held(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body"):
            body = message.get("body", b"")
            await send({"type": "http.response.body", "body": body[:-1], "more_body": True})
            await linger(receive)
            message = {"type": "http.response.body", "body": body[-1:]}
        await send(message)

    return send_held


def _check_headers(reply: Any) -> None:
    """Bytes without line breaks, as names and values; hyper, below granian, ends a worse answer without a reason."""
    try:
        fit = all(
            isinstance(name, bytes) and isinstance(value, bytes) and not {10, 13, 0} & {*name, *value}
            for name, value in (*reply.common, *reply.headers)
        )
    except (TypeError, ValueError):
        fit = False
    if not fit:
        raise UnfitReply(f"the headers {reply.headers!r} are not pairs of bytes without line breaks")


async def _begin(body: object) -> tuple[bytes, AsyncIterator[bytes]]:
    """The first chunk of a body and the rest, so that a body that cannot begin is still answered with an error."""
    if isinstance(body, FileBody):
        chunks = _file_chunks(body)
    elif isinstance(body, AsyncIterator):
        chunks = body
    else:
        raise UnfitReply(f"the body is {type(body).__name__}; expected bytes, a FileBody or an asynchronous iterator")
    try:
        first = await anext(chunks, b"")
    except Exception as error:
        raise UnfitReply(f"the body failed before its first chunk: {type(error).__name__}: {error}") from error
    if not isinstance(first, bytes):
        await _close(chunks)
        raise UnfitReply(f"the body gives chunks of {type(first).__name__}; expected bytes")
    return first, chunks


async def _send_chunks(send: Send, first: bytes, chunks: AsyncIterator[bytes]) -> None:
    """Send chunk by chunk; the source is always closed."""
    try:
        await send({"type": "http.response.body", "body": first, "more_body": True})
        async for chunk in chunks:
            if not isinstance(chunk, bytes):
                raise TypeError(f"the body gives chunks of {type(chunk).__name__}; expected bytes")
            async with asyncio.timeout(STALLED_S):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except TimeoutError:
        log.warning("a client took no part of its answer for %g s; its connection is closed", STALLED_S)
        raise
    except Exception:
        log.exception("an answer of chunks failed half-way; its connection is closed")
        raise
    finally:
        await _close(chunks)
    await send({"type": "http.response.body", "body": b""})


async def _close(chunks: AsyncIterator[bytes]) -> None:
    if (close := getattr(chunks, "aclose", None)) is not None:
        await close()


async def _file_chunks(body: FileBody) -> AsyncIterator[bytes]:
    """Read a part of a file in threads, beside the event loop."""
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
    elif isinstance(error, (RateLimitedError, DatabaseBusyError)):
        headers = ((b"retry-after", b"%d" % error.retry_after_s),)
    return Reply(error.body(), error.status, headers, code=error.code)


async def without_body(reply: Reply) -> Reply:
    """The answer to HEAD: the headers of the answer to GET, with its length if that is known."""
    body, length = reply.body, None
    if isinstance(body, bytes):
        length = len(body)
    elif isinstance(body, FileBody):
        length = body.length
    else:
        await _close(body)
    if length is None or any(name.lower() == b"content-length" for name, _ in reply.headers):
        headers = reply.headers
    else:
        headers = (*reply.headers, (b"content-length", b"%d" % length))
    return Reply(b"", reply.status, headers, reply.common, reply.code)


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
