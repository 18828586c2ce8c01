"""The end of a body: by its declared length, otherwise by the server's last message."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from apilane.settings import Settings
from apilane.web.bodies import Bodies, BodyTooLarge, BrokenBody

CUT = {"type": "http.disconnect"}


def _part(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def _read(headers: dict[bytes, bytes], *messages: dict[str, Any], most: int = 100) -> tuple[bytes, int]:
    """The body, and the number of messages that were read."""
    asked = 0

    async def receive() -> MutableMapping[str, Any]:
        nonlocal asked
        asked += 1
        return messages[asked - 1]

    async def scenario() -> bytes:
        bodies = Bodies(Settings(json_body_max_bytes=most))
        body = await bodies.read(headers, receive)
        assert bodies.arriving_bytes == 0
        return body

    return asyncio.run(scenario()), asked


@pytest.mark.parametrize("parts", [(b"12345",), (b"12", b"345"), (b"", b"1", b"2345")])
def test_declared_length(parts: tuple[bytes, ...]) -> None:
    """A body with a declared length is complete with its last byte, and no further message is read."""
    assert _read({b"content-length": b"5"}, *map(_part, parts)) == (b"12345", len(parts))


@pytest.mark.parametrize(
    "headers",
    [{}, {b"content-length": b"2", b"transfer-encoding": b"chunked"}, {b"content-length": b"0" * 20 + b"2"}],
)
def test_undeclared_length(headers: dict[bytes, bytes]) -> None:
    """Without a length, or with chunks that override it, a body ends with the server's last message."""
    assert _read(headers, _part(b"12"), _part(b"345"), _part(b"", more=False)) == (b"12345", 3)


def test_shorter_than_declared() -> None:
    """A body shorter than declared is accepted when the server marks it as complete, and refused when the client
    disconnected.
    """
    assert _read({b"content-length": b"5"}, _part(b"12"), _part(b"", more=False)) == (b"12", 2)
    with pytest.raises(BrokenBody):
        _read({b"content-length": b"5"}, _part(b"12"), CUT)


@pytest.mark.parametrize("length", [b"101", b"5", b""])
def test_too_large(length: bytes) -> None:
    """A body over the limit is refused by its declared length, or by its bytes when the length is missing or wrong."""
    with pytest.raises(BodyTooLarge):
        _read({b"content-length": length}, _part(b"x" * 50), _part(b"x" * 51), _part(b"", more=False))
