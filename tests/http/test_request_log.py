"""Request IDs and the access log of a real server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from apilane.testing.client import Client
from apilane.testing.server import CHEAP_PASSWORDS, Server

MARK = "m4rk"


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, http: httpx.Client, shop_manifest: dict[str, Any]
) -> Iterator[tuple[Server, Client]]:
    """A shop on a server that logs requests as JSON."""
    settings = {**CHEAP_PASSWORDS, "access_log": True, "log_format": "json"}
    with Server(tmp_path_factory.mktemp("logged") / "data", settings=settings) as server:
        yield server, Client(http, server.url, server.apply(shop_manifest))


def line_of(server: Server, id: str) -> dict[str, Any]:
    """The line of the request with this ID, which is written when the answer is ready."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for text in server.output().splitlines():
            if text.startswith("{") and json.loads(text).get("request_id") == id:
                found: dict[str, Any] = json.loads(text)
                return found
        time.sleep(0.02)
    raise AssertionError(f"no line of {id} in {server.output()}")


def test_a_request_keeps_its_id(served: tuple[Server, Client]) -> None:
    """A fit ID of the caller is in the answer and in the line, an unfit one is replaced, and every answer has one."""
    server, client = served
    answer = client.send("GET", "/api/Data/Get?entity=Categories", b"", {"X-Request-ID": "caller-1"})
    assert answer.headers["x-request-id"] == "caller-1"
    assert line_of(server, "caller-1")["path"] == "/api/Data/Get"
    made = client.send("GET", "/api/Data/Get?entity=Categories", b"", {"X-Request-ID": "no good"})
    assert made.headers["x-request-id"] not in {"", "no good"}
    for path in ("/", "/health/liveness", "/nothing", "/api/nothing"):
        assert client.http.get(server.url + path).headers["x-request-id"]


def test_the_line_names_the_caller(served: tuple[Server, Client]) -> None:
    """The line has method, path, status, code, duration, application, entity, kind of caller and credential ID."""
    server, client = served
    user = client.signed_in("logged")
    answer = user.get("Data/Get", entity="Categories")
    line = line_of(server, answer.headers["x-request-id"])
    assert line["credential_id"].startswith("session ")
    assert line["duration_ms"] > 0
    expected = {
        "method": "GET",
        "status": answer.status_code,
        "application": client.token,
        "caller": "user",
        "client": "127.0.0.1",
    }
    assert {name: line[name] for name in expected} == expected
    refused = client.get("Data/Get", entity="Missing")
    line = line_of(server, refused.headers["x-request-id"])
    assert (line["status"], line["code"], line["caller"]) == (400, "ERROR", "anonymous")
    assert "credential_id" not in line


def test_the_line_has_no_query_and_no_unknown_path(served: tuple[Server, Client]) -> None:
    """Marks in query, path, headers, cookies and body are not in the log."""
    server, client = served
    headers = {"Cookie": f"a={MARK}", "User-Agent": MARK, "Authorization": f"Bearer {MARK}", "Referer": MARK}
    answers = [
        client.send("POST", f"/api/Data/Post?entity={MARK}&token={MARK}", b'{"Password": "m4rk"}', headers),
        client.send("GET", f"/api/{MARK}", b"", headers),
        client.send("GET", f"/{MARK}?x={MARK}", b"", headers),
        client.send("GET", f"/api/Custom/{MARK}", b"", headers),
        client.http.request("M4RK", f"{server.url}/api/Data/Get"),
    ]
    for answer in answers:
        line_of(server, answer.headers["x-request-id"])
    assert MARK not in server.output().lower()
