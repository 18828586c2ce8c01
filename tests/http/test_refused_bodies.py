"""A request that is refused before its body is read still gets its answer (docs/explanation/request-path.md)."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from typing import Any, NamedTuple

import pytest

from apilane.testing.client import Client
from apilane.testing.server import Server

MIB = 1_048_576
JSON = "Content-Type: application/json"


class Answer(NamedTuple):
    """The answer that a client reads. ``is_kept``: the connection serves a second request."""

    status: int
    body: Any
    is_kept: bool


def read_answer(connection: socket.socket) -> tuple[int, dict[str, str], Any]:
    """Status, headers by lower-case name and decoded JSON of one answer."""
    file = connection.makefile("rb")
    status = int(file.readline().split()[1])
    headers = {}
    while line := file.readline().strip():
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    body = file.read(int(headers["content-length"]))
    return status, headers, json.loads(body) if body else None


def send_refused(server: Server, target: str, size: int, *headers: str, chunked: bool = False) -> Answer:
    """Send the whole body before reading, as most clients do; a broken pipe fails the test."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
        head = "\r\n".join([f"POST {target} HTTP/1.1", f"Host: {host}", length, *headers, "", ""])
        connection.sendall(head.encode())
        block = b"x" * 65_536
        for start in range(0, size, len(block)):
            part = block[: size - start]
            connection.sendall(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
        if chunked:
            connection.sendall(b"0\r\n\r\n")
        status, found, body = read_answer(connection)
        is_kept = found.get("connection") != "close"
        if is_kept:
            connection.sendall(f"GET /Version HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert read_answer(connection)[0] == 200
        return Answer(status, body, is_kept)


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
@pytest.mark.parametrize("size", [1, 100_000, MIB])
@pytest.mark.parametrize("target", ["/api/Nope", "/nope", "/api/Data/Get?entity=Values"])
def test_unknown_paths_and_methods(server: Server, target: str, size: int, chunked: bool) -> None:
    """A body of up to 1 MB to an unknown path or a wrong method is read and answered, and the connection is kept."""
    answer = send_refused(server, target, size, chunked=chunked)
    assert (answer.status, answer.is_kept) == (405 if "Data" in target else 404, True)
    assert answer.body["Code"] == ("ERROR" if answer.status == 405 else "NOT_FOUND")


@pytest.mark.parametrize("kind", ["wrong type", "no application", "bad signature", "no rule", "Files"])
def test_refusals_before_the_body(server: Server, lab: Client, kind: str) -> None:
    """Each refusal that does not need the body is sent after the body is read, and keeps the connection."""
    application = f"x-application-token: {lab.token}"
    sent: dict[str, tuple[str, list[str], int]] = {
        "wrong type": ("Values", [application, "Content-Type: text/plain"], 415),
        "no application": ("Values", [JSON], 400),
        "bad signature": ("Values", [application, JSON, "x-auth-signature: AAAA"], 401),
        "no rule": ("Locked", [application, JSON], 401),
        "Files": ("Files", [application, JSON], 400),
    }
    entity, headers, status = sent[kind]
    answer = send_refused(server, f"/api/Data/Post?entity={entity}", 300_000, *headers)
    assert (answer.status, answer.is_kept) == (status, True)


@pytest.mark.parametrize("target", ["/api/Nope", "/nope", "/api/Data/Post?entity=Values"])
def test_a_large_body_is_answered_before_the_connection_closes(server: Server, lab: Client, target: str) -> None:
    """Of a larger body 1 MB is read; then the answer is sent and the connection is closed."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        head = f"POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100000000\r\n"
        connection.sendall(f"{head}x-application-token: {lab.token}\r\n{JSON}\r\n\r\n".encode())
        connection.sendall(b"x" * (2 * MIB))
        status, headers, _ = read_answer(connection)
        assert (status, headers["connection"]) == (400 if "Data" in target else 404, "close")
        assert connection.recv(1) == b""


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
@pytest.mark.parametrize("target", ["/api/Nope", "/nope", "/api/Data/Post?entity=Values"])
def test_a_client_that_sends_all_before_it_reads(server: Server, lab: Client, target: str, chunked: bool) -> None:
    """A client that sends 40 MB without reading gets its answer, because the rest is read after the answer."""
    answer = send_refused(server, target, 40_000_000, f"x-application-token: {lab.token}", JSON, chunked=chunked)
    assert (answer.status, answer.is_kept) == (400 if "Data" in target else 404, False)
    assert answer.body["Code"] == ("ERROR" if "Data" in target else "NOT_FOUND")


FETCH = """
const [url, size, token] = process.argv.slice(1);
const headers = {"content-type": "application/json", "x-application-token": token};
const codes = Array.from({length: 8}, async () => {
  const response = await fetch(url, {method: "POST", headers, body: "x".repeat(Number(size))});
  return (await response.json()).Code;
});
Promise.all(codes).then((all) => console.log(JSON.stringify(all)));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize("target", ["/api/Nope", "/nope", "/api/Data/Post?entity=Values"])
def test_fetch_of_node(server: Server, lab: Client, target: str) -> None:
    """Eight concurrent calls of ``fetch`` with 35 MB each read their error."""
    command = ["node", "-e", FETCH, server.url + target, "35000000", lab.token]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["ERROR" if "Data" in target else "NOT_FOUND"] * 8


def test_a_body_that_never_comes(server: Server) -> None:
    """A client that declares a body and sends nothing is answered after a time limit, and the connection is closed."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(f"POST /api/Nope HTTP/1.1\r\nHost: {host}\r\nContent-Length: 10\r\n\r\n".encode())
        status, headers, _ = read_answer(connection)
        assert (status, headers["connection"]) == (404, "close")
