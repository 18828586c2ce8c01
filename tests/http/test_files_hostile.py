"""Uploads that lie, deceive, break off or are too large: each gets a clear error, and nothing is stored."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from apilane.testing.client import Client, WireError, error_of
from apilane.testing.server import Server
from tests.http.conftest import NewClient
from tests.http.uploads import BOUNDARY, FILES, FORM, body, download, part, upload

KB = 1024
LIMIT = 100 * KB
NO_FILE = WireError("ERROR", "No file found to upload")
TOO_LARGE = WireError("ERROR", "Maximum file size 100 KB")
BROKEN = "The body is not valid multipart/form-data: "
TYPE = f"multipart/form-data; boundary={BOUNDARY}"


@pytest.fixture(scope="module")
def folder(server: Server, user: Client) -> Path:
    """Where the contents are."""
    return server.data_dir / "apps" / user.token / "files"


@pytest.fixture(scope="module")
def user(new_application: NewClient) -> Client:
    """A user who may upload."""
    return new_application(FILES).signed_in("hostile")


@pytest.fixture(autouse=True)
def _nothing_is_left(request: pytest.FixtureRequest, user: Client, folder: Path) -> Iterator[None]:
    """After each refused upload there is no record and no byte."""
    yield
    if request.node.get_closest_marker("stores") is None:
        assert user.get("Files/Get").json() == {"Data": []}
        assert list(folder.iterdir()) == []


def refused(user: Client, content: Any, headers: dict[str, str] = FORM) -> WireError:
    """The error of an upload of these bytes."""
    return error_of(user.send("POST", "/api/Files/Post", content, headers))


def pieces(content: bytes, size: int = 4096) -> Iterator[bytes]:
    """The content in chunks, so that it is sent without a length."""
    for start in range(0, len(content), size):
        yield content[start : start + size]


# --- Size -------------------------------------------------------------------------------------------------------------


def test_the_largest_file(user: Client, folder: Path) -> None:
    """A file of exactly the largest size is stored, with and without a length of the body."""
    for content in (body(part(b"x" * LIMIT)), pieces(body(part(b"x" * LIMIT)))):
        response = user.send("POST", "/api/Files/Post", content, FORM)
        assert response.status_code == 200, response.text
        assert len(download(user, response.json()).content) == LIMIT
        user.delete("Files/Delete", ids=response.json())


@pytest.mark.parametrize("over", [1, 70 * KB, 3_000 * KB, 20_000 * KB])
@pytest.mark.parametrize("has_length", [True, False])
def test_too_large(user: Client, over: int, has_length: bool) -> None:
    """A larger file is refused with the limit, whether the body has a length or not."""
    whole = body(part(b"x" * (LIMIT + over)))
    assert refused(user, whole if has_length else pieces(whole, 65_536)) == TOO_LARGE


def test_parts_around_the_file_are_bounded(user: Client) -> None:
    """Other parts, and bytes before the first part, cannot carry more than a little."""
    long = part(b"x" * 200 * KB, field="other")
    for content in (body(long, part(b"a")), body(part(b"a"), long), b"x" * 150 * KB + b"\r\n" + body(part(b"a"))):
        assert refused(user, pieces(content)).message.startswith(BROKEN)
    many = body(*(part(b"", field="other") for _ in range(100)), part(b"a"))
    assert refused(user, many).message == BROKEN + "Maximum segment count exceeded"


def test_a_part_that_lies_about_its_size(user: Client) -> None:
    """A length in the header of a part must be that of its content."""
    head = 'Content-Disposition: form-data; name="FileUpload"; filename="a.txt"\r\nContent-Length: {}'
    for length, content in ((5, b"0123456789"), (20, b"0123456789"), (-1, b"0"), ("x", b"0")):
        assert refused(user, body(part(content, head=head.format(length)))).message.startswith(BROKEN)


# --- Form -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"--" + BOUNDARY.encode() + b"--\r\n",
        body(part(b"x", field="Other")),
        body(part(b"")),
        body(part(b"x", name="")),
        body(part(b"x", head='Content-Disposition: form-data; name="FileUpload"')),
    ],
    ids=["empty", "no part", "another name", "no bytes", "no file name", "a plain field"],
)
def test_no_file(user: Client, content: bytes) -> None:
    """A body without a file says so, or that it is no form."""
    error = refused(user, content)
    assert error == NO_FILE or error.message.startswith(BROKEN)


@pytest.mark.parametrize(
    "content",
    [
        b"no form at all",
        part(b"x"),
        part(b"x")[:-20],
        body(part(b"x"))[:-6],
        body(part(b"x", head="Content-Type: text/plain")),
        body(part(b"x", head='Content-Disposition: attachment; name="FileUpload"; filename="a"')),
        body(part(b"x", head="no header")),
        body(part(b"x", head='Content-Disposition: form-data; name="FileUpload"; filename="a"' + "\r\nA: b" * 40)),
        body(part(b"x")).replace(b"\r\n", b"\n"),
        b"\xff\xfe" * 500,
        body(part(b"x", head="A" * 70_000)),
    ],
    ids=[
        *("text", "no end", "cut", "half an end", "no disposition", "attachment", "no header", "many headers", "lf"),
        *("bytes", "a long header"),
    ],
)
def test_broken_forms(user: Client, content: bytes) -> None:
    """A broken body is refused with the reason."""
    error = refused(user, content)
    assert error.code == "ERROR"
    assert error.message.startswith(BROKEN)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("multipart/mixed; boundary=x", 415),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400),
        ("multipart/form-data; boundary=" + "x" * 300, 400),
        ("application/json", 415),
        ("text/plain", 415),
    ],
)
def test_other_content_types(user: Client, kind: str, status: int) -> None:
    """Only ``multipart/form-data`` with a boundary is accepted."""
    response = user.send("POST", "/api/Files/Post", body(part(b"x")), {"Content-Type": kind})
    assert (response.status_code, error_of(response).code) == (status, "ERROR")


def test_two_files(user: Client) -> None:
    """A body with two files is refused."""
    message = "The body has several files; upload one file in each call"
    assert refused(user, body(part(b"a"), part(b"b"))) == WireError("ERROR", message)


def test_signed_uploads(user: Client) -> None:
    """A signed upload is UNAUTHORIZED."""
    headers = {**FORM, "x-auth-signature": "eA==", "x-auth-keyid": "1", "x-auth-timestamp": "1"}
    message = "Request signing is not supported for file uploads."
    assert refused(user, body(part(b"x")), headers) == WireError("UNAUTHORIZED", message)


def test_without_a_rule(user: Client) -> None:
    """A caller without a rule is refused before the body is read."""
    assert refused(user.as_user(None), body(part(b"x" * 3_000 * KB))) == WireError(
        "UNAUTHORIZED", "Unauthorized", None, "Files"
    )


# --- Names and types --------------------------------------------------------------------------------------------------


@pytest.mark.stores
@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\a.txt", "a.txt"),
        ("/etc/cron.d/job", "job"),
        ("a/../b.txt", "b.txt"),
        ("file:///x.txt", "x.txt"),
        ("%2e%2e%2fa.txt", "%2e%2e%2fa.txt"),
        (".htaccess", ".htaccess"),
        ("data.db", "data.db"),
        ("x" * 251 + ".txt", "x" * 251 + ".txt"),
    ],
)
def test_paths_in_names(user: Client, folder: Path, sent: str, name: str) -> None:
    """Only the last part of a path is kept, as text of the record; the name on the disk is the UID."""
    response = upload(user, b"x", sent)
    assert response.status_code == 200, response.text
    found = user.get("Files/GetByID", id=response.json()).json()
    assert found["Name"] == name
    assert [path.name for path in folder.iterdir()] == [found["UID"]]
    assert download(user, response.json()).content == b"x"
    user.delete("Files/Delete", ids=response.json())
    assert list(folder.iterdir()) == []


CONTROL = "The file name contains a control character or a mark of text direction; rename the file"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a\0.txt", CONTROL),
        ("a%0D%0Ab.txt", CONTROL),
        ("a\u202etxt.exe", CONTROL),
        ("a\u2066b", CONTROL),
        ("x" * 10_000, "The file name has 10000 characters; at most 255 are possible"),
        ("..", "The file has no name; send filename"),
        ("a/", "The file has no name; send filename"),
        (" / ", "The file has no name; send filename"),
        ("run.exe", "Files with the extension .exe are not accepted"),
        ("run.EXE", "Files with the extension .exe are not accepted"),
        ("run.exe. .", "Files with the extension .exe are not accepted"),
        ("run.exe::$DATA", "Files with the extension .exe are not accepted"),
        ("a.txt.js", "Files with the extension .js are not accepted"),
        (".bat", "Files with the extension .bat are not accepted"),
    ],
    ids=str,
)
def test_names_that_deceive(user: Client, name: str, message: str) -> None:
    """Names with control characters or marks of direction, of 10 KB, without a name, or blocked are refused."""
    assert error_of(upload(user, b"x", name)) == WireError("ERROR", message)


def test_extended_names_that_deceive(user: Client) -> None:
    """The same holds for ``filename*`` and for encoded words, which hide their characters."""
    for given in ("filename=a; filename*=utf-8''a%00b", "filename*=utf-8''%E2%80%AEb", 'filename="=?utf-8?Q?a=00b?="'):
        head = f"Content-Disposition: form-data; name=FileUpload; {given}"
        assert refused(user, body(part(b"x", head=head))) == WireError("ERROR", CONTROL)
    for given in ("filename*=utf-8''%FF", "filename*=nothing''a"):
        head = f"Content-Disposition: form-data; name=FileUpload; {given}"
        assert refused(user, body(part(b"x", head=head))).message.startswith("The file name is not valid")


def test_a_program_under_another_name(user: Client) -> None:
    """A Windows program is refused under every name, because its content is of a blocked type."""
    program = b"MZ\x90\x00\x03\0\0\0\x04\0\0\0\xff\xff" + b"\0" * 200
    for name in ("photo.png", "letter.txt", "noextension"):
        assert error_of(upload(user, program, name)).message.startswith("The content is a .exe file")


# --- Clients that stop ------------------------------------------------------------------------------------------------


def raw(user: Client, head: str, content: bytes) -> socket.socket:
    """A connection that has sent the head of an upload and some of its body."""
    address = urlsplit(user.url)
    connection = socket.create_connection((address.hostname, address.port), timeout=20)
    lines = [f"POST /api/Files/Post HTTP/1.1\r\nHost: x\r\nContent-Type: {TYPE}", head]
    lines += [f"{name}: {value}" for name, value in user.headers().items()]
    connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
    return connection


@pytest.mark.parametrize("declared", ["Content-Length: 90000", "Transfer-Encoding: chunked"])
def test_a_client_that_stops_half_way(user: Client, folder: Path, declared: str) -> None:
    """A client that disconnects leaves nothing, and others are served meanwhile."""
    half = part(b"x" * 40_000)[:-2]
    chunk = half if declared.startswith("Content") else b"%x\r\n" % len(half) + half + b"\r\n"
    connections = [raw(user, declared, chunk) for _ in range(8)]
    deadline = time.monotonic() + 10
    while len(list(folder.iterdir())) < 8 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert {path.suffix for path in folder.iterdir()} == {".part"}
    assert user.get("Files/Get").json() == {"Data": []}
    for connection in connections:
        connection.close()
    while list(folder.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert list(folder.iterdir()) == []


def test_more_bytes_than_declared(user: Client) -> None:
    """A body that is cut off by its declared length is refused as incomplete."""
    whole = body(part(b"x" * 100))
    with raw(user, f"Content-Length: {len(whole) - 30}\r\nConnection: close", whole) as connection:
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 400")
    assert BROKEN.encode() in answer
