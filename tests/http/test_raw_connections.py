"""Long heads and half-closed connections, by raw sockets (docs/reference/protocol/wire-api.md section 1.1)."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from apilane.testing.client import Client
from apilane.testing.server import Server
from tests.http.conftest import NewClient
from tests.http.test_idempotency import MANIFEST, send, total

KIB = 1024


@pytest.fixture(scope="module")
def member(new_application: NewClient) -> Client:
    """A signed-in user of an application with payments."""
    return new_application(MANIFEST).signed_in("member")


def asked(server: Server, client: Client, line: str, more: str = "", body: bytes = b"", *, half: bool = False) -> bytes:
    """All bytes of the answer. ``half``: the client ends its sending side at once."""
    headers = "".join(f"{name}: {value}\r\n" for name, value in client.headers().items())
    head = f"{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}{more}\r\n"
    answer = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(head.encode() + body)
        if half:
            connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(65_536):
            answer += part
    return answer


def answer_of(raw: bytes) -> tuple[int, Any]:
    """Status, and the JSON of the body or None."""
    head, _, body = raw.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body) if body else None


@pytest.mark.parametrize("kib", [60, 63, 64, 65, 80, 127, 128, 129, 150, 200])
def test_long_targets(server: Server, member: Client, kib: int) -> None:
    """A target of up to 65,534 bytes is served; a longer one is refused by the HTTP server as documented: with 414 or
    431, and an empty body.
    """
    status, body = answer_of(asked(server, member, f"GET /api/Nope?x={'a' * kib * KIB}"))
    if kib < 64:
        assert (status, body["Code"]) == (404, "NOT_FOUND")
    else:
        assert (status in {414, 431}, body) == (True, None)


@pytest.mark.parametrize("kib", [60, 64, 127, 150, 200, 256])
def test_long_headers(server: Server, member: Client, kib: int) -> None:
    """A head of up to ``head_max_bytes`` is served, one of twice that size is refused with 431 and an empty body."""
    status, body = answer_of(asked(server, member, "GET /api/Nope", f"X-Long: {'a' * kib * KIB}\r\n"))
    if kib < 128:
        assert (status, body["Code"]) == (404, "NOT_FOUND")
    elif kib == 256:
        assert (status, body) == (431, None)
    else:
        assert status in {404, 431}


def test_half_closed(server: Server, member: Client) -> None:
    """A request whose client ends its sending side at once is answered or not; sent again with its Idempotency-Key, it
    is answered, and carried out once.
    """
    before = total(member)
    body = b'{"Amount": 3}'
    for number in range(10):
        key = f"half-closed-{number}"
        more = f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        raw = asked(server, member, "POST /api/Data/Post?entity=Payments", more, body, half=True)
        assert not raw or answer_of(raw)[0] == 200
        assert send(member, key, body).status_code == 200
    assert total(member) == before + 10
