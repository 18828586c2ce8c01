"""Malformed heads and framings over real sockets, to a separate server."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from apilane.testing.client import Client
from apilane.testing.server import CHEAP_PASSWORDS, Server
from tests.fuzz.headers import header_lines

TOKEN = "aaaaaaaa-3333-4333-8333-aaaaaaaaaaaa"
HIDDEN = "MkHiddenText"
MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Heads", "Token": TOKEN},
    "Entities": [{"Name": "Notes", "Properties": [{"Name": "Text"}, {"Name": "Hidden"}]}],
    "Security": [
        {"Entity": "Notes", "Role": "ANONYMOUS", "Action": "get", "Properties": ["Text"]},
        {"Entity": "Notes", "Role": "ANONYMOUS", "Action": "post", "Properties": "*"},
    ],
}
SALVO = 40
SILENCE_S = 0.4
"""How long to read from a connection: many of these requests leave the server waiting for the rest."""
ERROR_KEYS = {"Code", "Message", "Property", "Entity"}

one_of = st.sampled_from
BODY = b'{"Text": "x"}'
CHUNKED = b"d\r\n" + BODY + b"\r\n0\r\n\r\n"
FRAMINGS = (
    (b"Transfer-Encoding: chunked", CHUNKED),
    (b"Content-Length: 5", BODY),
    (b"Content-Length: 99999999999999999999999", BODY),
    (b"Content-Length: 13, 13", BODY),
    (b"Content-Length: 13\r\nContent-Length: 14", BODY),
    (b"Content-Length: +13", BODY),
    (b"Content-Length: 13\r\nTransfer-Encoding: chunked", CHUNKED),
    (b"Transfer-Encoding: chunked, identity", CHUNKED),
    (b"Transfer-Encoding: xchunked", CHUNKED),
    (b"Transfer-Encoding: chunked", b"ffffffffffffffff1\r\n" + BODY),
    (b"Transfer-Encoding: chunked", b"-1\r\n" + BODY),
    (b"Transfer-Encoding: chunked", CHUNKED.replace(b"\r\n", b"\n")),
    (b"Transfer-Encoding: chunked", b"d;" + b"x" * 9000 + b"\r\n" + BODY + b"\r\n0\r\nTrailer: \x00\r\n\r\n"),
)
METHODS = (b"HEAD", b"OPTIONS", b"CONNECT", b"get", b"G\x00T", b"", b"PRI")
TARGETS = (b"*", b"", b"http://x/api/Data/Get?entity=Notes", b"//", b"/\x00", b"/\xff", b"/a b", b"/%", b"x:1", b"/#")
VERSIONS = (b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.9", b"http/1.1", b"", b"HTTP/1.1 x", b"HTTP/11")
LINES = (b"No colon", b": empty", b" folded", b"A : b", b"A\x00: b", b"A: \x00", b"A: b\rc", b"\xe9: x", b"A" * 9000)
ENDS = (b"\n", b"\r", b" \r\n", b"\r\n\r\n")
PLACES = ("framing", "method", "target", "version", "line", "line", "header", "header", "end", "bytes", "bytes")


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A valid request with none, one or two of its places made invalid."""
    spoilt = draw(one_of(((), (), *((place,) for place in PLACES), *((place, "bytes") for place in PLACES))))
    writes = "framing" in spoilt or draw(st.booleans())
    method, action = (b"POST", b"Post") if writes else (b"GET", b"Get")
    framing, body = (b"Content-Length: 13", BODY) if writes else (b"X: y", b"")
    if "framing" in spoilt:
        framing, body = draw(one_of(FRAMINGS))
    lines = [b"Host: x", b"Content-Type: application/json", b"x-application-token: " + TOKEN.encode(), framing]
    if "header" in spoilt:
        lines += [f"{name}: {value}".encode("latin-1") for name, value in draw(st.lists(header_lines, max_size=3))]
    if "line" in spoilt:
        lines.insert(draw(st.integers(0, len(lines))), draw(one_of(LINES)))
    first = (
        draw(one_of(METHODS)) if "method" in spoilt else method,
        draw(one_of(TARGETS)) if "target" in spoilt else b"/api/Data/" + action + b"?entity=Notes",
        draw(one_of(VERSIONS)) if "version" in spoilt else b"HTTP/1.1",
    )
    request = (draw(one_of(ENDS)) if "end" in spoilt else b"\r\n").join((b" ".join(first), *lines, b"", b"")) + body
    if "bytes" in spoilt:
        place = draw(st.integers(0, len(request)))
        request = request[:place] + draw(st.binary(max_size=3)) + request[place + draw(st.integers(0, 2)) :]
    return request


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One note, whose hidden text no caller may read."""
    folder: Path = tmp_path_factory.mktemp("heads")
    with Server(folder / "data", settings={**CHEAP_PASSWORDS, "definition_poll_s": 0.05}) as running:
        with httpx.Client(trust_env=False) as http:
            Client(http, running.url, running.apply(MANIFEST)).add("Notes", {"Text": "one", "Hidden": HIDDEN})
        yield running


async def _exchange(port: int, request: bytes) -> bytes:
    """The bytes that the server sends until it closes the connection or pauses."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    try:
        writer.write(request)
        while part := await asyncio.wait_for(reader.read(65536), SILENCE_S):
            received += part
    except (TimeoutError, OSError):
        pass
    finally:
        writer.transport.abort()
    return received


def _check(answer: bytes, seen: Counter[int]) -> None:
    """Every answer is valid HTTP, has no status of a failure, and has the error's body or none."""
    assert HIDDEN.encode() not in answer
    assert b"set-cookie" not in answer.lower()
    while answer:
        head, _, rest = answer.partition(b"\r\n\r\n")
        line = re.match(rb"HTTP/1\.[01] (\d{3}) ", head)
        assert line is not None, answer[:200]
        status = int(line[1])
        seen[status] += 1
        assert status < 500, answer[:500]
        length = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
        body, answer = (rest[: int(length[1])], rest[int(length[1]) :]) if length else (b"", rest)
        if rest.startswith(b"HTTP/1."):  # to HEAD: the length without the body
            body, answer = b"", rest
        if status >= 400 and body:
            assert set(json.loads(body)) == ERROR_KEYS, body


def test_heads(server: Server) -> None:
    """For any head and framing of a body: an answer below 500 or none, and the server continues."""
    _run(server, 12)


@pytest.mark.slow
def test_many_heads(server: Server) -> None:
    """The same holds for 4,000 requests."""
    _run(server, 100)


def _run(server: Server, salvos: int) -> None:
    seen: Counter[int] = Counter()

    @seed(5)
    @settings(
        max_examples=salvos,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(requests(), min_size=SALVO, max_size=SALVO))
    def fire(salvo: list[bytes]) -> None:
        async def all_of_them() -> list[bytes]:
            return await asyncio.gather(*(_exchange(server.port, request) for request in salvo))

        for request, answer in zip(salvo, asyncio.run(all_of_them()), strict=True):
            try:
                _check(answer, seen)
            except AssertionError as error:
                error.add_note(f"The request: {request!r}")
                raise

    fire()
    print(f"{SALVO * salvos} requests: {dict(sorted(seen.items()))}")
    assert seen[200] > SALVO
    assert seen[400] > SALVO
    sound = b"GET /api/Data/Get?entity=Notes HTTP/1.1\r\nHost: x\r\nx-application-token: " + TOKEN.encode()
    assert b'"Text":"one"' in asyncio.run(_exchange(server.port, sound + b"\r\n\r\n"))
    assert "Traceback" not in server.output(), server.output()[-3000:]
