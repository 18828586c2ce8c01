"""Request bodies: read whole or as a stream, with limits of size and time. The memory for whole bodies is limited
too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from apilane.errors import ApilaneError, Code
from apilane.settings import Settings
from apilane.storage.patience import Patience

__all__ = ["Bodies", "BodyTooLarge", "BrokenBody", "NoRoomForBody", "Receive", "announces_body", "drain", "linger"]

LENGTH_DIGITS_MAX = 20
"""Longer numbers are cut off, because Python is slow with very long ones."""
DRAIN_MAX_BYTES = 1_048_576
DRAIN_TIMEOUT_S = 5.0
"""Limits for reading a refused body. It is read so that the client has sent all of it and then reads the answer."""
LINGER_MAX_BYTES = 67_108_864
LINGER_TIMEOUT_S = 30.0
LINGER_STEP_BYTES = 65_536
LINGER_STEP_S = 2.0
"""Limits for reading the rest after the answer: size, seconds in total, and the least speed as bytes per seconds."""

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class BodyTooLarge(ApilaneError):
    """The body is over the limit: answered as ERROR, and the connection is closed (docs/reference/protocol/errors.md
    section 1.4). ``announced``: the size that the headers say; None: more than the limit has arrived.
    """

    def __init__(self, max_bytes: int, announced: str | None = None) -> None:
        size = f"more than {max_bytes}" if announced is None else announced
        super().__init__(Code.ERROR, f"Something went wrong: the body has {size} bytes, and the limit is {max_bytes}")


class BrokenBody(ApilaneError):
    """The body did not arrive whole: malformed, too slow, or the client disconnected. The connection is closed."""

    def __init__(self) -> None:
        super().__init__(Code.ERROR, "The request body did not arrive")


class NoRoomForBody(ApilaneError):
    """The memory for arriving bodies is full. The connection is closed."""

    def __init__(self) -> None:
        super().__init__(Code.SERVICE_UNAVAILABLE)


class Bodies:
    """Reads the bodies of one process. ``arriving_bytes``: the size of the received parts of incomplete bodies.

    A body that arrives in one message is not counted; nearly all do.
    """

    __slots__ = ("_arriving_max_bytes", "_max_bytes", "_patience", "_timeout_s", "arriving_bytes")

    def __init__(self, settings: Settings) -> None:
        self._max_bytes = settings.json_body_max_bytes
        self._timeout_s = settings.body_timeout_s
        self._patience = Patience(settings.body_timeout_s)
        self._arriving_max_bytes = settings.bodies_max_bytes
        self.arriving_bytes = 0

    async def read(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        """The whole body. Raises ``BodyTooLarge``, ``BrokenBody`` or ``NoRoomForBody``.

        A body with a declared length is complete when that many bytes have arrived. Waiting for granian's final message
        would cost 40 us per request.
        """
        declared = headers.get(b"content-length", b"")
        length = int(declared[:LENGTH_DIGITS_MAX]) if declared.isdigit() else None
        if length is not None:
            if length > self._max_bytes:
                raise BodyTooLarge(self._max_bytes, _size(declared))
            if len(declared) > LENGTH_DIGITS_MAX or b"transfer-encoding" in headers:
                length = None  # cut off, or meaningless beside transfer-encoding (RFC 9112, 6.3)
        try:
            with self._patience:
                message = await receive()
                if message["type"] == "http.request":
                    body: bytes = message.get("body", b"")
                    if len(body) == length or not message.get("more_body"):
                        if len(body) > self._max_bytes:
                            raise BodyTooLarge(self._max_bytes)
                        return body
                return await self._read_parts(message, receive, length)
        except TimeoutError:
            raise BrokenBody from None

    async def _read_parts(self, message: MutableMapping[str, Any], receive: Receive, length: int | None) -> bytes:
        """Read into one buffer: a list of parts of two bytes takes over 20 times the memory of the body."""
        buffer = bytearray()
        try:
            while True:
                if message["type"] != "http.request":
                    raise BrokenBody
                part: bytes = message.get("body", b"")
                if len(buffer) + len(part) > self._max_bytes:
                    raise BodyTooLarge(self._max_bytes)
                if self.arriving_bytes + len(part) > self._arriving_max_bytes:
                    raise NoRoomForBody
                self.arriving_bytes += len(part)
                buffer += part
                if len(buffer) == length or not message.get("more_body"):
                    return bytes(buffer)
                message = await receive()
        finally:
            self.arriving_bytes -= len(buffer)

    async def stream(self, headers: Mapping[bytes, bytes], receive: Receive, max_bytes: int) -> AsyncIterator[bytes]:
        """The body as it arrives. ``body_timeout_s`` is the time limit of each part. Raises the errors of ``read``."""
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and (len(declared) > LENGTH_DIGITS_MAX or int(declared) > max_bytes):
            raise BodyTooLarge(max_bytes, _size(declared))
        seen = 0
        more = True
        while more:
            try:
                async with asyncio.timeout(self._timeout_s):
                    message = await receive()
            except TimeoutError:
                raise BrokenBody from None
            if message["type"] != "http.request":
                raise BrokenBody
            part: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            seen += len(part)
            if seen > max_bytes:
                raise BodyTooLarge(max_bytes)
            if part:
                yield part


def _size(declared: bytes) -> str | None:
    """A declared length as a message repeats it; None for one that is too long."""
    return declared.decode() if len(declared) <= LENGTH_DIGITS_MAX else None


def announces_body(headers: Mapping[bytes, bytes]) -> bool:
    """Whether the headers of an HTTP/1 request say that a body follows (RFC 9112, 6.3)."""
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers


async def drain(receive: Receive) -> bool:
    """Read and drop the rest of a body. False: the rest exceeds the limits, or the client disconnected.

    A client that is still sending when the connection closes gets a reset and cannot read the answer.
    """
    seen = 0
    try:
        async with asyncio.timeout(DRAIN_TIMEOUT_S):
            while seen <= DRAIN_MAX_BYTES:
                message = await receive()
                if message["type"] != "http.request":
                    return False
                if not message.get("more_body"):
                    return True
                seen += len(message.get("body", b""))
    except TimeoutError:
        pass
    return False


async def linger(receive: Receive) -> None:
    """Read and drop what a client still sends after the answer, until it disconnects, slows down or a limit is reached.

    Closing at once would reset the connection, and many clients drop the answer then: a broken pipe (EPIPE).
    """
    seen = 0
    try:
        async with asyncio.timeout(LINGER_TIMEOUT_S):
            while seen <= LINGER_MAX_BYTES:
                step_end = seen + LINGER_STEP_BYTES
                async with asyncio.timeout(LINGER_STEP_S):
                    while seen < step_end:
                        message = await receive()
                        if message["type"] != "http.request" or not message.get("more_body"):
                            return
                        seen += len(message.get("body", b""))
    except TimeoutError:
        pass
