"""Service endpoints, unknown paths and wrong methods
(docs/reference/protocol/wire-api.md sections 8 and 10, docs/reference/protocol/errors.md section 1.4).
"""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from apilane.errors import ConfigurationError
from apilane.testing.client import Client, WireError, bare_error_of, error_of
from apilane.testing.server import CHEAP_PASSWORDS, Server


@pytest.mark.parametrize("path", ["/health/liveness", "/Health/Liveness", "/HEALTH/LIVENESS", "/health/liveness/"])
def test_liveness(lab: Client, path: str) -> None:
    """Liveness needs no token and ignores letter case."""
    response = lab.http.get(lab.url + path)
    assert response.status_code == 200
    expected = {"Status": "Healthy", "Application": "Apilane.Api", "Version": "8.7.0", "Source": socket.gethostname()}
    assert response.json() == {**expected, "Entries": []}


@pytest.mark.parametrize("path", ["/health/readiness", "/Health/Readiness"])
def test_readiness(lab: Client, path: str) -> None:
    """Readiness reports whether definitions can be read."""
    response = lab.http.get(lab.url + path)
    assert response.status_code == 200
    entries = response.json()["Entries"]
    assert (entries[0]["key"], entries[0]["value"]) == ("Portal", "Healthy")
    for entry in entries:
        assert isinstance(entry["details"], str)
        assert entry["age_s"] >= 0


def test_readiness_names_the_databases(lab: Client) -> None:
    """Each provider with a database in use is named with its state and the age of the state, without applications."""
    assert lab.get("Data/Get", entity="Values").status_code == 200
    deadline = time.monotonic() + 30
    while True:  # the last check may be some seconds old
        response = lab.http.get(f"{lab.url}/health/readiness")
        found = {entry["key"]: entry for entry in response.json()["Entries"]}
        used = [key for key in found if key.startswith("Database ")]
        if used or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    assert [found[key]["value"] for key in used] == ["Healthy"]
    assert lab.token not in response.text
    assert found["Outbox"]["value"] == "Healthy"


@pytest.mark.sqlite_only("it deletes the file of a database")
def test_a_lost_database_degrades(tmp_path: Path, http: httpx.Client, shop_manifest: dict[str, Any]) -> None:
    """A database that is lost makes the server degraded: it is ready, and its other applications work on."""
    with Server(tmp_path / "data", settings=CHEAP_PASSWORDS) as server:
        lost, other = (
            Client(http, server.url, server.apply({**shop_manifest, "Application": {"Name": name}}))
            for name in ("Lost", "Other")
        )
        for client in (lost, other):
            client.get("Data/Get", entity="Categories")
        server.sql(lost.token, "DELETE FROM Categories WHERE ID = 0")
        held = server.database(lost.token)
        deadline = time.monotonic() + 60
        held.write_bytes(b"no database" * 1000)
        while http.get(f"{server.url}/health/readiness").json()["Status"] != "Degraded":
            assert time.monotonic() < deadline, server.output()
            time.sleep(0.1)
        response = http.get(f"{server.url}/health/readiness")
        assert response.status_code == 200
        assert lost.token not in response.text
        assert f"applications: {lost.token}" in server.output()
        assert other.get("Data/Get", entity="Categories").status_code == 200
        assert http.head(f"{server.url}/health/readiness").status_code == 200


@pytest.mark.parametrize("path", ["/Version", "/version", "/VERSION/"])
def test_version(lab: Client, path: str) -> None:
    """The version is the protocol's version."""
    response = lab.http.get(lab.url + path)
    assert (response.status_code, response.json()) == (200, {"Version": "8.7.0"})


def test_banner(lab: Client) -> None:
    """The root path returns a plain-text banner."""
    response = lab.http.get(f"{lab.url}/")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    assert response.text


@pytest.mark.parametrize("path", ["/", "/Version", "/health/liveness", "/Health/Readiness"])
def test_head_of_service_pages(lab: Client, path: str) -> None:
    """HEAD has the status and the headers of GET, and no body."""
    full, head = lab.http.get(lab.url + path), lab.http.head(lab.url + path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "content-length"):
        assert head.headers[name] == full.headers[name]


UNKNOWN = [
    "/api",
    "/api/",
    "/api/Nope",
    "/api/Data",
    "/api/Data/",
    "/api/Data/Nope",
    "/api/Data/Get/1",
    "/api/Custom",
]
UNKNOWN += [
    "/api/Files/Nope",
    "/api/Stats/Nope",
    "/api/Email/Nope",
    "/api/Application/Nope",
    "/API/nope",
]
UNKNOWN += [
    "/api/Data/Transactions",
    "/api/Data/History",
    "/api//Data/Get",
    "/api/%2e%2e/etc/passwd",
    "/api/\u00e9",
]


@pytest.mark.better("B-W8", "B-E7")
@pytest.mark.parametrize("path", UNKNOWN)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_unknown_path(lab: Client, path: str, method: str) -> None:
    """A path under /api/ that is unknown or not built is 404 with the standard body, also without a token."""
    for headers in ({}, lab.headers()):
        response = lab.http.request(method, lab.url + path, headers=headers)
        assert response.status_code == 404
        assert bare_error_of(response) == WireError("NOT_FOUND", "Not found")


@pytest.mark.parametrize("path", ["/nope", "/metrics", "/swagger/nothing.html", "/apix/Data/Get", "/master.key"])
def test_unknown_outside(lab: Client, path: str) -> None:
    """Any other unknown path is 404."""
    assert lab.http.get(lab.url + path).status_code == 404


@pytest.mark.better("B-W8")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/Data/Get"),
        ("GET", "/api/Data/Post"),
        ("POST", "/api/Data/Put"),
        ("GET", "/api/data/delete/"),
        ("PATCH", "/api/Data/Put"),
        ("GET", "/api/Account/Login"),
        ("POST", "/api/Account/Logout"),
        ("TRACE", "/api/Data/Get"),
        ("NONSENSE", "/api/Data/Get"),
    ],
)
def test_wrong_method(lab: Client, method: str, path: str) -> None:
    """A known path with another method is 405 with the standard body."""
    response = lab.http.request(method, lab.url + path, headers=lab.headers())
    assert response.status_code == 405
    assert error_of(response).code == "ERROR"


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("Data/Get", {"entity": "Values"}),
        ("Data/Get", {"entity": "Missing"}),
        ("Data/GetByID", {"entity": "Values", "id": "999999"}),
        ("Data/Schema", {}),
    ],
)
def test_head(lab: Client, path: str, parameters: dict[str, str]) -> None:
    """HEAD of a call has the status and the headers of GET and no body, and the connection stays usable."""
    url = f"{lab.url}/api/{path}"
    full = lab.http.get(url, params=parameters, headers=lab.headers())
    head = lab.http.head(url, params=parameters, headers=lab.headers())
    assert (head.status_code, head.content) == (full.status_code, b"")
    for name in ("content-type", "content-length"):
        assert head.headers[name] == full.headers[name]
    assert lab.get("Data/Get", entity="Values").status_code == 200


def test_head_of_a_call_that_writes(lab: Client) -> None:
    """HEAD works only where GET does; the answer names the methods."""
    response = lab.http.head(f"{lab.url}/api/Data/Post", headers=lab.headers())
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    other = lab.http.delete(f"{lab.url}/api/Data/Get", headers=lab.headers())
    assert other.headers["allow"] == "GET, HEAD"


@pytest.mark.sqlite_only("it breaks the file of the control store")
def test_not_ready(tmp_path: Path, http: httpx.Client) -> None:
    """Without its control store the server is alive and not ready."""
    # Without jobs: SQLite would answer from pages that they have read.
    without_jobs = {"plugins": "auth,counter_file,sqlite"}
    with Server(tmp_path / "data", settings=CHEAP_PASSWORDS | without_jobs) as server:
        assert http.get(f"{server.url}/health/readiness").status_code == 200
        (server.data_dir / "control.db").write_bytes(b"no database" * 1000)
        response = http.get(f"{server.url}/health/readiness")
        assert response.status_code == 503
        assert response.json()["Status"] == "Unhealthy"
        assert response.json()["Entries"][0]["value"] == "Unhealthy"
        assert http.get(f"{server.url}/health/liveness").status_code == 200


@pytest.mark.sqlite_only("it deletes the file of a database")
def test_lost_database(tmp_path: Path, http: httpx.Client, shop_manifest: dict[str, Any]) -> None:
    """A missing database is not replaced by an empty one: calls and ``apply`` report it, and no file is created."""
    folder = tmp_path / "data"
    with Server(folder, settings=CHEAP_PASSWORDS) as first:
        token = first.apply(shop_manifest)
        path = first.database(token)
    for file in path.parent.glob("data.db*"):
        file.unlink()
    with Server(folder, settings=CHEAP_PASSWORDS) as second:
        answer = Client(http, second.url, token).get("Data/Get", entity="Products")
        assert error_of(answer) == WireError("SERVICE_UNAVAILABLE", "Service unavailable")
        assert "is missing; restore it from a backup" in second.output()
        with pytest.raises(ConfigurationError, match="Restore it from a backup"):
            second.apply(shop_manifest)
    assert not path.exists()


def test_bodies_that_do_not_arrive(tmp_path: Path) -> None:
    """A malformed body, or one slower than the limit, gets the standard body and its connection is closed."""
    settings = {**CHEAP_PASSWORDS, "body_timeout_s": 0.5}
    with Server(tmp_path / "data", settings=settings) as server:
        token = server.apply({"Apilane": 1, "Application": {"Name": "Slow"}})
        head = (
            "POST /api/Account/Login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"x-application-token: {token}\r\n"
        )
        for rest in ("Content-Length: 50\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\nzz\r\n[]\r\n0\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
                connection.sendall((head + rest).encode())
                received = b""
                while part := connection.recv(65536):
                    received += part
            assert received.startswith(b"HTTP/1.1 400 ")
            assert b'"Code":"ERROR"' in received
