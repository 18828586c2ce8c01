"""Many calls on one connection, sent without waiting for each answer (HTTP/1.1 pipelining).

For tests with tens of thousands of calls, where a client that waits costs more than the server. Answers come in the
order of the requests. The reader supports only the answers of this server: a ``Content-Length`` and a JSON body.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

__all__ = ["Pipeline", "Request"]

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Request(NamedTuple):
    """One call; ``target`` is path and query below ``/api/``, ``body`` is sent as JSON."""

    method: str
    target: str
    body: Any = None


class Pipeline:
    """A connection to one application of the server at ``url``. ``calls``: the number of answered calls."""

    def __init__(self, url: str, application: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._socket = socket.create_connection((parts.hostname, parts.port or 80), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = f"Host: {parts.netloc}\r\nx-application-token: {application}\r\n"
        self._buffer = b""
        self.calls = 0

    def ask(self, token: str | None, requests: Sequence[Request], *, portal: bool = False) -> list[tuple[int, Any]]:
        """Status and decoded body of each request; ``token`` None: anonymous; ``portal``: the token is an owner's."""
        head = self._head if token is None else f"{self._head}Authorization: Bearer {token}\r\n"
        if portal:
            head += "x-client-id: portal\r\n"
        self._socket.sendall(b"".join(_bytes(head, request) for request in requests))
        self.calls += len(requests)
        return [self._answer() for _ in requests]

    def _answer(self) -> tuple[int, Any]:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            self._read()
        head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
        length = _LENGTH.search(head)
        assert length is not None, head
        while len(self._buffer) < int(length[1]):
            self._read()
        body, self._buffer = self._buffer[: int(length[1])], self._buffer[int(length[1]) :]
        return int(head[9:12]), json.loads(body)

    def _read(self) -> None:
        received = self._socket.recv(1 << 20)
        assert received, "the server hung up"
        self._buffer += received

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def _bytes(head: str, request: Request) -> bytes:
    start = f"{request.method} /api/{request.target} HTTP/1.1\r\n{head}"
    if request.body is None:
        return f"{start}\r\n".encode()
    body = json.dumps(request.body)
    return f"{start}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
