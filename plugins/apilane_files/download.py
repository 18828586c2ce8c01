"""Sends the content of a file: whole, a range of it, or only that it has not changed.

Nothing that a user uploaded runs as a page of this server: every content is an attachment, browsers may not guess its
type (``nosniff``), and a sandbox policy applies where one is shown all the same.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Final

from apilane.plugin import PLAIN, ApilaneError, Code, FileContent, Header, Reply
from apilane_files.media_types import HEAD_BYTES, media_type
from apilane_files.names import attachment

__all__ = ["FOREVER", "content_reply"]

FOREVER: Final = 31_536_000
"""Seconds that a client may keep a content; a UID never gets another one."""
SAFE: Final[tuple[Header, ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),
    (b"referrer-policy", b"no-referrer"),
    (b"accept-ranges", b"bytes"),
    (b"vary", b"authorization, x-application-token, x-client-id"),
)
JSON_TYPE: Final = b"application/json; charset=utf-8"

_range = re.compile(rb"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*").fullmatch


async def content_reply(content: FileContent, name: str, uid: str, headers: Mapping[bytes, bytes], cache: str) -> Reply:
    """The answer for a file that the caller may read. It closes ``content``.

    ``headers``: of the request. ``cache``: the value of ``Cache-Control``.
    """
    try:
        tag = f'"{uid}"'.encode()
        common = (*PLAIN, *SAFE, (b"etag", tag), (b"cache-control", cache.encode()))
        if _is_known(headers.get(b"if-none-match", b""), tag):
            await content.close()
            return Reply(b"", 304, (), common)
        asked = headers.get(b"range", b"") if headers.get(b"if-range", tag) == tag else b""
        part = _part(asked, content.size)
        if part is not None and part[0] >= part[1]:
            await content.close()
            error = ApilaneError(Code.ERROR, f"The range is outside of the file, which has {content.size} bytes")
            unfit: tuple[Header, ...] = (
                (b"content-type", JSON_TYPE),
                (b"content-range", b"bytes */%d" % content.size),
            )
            return Reply(error.body(), 416, unfit, PLAIN)
        start, end = part or (0, content.size)
        head = b"".join([chunk async for chunk in content.read(0, HEAD_BYTES)])
        sent: list[Header] = [
            (b"content-type", media_type(name, head).encode("latin-1")),
            (b"content-disposition", attachment(name)),
            (b"content-length", b"%d" % (end - start)),
        ]
        if part is not None:
            sent.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, content.size)))
        return Reply(_chunks(content, start, end - start), 200 if part is None else 206, tuple(sent), common)
    except BaseException:
        await content.close()
        raise


async def _chunks(content: FileContent, offset: int, length: int) -> AsyncIterator[bytes]:
    try:
        async for chunk in content.read(offset, length):
            yield chunk
    finally:
        await content.close()


def _is_known(header: bytes, tag: bytes) -> bool:
    """Whether ``If-None-Match`` has the tag; a weak comparison (RFC 9110, 13.1.2)."""
    return header.strip() == b"*" or tag in [each.strip().removeprefix(b"W/") for each in header.split(b",")]


def _part(header: bytes, size: int) -> tuple[int, int] | None:
    """Start and end of the range in a header; empty for one outside of the content.

    None, which means the whole content: no range, several ranges, or one that is not understood (RFC 9110, 14.2).
    """
    found = _range(header)
    if found is None or found[1] + found[2] == b"":
        return None
    if not found[1]:
        return max(0, size - int(found[2])), size
    start = int(found[1])
    if found[2] and int(found[2]) < start:
        return None
    return start, min(size, int(found[2]) + 1) if found[2] else size
