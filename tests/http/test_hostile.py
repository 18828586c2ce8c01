"""Hostile requests: no request causes a 5xx, and errors under /api/ have the standard body."""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote

import pytest

from apilane.testing.client import Client, error_of
from apilane.testing.server import Server

JSON = {"Content-Type": "application/json"}
SILENCE_S = 0.3


def _exchange(url: str, request: bytes, *, then: bytes = b"") -> bytes:
    """The answer to raw bytes until the server closes the connection, or sends nothing for a moment."""
    host, port = url.removeprefix("http://").split(":")
    received = b""
    with socket.create_connection((host, int(port)), timeout=SILENCE_S) as connection:
        try:
            connection.sendall(request + then)
            while part := connection.recv(65536):
                received += part
        except OSError:  # no more data, or the connection was closed while sending
            pass
    return received


@pytest.fixture(autouse=True)
def healthy(server: Server, lab: Client) -> Iterator[None]:
    """After every test the server still serves and has logged no unexpected failure."""
    yield
    assert lab.get("Data/Get", entity="Values", pageSize=1).status_code == 200
    assert "Traceback" not in server.output(), server.output()[-3000:]


def _ask(lab: Client, target: str) -> tuple[int, Any]:
    """Status and JSON of a GET whose target is longer than ``httpx`` allows; None when there is no body."""
    host, port = lab.url.removeprefix("http://").split(":")
    connection = HTTPConnection(host, int(port), timeout=10)
    try:
        connection.request("GET", target, headers=lab.headers())
        response = connection.getresponse()
        body = response.read()
        return response.status, json.loads(body) if body else None
    finally:
        connection.close()


def _expect_no_failure(answer: bytes) -> None:
    assert not answer or answer.startswith(b"HTTP/1."), answer[:100]
    assert not answer.startswith((b"HTTP/1.1 5", b"HTTP/1.0 5")), answer[:500]


def test_random_bytes(lab: Client) -> None:
    """Two hundred requests of random bytes, alone and after a valid beginning, cause no failure."""
    chance = random.Random(8)
    beginnings = [
        b"",
        b"GET ",
        b"GET /api/Data/Get?",
        b"POST /api/Data/Post HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
    ]
    for number in range(200):
        noise = chance.randbytes(chance.randrange(1, 400))
        _expect_no_failure(_exchange(lab.url, beginnings[number % 5] + noise + b"\r\n\r\n"))


def test_random_queries(lab: Client) -> None:
    """Random bytes, percent-encoded or not, as values of every parameter cause no failure."""
    chance = random.Random(9)
    names = ["entity", "id", "filter", "sort", "properties", "pageSize", "getTotal", "ids", "appToken", "token"]
    for number in range(200):
        noise = chance.randbytes(chance.randrange(1, 60))
        name = names[number % len(names)]
        value = quote(noise, safe="") if number % 2 else "".join(chr(33 + byte % 94) for byte in noise)
        target = f"/api/Data/Get?entity=Values&{name}={value}" if name != "entity" else f"/api/Data/Get?entity={value}"
        head = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nx-application-token: {lab.token}\r\n\r\n"
        answer = _exchange(lab.url, head.encode("latin-1"))
        _expect_no_failure(answer)
        if answer:
            status, body = answer.split(b" ")[1], answer.partition(b"\r\n\r\n")[2]
            assert status == b"200" or not body or set(json.loads(body)) == {"Code", "Message", "Property", "Entity"}


def test_random_bodies(lab: Client) -> None:
    """Random bytes as a body, and JSON with some bytes changed, cause no failure."""
    chance = random.Random(10)
    sound = json.dumps(
        [{"Text": "abc", "Whole": 1.5, "Flag": True, "Moment": "2026-01-01", "Code": [1, None]}]
    ).encode()
    for number in range(200):
        if number % 2:
            body = bytearray(sound)
            for _ in range(chance.randrange(1, 4)):
                body[chance.randrange(len(body))] = chance.randrange(256)
        else:
            body = bytearray(chance.randbytes(chance.randrange(1, 200)))
        for method, path in (("POST", "Data/Post"), ("PUT", "Data/Put")):
            response = lab.send(method, f"/api/{path}?entity=Values", bytes(body), JSON)
            if response.status_code != 200:
                error_of(response)


@pytest.mark.parametrize("size", [10_000, 60_000, 100_000, 1_000_000])
def test_huge_query(lab: Client, size: int) -> None:
    """A query string of any size is served or refused, without a failure."""
    for name in ("padding", "filter", "properties", "ids"):
        head = f"GET /api/Data/Get?entity=Values&{name}={'x' * size} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        _expect_no_failure(_exchange(lab.url, f"{head}x-application-token: {lab.token}\r\n\r\n".encode()))


@pytest.mark.parametrize(
    "lines",
    [
        "x-application-token: a\r\nx-application-token: b\r\n",
        "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: nonsense\r\n",
        "X-Forwarded-For: " + "1.2.3.4," * 1000 + "\r\n",
        "X-Forwarded-For: \u00e9, 999.999.999.999, ::1%\r\n",
        "Authorization: " + "B" * 50_000 + "\r\n",
        "Authorization: \u00e9\r\n",
        "x-application-token: \u00e9\r\n",
        "Origin: x\r\n folded\r\n",
        "Expect: 100-continue\r\n",
        "Expect: nonsense\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\n",
        "Host: a\r\nHost: b\r\n",
        "No colon here\r\n",
        "Content-Type: \u00e9; charset=\r\n",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_headers(lab: Client, method: str, lines: str) -> None:
    """Unusual headers are served or refused."""
    action = "Get" if method == "GET" else "Post"
    head = f"{method} /api/Data/{action}?entity=Values HTTP/1.1\r\nHost: x\r\n{lines}\r\n"
    _expect_no_failure(_exchange(lab.url, head.encode("latin-1"), then=b"0\r\n\r\n"))


@pytest.mark.parametrize(
    "text", ["x\r\nSet-Cookie: a=b", "x\nSet-Cookie: a=b", "x%0d%0aSet-Cookie:%20a=b", "\u010d\u010aSet-Cookie: a=b"]
)
def test_header_injection(lab: Client, text: str) -> None:
    """Line breaks in echoed values never become response headers."""
    query = quote(text, safe="%")
    for target in (
        f"Data/Get?entity={query}",
        f"Account/Confirm?token={query}",
        f"Data/Get?entity=Values&sort={query}",
    ):
        response = lab.send("GET", f"/api/{target}")
        assert "set-cookie" not in response.headers
    headers = {"Origin": "x", "Access-Control-Request-Headers": "a, b"}
    assert "set-cookie" not in lab.http.request("OPTIONS", f"{lab.url}/api/Data/Get", headers=headers).headers


def test_host_header(lab: Client) -> None:
    """Any text in the Host header stays within the Location header."""
    head = "GET /api/Account/Confirm?token=x HTTP/1.1\r\nHost: evil.example.com/x?y#z\r\nConnection: close\r\n"
    answer = _exchange(lab.url, f"{head}x-application-token: {lab.token}\r\n\r\n".encode())
    assert answer.startswith((b"HTTP/1.1 302", b"HTTP/1.1 400"))
    assert b"set-cookie" not in answer.lower()


def test_property_list(lab: Client) -> None:
    """A very long list of properties is handled like a short one."""
    lab.add("Values", {"Text": "x"})
    for listed in ("Text," * 10_000, "," * 50_000, "x" * 60_000, ",".join(f"p{n}" for n in range(10_000)) + ",Text"):
        status, body = _ask(lab, f"/api/Data/Get?entity=Values&pageSize=1&properties={listed}")
        assert status == 200
        assert set(body["Data"][0]) <= {"ID", "Text"}


def _deep(depth: int) -> str:
    return '{"Logic":"AND","Filters":[' * depth + '{"Property":"ID","Operator":"equal","Value":1}' + "]}" * depth


def _wide(leaves: int) -> str:
    return '{"Logic":"OR","Filters":[' + ",".join(['{"Property":"ID","Operator":0,"Value":1}'] * leaves) + "]}"


BOMBS: dict[str, Callable[[], str]] = {
    "deep": lambda: _deep(900),
    "unclosed": lambda: "[" * 50_000,
    "wide": lambda: _wide(1200),
    "wildcards": lambda: json.dumps({"Property": "Text", "Operator": "contains", "Value": "%_" * 20_000}),
    "long list": lambda: json.dumps(
        {"Property": "ID", "Operator": "contains", "Value": ",".join(map(str, range(9000)))}
    ),
    "long array": lambda: json.dumps({"Property": "Text", "Operator": "contains", "Value": ["x"] * 9000}),
    "huge exponent": lambda: '{"Property":"Whole","Operator":"equal","Value":1e999999999}',
    "tiny exponent": lambda: '{"Property":"Whole","Operator":"less","Value":1e-999999999}',
    "many digits": lambda: '{"Property":"Whole","Operator":"greater","Value":' + "9" * 30_000 + "}",
    "many keys": lambda: "{" + ",".join(f'"k{n}":1' for n in range(5000)) + ',"Property":"ID","Operator":0,"Value":1}',
    "surrogate": lambda: '{"Property":"Text","Operator":"equal","Value":"\\ud800"}',
    "zero": lambda: '{"Property":"Text","Operator":"equal","Value":"\\u0000"}',
    "quote": lambda: '{"Property":"Text\\" OR 1=1 --","Operator":"equal","Value":"x"}',
    "operator": lambda: '{"Property":"Text","Operator":"equal; DROP TABLE","Value":"x"}',
}


@pytest.mark.parametrize("name", [*BOMBS])
def test_filter_bomb(lab: Client, name: str) -> None:
    """A filter of any size or depth is answered quickly."""
    started = time.monotonic()
    status, body = _ask(lab, f"/api/Data/Get?entity=Values&filter={quote(BOMBS[name]())}")
    assert time.monotonic() - started < 2
    assert status in (200, 414) or body["Code"] == "INVALID_FILTER_PARAMETER"


@pytest.mark.parametrize(
    "sort",
    [
        "[" * 50_000,
        "[" + '{"Property":"ID","Direction":"ASC"},' * 1000 + '{"Property":"ID","Direction":"ASC"}]',
        '[{"Property":"Text; DROP TABLE","Direction":"ASC"}]',
        '[{"Property":"Text","Direction":"ASC; DROP TABLE"}]',
    ],
    ids=["deep", "many", "property", "direction"],
)
def test_sort_bomb(lab: Client, sort: str) -> None:
    """A sort of any size is answered quickly."""
    started = time.monotonic()
    status, body = _ask(lab, f"/api/Data/Get?entity=Values&sort={quote(sort)}")
    assert time.monotonic() - started < 2
    assert status in (200, 414) or body["Code"] == "INVALID_SORT_PARAMETER"


HOSTILE_VALUES: list[Any] = [
    10**400,
    -(10**400),
    2**63,
    "9" * 100_000,
    "1e" + "9" * 1000,
    "\u202e",
    "x" * 1_000_000,
    ["x"] * 10_000,
    {str(number): number for number in range(1000)},
    "A" * 50_000 + "!",
    {"__proto__": {"a": 1}},
]


@pytest.mark.parametrize("name", ["Text", "Short", "Code", "Secret", "Whole", "Fine", "Flag", "Moment", "ID", "Nope"])
def test_values(lab: Client, name: str) -> None:
    """No value of any property stops or blocks the server."""
    for value in HOSTILE_VALUES:
        started = time.monotonic()
        for response in (
            lab.post("Data/Post", {name: value}, entity="Values"),
            lab.put("Data/Put", {"ID": 1, "Text": "x", name: value}, entity="Values"),
            lab.put("Data/Put", {"ID": value, "Text": "x"}, entity="Values"),
        ):
            if response.status_code != 200:
                assert error_of(response).code in ("VALIDATION", "NO_ID_PROVIDED")
        assert time.monotonic() - started < 2


def test_slow_sender(lab: Client) -> None:
    """A client that sends half a body and disconnects stores no record."""
    before = lab.get("Data/Get", entity="Values", getTotal="true", pageSize=1).json()["Total"]
    head = "POST /api/Data/Post?entity=Values HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    _exchange(lab.url, f'{head}Content-Length: 100\r\nx-application-token: {lab.token}\r\n\r\n{{"Text":'.encode())
    assert lab.get("Data/Get", entity="Values", getTotal="true", pageSize=1).json()["Total"] == before


SINGLE = [
    ("host", "x", "y"),
    ("x-application-token", "TOKEN", "other"),
    ("x-application-token", "TOKEN", "TOKEN"),
    ("Authorization", "Bearer a", "Bearer b"),
    ("Content-Type", "text/plain", "application/json"),
    ("x-client-id", "portal", "other"),
    ("x-auth-keyid", "1", "2"),
    ("x-auth-timestamp", "1", "2"),
    ("x-auth-signature", "AAAA", "BBBB"),
]


@pytest.mark.parametrize("target", ["/api/Data/Get?entity=Values", "/api/Data/Nope", "/Version", "/nope"])
@pytest.mark.parametrize(("name", "first", "second"), SINGLE)
def test_repeated_single_headers(lab: Client, target: str, name: str, first: str, second: str) -> None:
    """A header with one value that is sent twice is refused with 400 in every order, on every path."""
    for values in ((first, second), (second, first)):
        lines = [] if name == "host" else ["Host: x"]
        lines += [] if name == "x-application-token" else [f"x-application-token: {lab.token}"]
        lines += [f"{name}: {value.replace('TOKEN', lab.token)}" for value in values]
        answer = _exchange(lab.url, "\r\n".join([f"GET {target} HTTP/1.1", *lines, "", ""]).encode())
        assert answer.startswith(b"HTTP/1.1 400 "), answer[:200]
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["Code"] == "ERROR"


@pytest.mark.parametrize("target", ["/api/Data/Get?entity=Values", "/api/Data/Nope", "/Version", "/nope"])
@pytest.mark.parametrize(("version", "is_served"), [("1.1", False), ("1.0", True)])
def test_no_host(lab: Client, target: str, version: str, is_served: bool) -> None:
    """HTTP/1.1 requires a Host header with a value; HTTP/1.0 does not."""
    for host in ("", "Host:\r\n"):
        head = f"GET {target} HTTP/{version}\r\n{host}x-application-token: {lab.token}\r\n\r\n"
        answer = _exchange(lab.url, head.encode())
        status = int(answer.split(b" ")[1])
        assert status == (400 if not is_served else 404 if "nope" in target.lower() else 200)


def test_a_list_may_be_repeated(lab: Client) -> None:
    """Headers that are lists, and unknown ones, may be repeated."""
    lines = "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 1.2.3.5\r\nAccept: a\r\nAccept: b\r\nX-A: 1\r\nX-A: 2\r\n"
    head = f"GET /api/Data/Get?entity=Values HTTP/1.1\r\nHost: x\r\nx-application-token: {lab.token}\r\n{lines}\r\n"
    assert _exchange(lab.url, head.encode()).startswith(b"HTTP/1.1 200 ")


ENCODED = ["/api%2fData/Get", "/api%2FData/Get", "/api/Data%2fGet", "/api/Data/Get%2f", "/%2fapi/Data/Get"]


ENCODED += ["/api%5cData/Get", "/api%252fData/Get", "/Health%2fLiveness", "/Version%2f"]


@pytest.mark.parametrize("path", ENCODED)
def test_encoded_slash(lab: Client, path: str) -> None:
    """An encoded slash separates no parts of a path, so such a path is unknown."""
    head = f"GET {path}?entity=Values HTTP/1.1\r\nHost: x\r\nx-application-token: {lab.token}\r\n\r\n"
    answer = _exchange(lab.url, head.encode())
    assert answer.startswith(b"HTTP/1.1 404 "), answer[:200]


def test_encoded_letters(lab: Client) -> None:
    """Encoded letters are the letters (RFC 3986, 6.2.2.2)."""
    assert lab.send("GET", "/api/%44ata/G%65t?entity=Values&pageSize=1").status_code == 200
