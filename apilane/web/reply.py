"""Answers as ASGI messages: prebuilt headers, one body message."""

from __future__ import annotations

from msgspec import Struct

from apilane.errors import ApilaneError
from apilane.web.call import BodyTooLarge, Send

__all__ = ["JSON", "Reply", "error_reply", "send_reply"]

Headers = list[tuple[bytes, bytes]]

CORS = (b"access-control-allow-origin", b"*")
CORS_EXPOSE = (b"access-control-expose-headers", b"x-auth-token-id, retry-after, content-disposition")
JSON = (b"content-type", b"application/json; charset=utf-8")


class Reply(Struct, gc=False):
    """An answer. ``headers`` come on top of content type, length and CORS."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content_type: tuple[bytes, bytes] | None = JSON


async def send_reply(send: Send, reply: Reply) -> None:
    """Write an answer."""
    body = reply.body
    headers: Headers = [(b"content-length", b"%d" % len(body)), CORS, CORS_EXPOSE, *reply.headers]
    if reply.content_type is not None:
        headers.append(reply.content_type)
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def error_reply(error: ApilaneError) -> Reply:
    """The standard body of an error with its status."""
    close = ((b"connection", b"close"),) if isinstance(error, BodyTooLarge) else ()
    return Reply(error.body(), error.status, close)


def preflight(requested_headers: bytes | None) -> Reply:
    """The answer to a CORS preflight: any origin, method and header, no credentials.

    The asked-for headers are repeated because ``*`` does not cover ``Authorization``.
    """
    headers: Headers = [
        (b"access-control-allow-methods", b"GET, POST, PUT, DELETE, OPTIONS"),
        (b"access-control-allow-headers", requested_headers or b"*"),
        (b"access-control-max-age", b"86400"),
    ]
    return Reply(b"", 204, tuple(headers), None)
