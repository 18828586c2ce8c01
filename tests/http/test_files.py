"""Files over real HTTP: upload, records, download, links, delete (docs/reference/protocol/wire-api.md section 5)."""

from __future__ import annotations

import re
import time
from itertools import count
from typing import Any
from uuid import uuid4

import httpx
import pytest

from apilane.instance import Instance
from apilane.testing.client import Client, WireError, error_of
from apilane.testing.server import Server
from apilane_files.local import LocalStore
from apilane_files.orphans import delete_orphans
from tests.http.conftest import AsOperator, NewClient
from tests.http.test_tenants import MANIFEST as TENANTS
from tests.http.uploads import FILES, FORM, body, download, part, upload

UNKNOWN = WireError("FILE_NOT_FOUND", "File not found")
DENIED = WireError("UNAUTHORIZED", "Unauthorized", None, "Files")
NUMBERS = count()


@pytest.fixture(scope="module")
def application(new_application: NewClient) -> Client:
    """An anonymous caller."""
    return new_application(FILES)


@pytest.fixture
def user(application: Client) -> Client:
    """A new user."""
    return application.signed_in(f"user{next(NUMBERS)}")


def stored(user: Client, content: bytes = b"hello", name: str = "note.txt") -> int:
    """The ID of a new file."""
    response = upload(user, content, name)
    assert response.status_code == 200, response.text
    made: int = response.json()
    return made


def record(user: Client, id: int) -> dict[str, Any]:
    """The record of a file."""
    found: dict[str, Any] = user.get("Files/GetByID", id=id).json()
    return found


def test_a_file_and_its_record(user: Client) -> None:
    """A file has a record with its name, size in MB, UID, owner and time, and its bytes come back by ID and UID."""
    content = bytes(range(256)) * 300
    id = stored(user, content, "Καφές.txt")
    found = record(user, id)
    assert (found["ID"], found["Name"], found["Size"]) == (id, "Καφές.txt", 0.073242)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", found["UID"])
    assert found["Owner"] == user.get("Account/UserData").json()["User"]["ID"]
    assert user.get("Files/Get").json() == {"Data": [found]}
    assert user.get("Files/Get", getTotal="true", properties="Name").json() == {
        "Total": 1,
        "Data": [{"ID": id, "Name": "Καφές.txt"}],
    }
    for query in (f"fileID={id}", f"fileUID={found['UID']}", f"fileid={id}&fileUID={uuid4()}"):
        assert user.send("GET", f"/api/Files/Download?{query}").content == content


@pytest.mark.better("B-F2")
def test_headers_of_a_download(user: Client, application: Client) -> None:
    """A download has its type, length, name, tag, cache time, and headers that keep it from running as a page."""
    id = stored(user, b"<svg/>", "a %22b%22 Ω.svg")
    answer = download(user, id)
    uid = record(user, id)["UID"]
    headers = {name: answer.headers.get(name) for name in ("content-type", "content-length", "etag", "accept-ranges")}
    assert headers == {
        "content-type": "image/svg+xml",
        "content-length": "6",
        "etag": f'"{uid}"',
        "accept-ranges": "bytes",
    }
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"a _b_ _.svg\"; filename*=UTF-8''a%20%22b%22%20%CE%A9.svg"
    )
    refused = download(application, id)
    assert error_of(refused) == DENIED
    assert "cache-control" not in refused.headers


@pytest.mark.parametrize(
    ("asked", "status", "shown", "content"),
    [
        ("bytes=0-0", 206, "bytes 0-0/10", b"0"),
        ("bytes=3-5", 206, "bytes 3-5/10", b"345"),
        ("bytes=7-", 206, "bytes 7-9/10", b"789"),
        ("bytes=-4", 206, "bytes 6-9/10", b"6789"),
        ("bytes=-99", 206, "bytes 0-9/10", b"0123456789"),
        ("bytes=8-99", 206, "bytes 8-9/10", b"89"),
        ("bytes=10-", 416, "bytes */10", None),
        ("bytes=-0", 416, "bytes */10", None),
        ("bytes=5-3", 200, None, b"0123456789"),
        ("bytes=0-1,3-4", 200, None, b"0123456789"),
        ("bytes=-", 200, None, b"0123456789"),
        ("bytes=a-b", 200, None, b"0123456789"),
        ("lines=1-2", 200, None, b"0123456789"),
    ],
)
@pytest.mark.better("B-F2")
def test_ranges(user: Client, asked: str, status: int, shown: str | None, content: bytes | None) -> None:
    """One range is answered with 206, one outside of the file with 416; others are ignored."""
    answer = download(user, stored(user, b"0123456789"), Range=asked)
    assert (answer.status_code, answer.headers.get("content-range")) == (status, shown)
    if content is None:
        assert answer.json()["Code"] == "ERROR"
    else:
        assert answer.content == content
        assert answer.headers["content-length"] == str(len(content))


@pytest.mark.better("B-F2")
def test_a_known_content_is_not_sent_again(user: Client) -> None:
    """With the tag of the content the answer is 304; a range of another content is not sent."""
    id = stored(user, b"0123456789")
    tag = download(user, id).headers["etag"]
    for known in (tag, f'"other", W/{tag}', "*"):
        answer = download(user, id, If_None_Match=known)
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert download(user, id, If_None_Match='"other"').status_code == 200
    assert download(user, id, Range="bytes=1-1", If_Range=tag).content == b"1"
    assert download(user, id, Range="bytes=1-1", If_Range='"other"').status_code == 200


@pytest.mark.better("B-F1")
def test_unknown_and_forbidden_look_alike(application: Client, user: Client) -> None:
    """An unknown file and the file of another user have the same answer; without a rule both are UNAUTHORIZED."""
    other = application.signed_in(f"user{next(NUMBERS)}")
    id = stored(user)
    uid = record(user, id)["UID"]
    for query in (f"fileID={id}", f"fileUID={uid}", "fileID=999999", f"fileUID={uuid4()}", "fileID=x", "fileUID=../x"):
        assert error_of(other.send("GET", f"/api/Files/Download?{query}")) == UNKNOWN
        assert error_of(application.send("GET", f"/api/Files/Download?{query}")) == DENIED
    assert error_of(other.get("Files/GetByID", id=id)) == WireError("NOT_FOUND", "Record not found")
    missing = user.send("GET", "/api/Files/Download")
    assert (missing.status_code, error_of(missing)[:2]) == (404, ("NOT_FOUND", "Give the parameter fileID or fileUID"))


def test_delete(application: Client, user: Client, server: Server) -> None:
    """Delete removes own files with their bytes; files of others stay; without IDs there is an error."""
    other = application.signed_in(f"user{next(NUMBERS)}")
    mine, foreign = [stored(user), stored(user)], stored(other)
    folder = server.data_dir / "apps" / application.token / "files"
    paths = {
        id: folder / record(caller, id)["UID"] for caller, id in ((user, mine[0]), (user, mine[1]), (other, foreign))
    }
    assert all(path.exists() for path in paths.values())
    assert user.delete("Files/Delete", ids=f"{foreign},{mine[1]},x,{mine[0]}").json() == mine
    assert [path.exists() for path in paths.values()] == [False, False, True]
    assert error_of(download(user, mine[0])) == UNKNOWN
    for query in ({}, {"ids": "x"}):
        refused = error_of(user.delete("Files/Delete", **query))
        assert refused.code == "NO_RECORDS_FOUND_TO_DELETE"


def test_bytes_that_are_gone(user: Client, application: Client, server: Server) -> None:
    """A record without bytes answers NOT_FOUND, and can be deleted."""
    id = stored(user)
    uid = record(user, id)["UID"]
    (server.data_dir / "apps" / application.token / "files" / uid).unlink()
    assert error_of(download(user, id)) == WireError("NOT_FOUND", f"File '{uid}' not found.")
    assert user.delete("Files/Delete", ids=id).json() == [id]


def test_contents_without_a_record(user: Client, application: Client, server: Server) -> None:
    """Contents without a record are deleted on every database; those with a record stay."""
    folder = server.data_dir / "apps" / application.token / "files"
    ids = [stored(user), stored(user)]
    kept = {record(user, id)["UID"] for id in ids}
    orphans = [str(uuid4()) for _ in range(130)]
    for name in orphans:
        (folder / name).write_text("x")

    async def search(instance: Instance) -> int:
        found = await instance.applications.find(application.token)
        assert found is not None
        return await delete_orphans(found, LocalStore(server.data_dir), 0)

    assert server.with_instance(search) >= len(orphans)
    names = {path.name for path in folder.iterdir()}
    assert kept <= names
    assert names.isdisjoint(orphans)


@pytest.mark.better("B-F3")
def test_a_planted_uid_opens_no_other_file(user: Client, application: Client, server: Server) -> None:
    """A record whose UID the server did not make opens nothing."""
    (server.data_dir / "apps" / application.token / "secret").write_text("secret")
    for number, uid in enumerate(("../secret", "../data.db", "/etc/passwd", "..", "a\\b", "x" * 300)):
        id = 1000 + number
        values = (id, "x.txt", f"{uid}", 1, 1, user.get("Account/UserData").json()["User"]["ID"])
        text = 'INSERT INTO "Files" ("ID", "Name", "UID", "Size", "Created", "Owner") VALUES (?, ?, ?, ?, ?, ?)'
        server.sql(application.token, text, values)
        assert error_of(download(user, id)) == WireError("NOT_FOUND", f"File '{uid}' not found.")
        assert user.delete("Files/Delete", ids=id).json() == [id]
    assert (server.data_dir / "apps" / application.token / "secret").exists()


@pytest.mark.better("B-F1")
def test_operators(user: Client, application: Client, as_operator: AsOperator, server: Server) -> None:
    """An operator reads every property of every file, uploads without an owner and deletes, on record."""
    operator = as_operator(application)
    id = stored(user)
    assert operator.get("Files/GetByID", id=id).json() == record(user, id)
    own = stored(operator, b"of an operator")
    assert operator.get("Files/GetByID", id=own).json()["Owner"] is None
    assert download(operator, id).content == b"hello"
    assert operator.delete("Files/Delete", ids=f"{id},{own}").json() == [id, own]


def test_tenants(new_application: NewClient, server: Server) -> None:
    """A file belongs to the tenant of its uploader, and other tenants do not see it."""
    rules = [
        {
            "Entity": "Files",
            "Role": "AUTHENTICATED",
            "Action": action,
            **({"Properties": "*"} if action == "get" else {}),
        }
        for action in ("get", "post", "delete")
    ]
    client = new_application({**TENANTS, "Security": [*TENANTS["Security"], *rules]})
    users = []
    for company, name in ((1, "ones"), (2, "twos")):
        client.register(name)
        values = (company, 1, f"company {company}")
        server.sql(client.token, 'INSERT INTO "Company" ("ID", "Created", "Title") VALUES (?, ?, ?)', values)
        server.sql(client.token, 'UPDATE "Users" SET "Company_ID" = ? WHERE "Username" = ?', (company, name))
        users.append(client.as_user(client.login(name)))
    one, two = users
    id = stored(one)
    assert record(one, id)["Company_ID"] == 1
    assert two.get("Files/Get").json() == {"Data": []}
    assert error_of(download(two, id)) == UNKNOWN
    assert two.delete("Files/Delete", ids=id).json() == []
    assert download(one, id).content == b"hello"


def test_public_files_and_rate_limits(new_application: NewClient) -> None:
    """A rule for ANONYMOUS makes files public and cacheable by all; its rate limit counts downloads."""
    limited = {"RateLimit": {"MaxRequests": 2, "Per": "Hour"}}
    rules = [
        {"Entity": "Files", "Role": "ANONYMOUS", "Action": "get", "Properties": ["Name"], **limited},
        {"Entity": "Files", "Role": "ANONYMOUS", "Action": "post"},
    ]
    anonymous = new_application({**FILES, "Security": rules})
    id = stored(anonymous)
    assert anonymous.get("Files/Get").json() == {"Data": [{"ID": id, "Name": "note.txt"}]}
    answer = download(anonymous, id)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "x-application-token" in answer.headers["vary"]
    assert error_of(download(anonymous, id)).code == "RATE_LIMIT_EXCEEDED"
    assert error_of(anonymous.delete("Files/Delete", ids=id)) == DENIED


def test_sort_filter_and_order(user: Client) -> None:
    """Lists of files are ordered by ID, and take sort and filter like other entities."""
    ids = [stored(user, b"x" * size, f"{size}.txt") for size in (3, 1, 2)]
    assert [each["ID"] for each in user.get("Files/Get").json()["Data"]] == ids
    sorted_names = user.get("Files/Get", sort='{"Property":"Name","Direction":"ASC"}', properties="Name").json()["Data"]
    assert [each["Name"] for each in sorted_names] == ["1.txt", "2.txt", "3.txt"]
    found = user.get("Files/Get", filter='{"Property":"Name","Operator":"equal","Value":"2.txt"}').json()["Data"]
    assert [each["ID"] for each in found] == [ids[2]]


# --- What clients send ------------------------------------------------------------------------------------------------

NET_CLIENT = "Content-Type: multipart/form-data\r\nContent-Disposition: form-data; name=FileUpload; "


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (NET_CLIENT + "filename=plain.txt; filename*=utf-8''plain.txt", "plain.txt"),
        (NET_CLIENT + "filename=\"=?utf-8?B?zrEudHh0?=\"; filename*=utf-8''%CE%B2.txt", "β.txt"),
        (NET_CLIENT + 'filename="=?utf-8?B?zrEudHh0?="', "α.txt"),
        ('Content-Disposition: form-data; name="fileupload"; filename="Ω é.txt"', "Ω é.txt"),
        ('Content-Disposition: form-data; name="FILEUPLOAD"; filename="a%22b.txt"', 'a"b.txt'),
        ('Content-Disposition: form-data; name="FileUpload"; filename="C:\\dir\\file.txt"', "file.txt"),
        ('Content-Disposition: form-data; name="FileUpload"; filename="noextension"', "noextension"),
    ],
)
def test_names_as_clients_send_them(user: Client, head: str, name: str) -> None:
    """Names of the .NET client, of browsers and of old browsers are read, and the part's content type is ignored."""
    quoted = {"Content-Type": f'{FORM["Content-Type"].partition("=")[0]}="----b"'}
    response = user.send("POST", "/api/Files/Post?uid=mine&public=true", body(part(b"x", head=head)), quoted)
    assert response.status_code == 200, response.text
    assert record(user, response.json())["Name"] == name
    assert record(user, response.json())["UID"] != "mine"


def test_the_file_among_other_parts(user: Client) -> None:
    """Other parts before and after the file are ignored, and the body may arrive in any pieces."""
    whole = body(part(b"1", field="a"), part(b"the file"), part(b"2", field="b"))
    pieces = [whole[at : at + 7] for at in range(0, len(whole), 7)]
    response = upload(user, iter(pieces))
    assert response.status_code == 200, response.text
    assert download(user, response.json()).content == b"the file"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
        ("a.png", b"<html><script>alert(1)</script>", "text/html"),
        ("a.txt", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
        ("a.jpg", b"%PDF-1.7\n", "application/pdf"),
        ("a.txt", b"MZ says hello", "text/plain"),
        ("a.html", b"<!DOCTYPE html><p>", "text/html"),
        ("a.svg", b"<?xml version='1.0'?><svg/>", "image/svg+xml"),
        ("a.DOCX", b"PK\x03\x04\x14\0\0\0", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("a.zip", b"PK\x03\x04\x14\0\0\0", "application/zip"),
        ("a.json", b'{"a":1}', "application/json"),
        ("a.unknown", b"<html>", "application/octet-stream"),
        ("a", b"text", "application/octet-stream"),
    ],
)
def test_types(user: Client, name: str, content: bytes, expected: str) -> None:
    """The type is that of the extension, unless the content is certainly of another type."""
    id = stored(user, content, name)
    assert download(user, id).headers["content-type"] == expected
    assert download(user, id, Range="bytes=1-2").headers["content-type"] == expected


# --- Links ------------------------------------------------------------------------------------------------------------


def linked(caller: Client, target: str) -> httpx.Response:
    """Open a link without any header of Apilane."""
    return httpx.get(caller.url + target, trust_env=False)


def test_a_link_needs_no_token(user: Client, application: Client) -> None:
    """A link to a readable file works without a session until it expires, and shows no token of a user."""
    id = stored(user, b"shared", "shared.txt")
    before_ms = time.time() * 1000
    made = user.get("Files/Link", fileID=id, seconds=60).json()
    assert 59_000 <= made["Expires"] - before_ms <= 61_000
    assert user.user is not None
    assert user.user not in made["Url"]
    answer = linked(user, made["Url"])
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"shared", "text/plain")
    assert re.fullmatch(r"private, max-age=(60|5\d)", answer.headers["cache-control"])
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["referrer-policy"] == "no-referrer"
    user.delete("Files/Delete", ids=id)
    assert error_of(linked(user, made["Url"])) == UNKNOWN


def test_only_readable_files_have_links(user: Client, application: Client) -> None:
    """A caller gets links only to files that it may read, and for a limited time."""
    other = application.signed_in(f"user{next(NUMBERS)}")
    id = stored(user)
    assert error_of(other.get("Files/Link", fileID=id)) == UNKNOWN
    assert error_of(application.get("Files/Link", fileID=id)) == DENIED
    for seconds in ("0", "-1", "x", "604801", "9" * 30):
        refused = error_of(user.get("Files/Link", fileID=id, seconds=seconds))
        assert refused.message == f"The parameter seconds is {seconds[:20]!r}; expected 1 to 604800"


def test_changed_and_expired_links(user: Client, new_application: NewClient) -> None:
    """A link with any part changed, of another application or after its time is UNAUTHORIZED."""
    id, other = stored(user), stored(user)
    uid, target = record(user, other)["UID"], user.get("Files/Link", fileID=id, seconds=1).json()["Url"]
    expires = int(re.search(r"expires=(\d+)", target)[1])  # type: ignore[index]
    foreign = new_application(FILES).token
    changed = [
        re.sub("fileUID=[^&]+", f"fileUID={uid}", target),
        target.replace(f"expires={expires}", f"expires={expires + 9999}"),
        target.replace(f"expires={expires}", "expires=" + "9" * 5000),
        target.replace(f"expires={expires}", "expires=x"),
        target.replace(user.token, foreign),
        target[:-1] + ("A" if target[-1] != "A" else "B"),
        re.sub("&signature=.*", "", target),
        re.sub("signature=.*", "signature=%FF%00", target),
    ]
    for each in changed:
        refused = linked(user, each)
        assert error_of(refused).message == "The link is not valid or has expired; ask for a new one", each
    time.sleep(max(0, expires - time.time()) + 0.05)
    assert linked(user, target).status_code == 401
