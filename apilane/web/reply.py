"""Answers as ASGI messages: prebuilt headers, one body message."""

from __future__ import annotations

from msgspec import Struct

from apilane.errors import ApilaneError, RateLimitedError
from apilane.web.bodies import BodyTooLarge, BrokenBody, NoRoomForBody
from apilane.web.call import Send

__all__ = ["JSON", "NO_CONTENT", "Reply", "error_reply", "send_reply"]

Headers = list[tuple[bytes, bytes]]

CORS = (b"access-control-allow-origin", b"*")
CORS_EXPOSE = (b"access-control-expose-headers", b"x-auth-token-id, retry-after, content-disposition")
NO_CONTENT = (CORS, CORS_EXPOSE)
JSON = (CORS, CORS_EXPOSE, (b"content-type", b"application/json; charset=utf-8"))


class Reply(Struct, gc=False):
    """An answer. ``headers`` come on top of ``common``, which is CORS and the content type."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()
    common: tuple[tuple[bytes, bytes], ...] = JSON


async def send_reply(send: Send, reply: Reply) -> None:
    """Write an answer. Its length is left to the server, as granian adds it anyway: a header of ours takes 2 us."""
    headers: Headers = [*reply.common, *reply.headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def error_reply(error: ApilaneError) -> Reply:
    """The standard body of an error with its status."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if isinstance(error, (BodyTooLarge, BrokenBody, NoRoomForBody)):
        headers = ((b"connection", b"close"),)
    elif isinstance(error, RateLimitedError):
        headers = ((b"retry-after", b"%d" % error.retry_after_s),)
    return Reply(error.body(), error.status, headers)


def preflight(requested_headers: bytes | None) -> Reply:
    """The answer to a CORS preflight: any origin, method and header, no credentials.

    The asked-for headers are repeated because ``*`` does not cover ``Authorization``.
    """
    headers: Headers = [
        (b"access-control-allow-methods", b"GET, POST, PUT, DELETE, OPTIONS"),
        (b"access-control-allow-headers", requested_headers or b"*"),
        (b"access-control-max-age", b"86400"),
    ]
    return Reply(b"", 204, tuple(headers), NO_CONTENT)
