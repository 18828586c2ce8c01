"""Request bodies: JSON, missing bodies, and bodies that are too large
(docs/reference/protocol/wire-api.md sections 1.1, 4.4; docs/reference/protocol/errors.md B-E7).
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from apilane.testing.client import PASSWORD, Client, WireError, bare_error_of, error_of

JSON = {"Content-Type": "application/json"}
POST = "/api/Data/Post?entity=Values"
EMPTY = WireError("EMPTY_BODY", "Empty body", None, "Values")
WRONG = WireError("ERROR", "Something went wrong", None, "Values")


@pytest.mark.better("B-W8")
@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "json",
        None,
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/Data/Post?entity=Values"),
        ("PUT", "/api/Data/Put?entity=Values"),
        ("POST", "/api/Account/Login"),
        ("POST", "/api/Account/Register"),
    ],
)
def test_other_content_types(lab: Client, method: str, path: str, kind: str | None) -> None:
    """A body with a content type other than JSON, or with none, is 415 with the standard body."""
    response = lab.send(method, path, b'{"Text":"x"}', {"Content-Type": kind} if kind else {})
    assert response.status_code == 415
    assert error_of(response).code == "ERROR"


@pytest.mark.parametrize(
    "kind",
    ["application/json", "APPLICATION/JSON", "application/json; charset=utf-8", "application/json;charset=UTF-8"],
)
def test_json_content_types(lab: Client, kind: str) -> None:
    """The JSON content type is accepted in any letter case and with a charset."""
    assert lab.send("POST", POST, b'{"Text":"x"}', {"Content-Type": kind}).status_code == 200


NO_JSON: dict[str, bytes] = {
    "empty": b"",
    "blank": b"  \n",
    "cut off": b'{"Text":',
    "single quotes": b"{'Text':'x'}",
    "trailing comma": b'{"Text":"x",}',
    "trailing comma in list": b'[{"Text":"x"},]',
    "comment": b'{"Text":"x"} // no',
    "two documents": b'{"Text":"x"}{"Text":"y"}',
    "NaN": b'{"Whole":NaN}',
    "Infinity": b'{"Whole":-Infinity}',
    "no UTF-8": b'{"Text":"\xff\xfe"}',
    "UTF-16": '{"Text":"x"}'.encode("utf-16"),
    "high surrogate": b'{"Text":"\\ud83d"}',
    "low surrogate": b'{"Text":"\\ude00"}',
    "surrogate in a name": b'{"\\ud800":1}',
    "raw surrogate": b'{"Text":"\xed\xa0\x80"}',
    "overlong UTF-8": b'{"Text":"\xc0\xaf"}',
    "control character": b'{"Text":"a\nb"}',
    "leading zero": b'{"Whole":01}',
    "bare word": b"Text",
    "depth 101": b"[" * 101 + b"]" * 101,
    "depth 100000": b"[" * 100_000,
}


@pytest.mark.better("B-E7")
@pytest.mark.parametrize("body", [*NO_JSON.values()], ids=[*NO_JSON])
def test_no_json(lab: Client, body: bytes) -> None:
    """Invalid JSON counts as a missing body, and stores nothing."""
    before = lab.get("Data/Get", entity="Values", pageSize=1, getTotal="true").json()["Total"]
    assert bare_error_of(lab.send("POST", POST, body, JSON)) == EMPTY
    assert bare_error_of(lab.send("PUT", "/api/Data/Put?entity=Values", body, JSON)) == EMPTY
    assert lab.get("Data/Get", entity="Values", pageSize=1, getTotal="true").json()["Total"] == before


@pytest.fixture(scope="module")
def user(shop: Client) -> Client:
    """A signed-in user of the shop."""
    return shop.signed_in("user")


@pytest.mark.better("B-E7")
@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 101 + b"]" * 101])
def test_no_json_in_account_calls(shop: Client, user: Client, body: bytes) -> None:
    """Each Account call has its own answer to a missing body."""
    for path in ("Login", "Register"):
        response = shop.send("POST", f"/api/Account/{path}", body, JSON)
        assert bare_error_of(response) == WireError("EMPTY_BODY", "Empty body"), path
    for client in (shop, user):
        response = client.send("PUT", "/api/Account/Update", body, JSON)
        assert error_of(response) == WireError("ERROR", "Something went wrong")
        response = client.send("PUT", "/api/Account/ChangePassword", body, JSON)
        assert bare_error_of(response) == WireError("EMPTY_BODY", "Empty body")


@pytest.mark.parametrize("body", [b"5", b"true", b'"x"', b"[]", b"[{}]"])
def test_account_bodies_are_objects(shop: Client, body: bytes) -> None:
    """Register and Update refuse a body that is not an object; in typed calls it counts as missing."""
    assert error_of(shop.send("POST", "/api/Account/Register", body, JSON)) == WireError(
        "ERROR", "Something went wrong"
    )
    assert error_of(shop.send("PUT", "/api/Account/Update", body, JSON)) == WireError("ERROR", "Something went wrong")
    assert bare_error_of(shop.send("POST", "/api/Account/Login", body, JSON)) == WireError("EMPTY_BODY", "Empty body")


@pytest.mark.better("B-E7")
def test_depth_100(lab: Client) -> None:
    """Nesting up to 100 levels is accepted; nested arrays are flattened."""
    ids = lab.send("POST", POST, b"[" * 99 + b'{"Text":"deep"}' + b"]" * 99, JSON).json()
    assert [lab.record("Values", id)["Text"] for id in ids] == ["deep"]


@pytest.mark.better("B-E7")
def test_duplicate_keys(lab: Client) -> None:
    """When a key is repeated in an object the last value counts."""
    (id,) = lab.send("POST", POST, b'{"Text":"first","Whole":1,"Text":"last"}', JSON).json()
    assert lab.record("Values", id, properties="Text,Whole") == {"ID": id, "Text": "last", "Whole": 1}


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ({"Text": "a"}, ["a"]),
        ([], []),
        ([None], []),
        ([[], [None, []]], []),
        ([{"Text": "a"}], ["a"]),
        ([[{"Text": "a"}], None, [[{"Text": "b"}, None], {"Text": "c"}]], ["a", "b", "c"]),
        (json.dumps({"Text": "a"}), ["a"]),
        (json.dumps([{"Text": "a"}, None, {"Text": "b"}]), ["a", "b"]),
        ("[]", []),
        ({}, [None]),
        ([{}, {"Nope": 1}], [None, None]),
    ],
)
def test_shapes(lab: Client, body: Any, texts: list[str | None]) -> None:
    """Objects, lists, nested lists and JSON within a JSON string are read as records; null elements are skipped."""
    ids = lab.send("POST", POST, json.dumps(body).encode(), JSON).json()
    assert [lab.record("Values", id)["Text"] for id in ids] == texts


@pytest.mark.better("B-W6")
@pytest.mark.parametrize("body", [5, 1.5, True, False, "x", "5", '"x"', "", "[", [5], [{"Text": "a"}, "x"]])
def test_scalars(lab: Client, body: Any) -> None:
    """A scalar is an error, also as an element or as JSON text, and nothing is stored (B-W6)."""
    total = lab.get("Data/Get", entity="Values", getTotal="true").json()["Total"]
    assert error_of(lab.send("POST", POST, json.dumps(body).encode(), JSON)) == WRONG
    if not isinstance(body, list):
        assert error_of(lab.send("PUT", "/api/Data/Put?entity=Values", json.dumps(body).encode(), JSON)) == WRONG
    assert lab.get("Data/Get", entity="Values", getTotal="true").json()["Total"] == total


@pytest.mark.better("B-W1")
def test_names_ignore_case(lab: Client, shop: Client) -> None:
    """Property names of every free-form body ignore letter case, ID included (B-W1)."""
    (id,) = lab.add("Values", {"TEXT": "a", "whole": 1})
    assert lab.change("Values", {"iD": id, "tExT": "b"}) == 1
    assert lab.record("Values", id, properties="Text,Whole") == {"ID": id, "Text": "b", "Whole": 1}
    person = {"EMAIL": "case@example.com", "username": "caseless", "pASSWORD": PASSWORD, "firstname": "C"}
    assert shop.post("Account/Register", person).status_code == 200
    user = shop.as_user(shop.login("caseless"))
    assert user.put("Account/Update", {"FIRSTNAME": "D"}).json()["Firstname"] == "D"


@pytest.mark.better("B-W1")
def test_typed_names_ignore_case(shop: Client) -> None:
    """Typed bodies ignore the letter case of names and unknown properties; unused properties may be null."""
    shop.register("typed")
    body = {"EMAIL": None, "userName": "typed", "passWORD": PASSWORD, "Remember": True}
    assert shop.post("Account/Login", body).status_code == 200


# --- Size and transfer ----------------------------------------------------------------------------------------------

LIMIT = 30_000_000


def _parts(total: int) -> Iterator[bytes]:
    """``{"Text":"big"}`` with blanks up to the given size."""
    yield b'{"Text":"big"}'
    left = total - 14
    while left:
        part = min(left, 1_000_000)
        yield b" " * part
        left -= part


def test_largest_body(lab: Client) -> None:
    """A body of exactly 30,000,000 bytes is accepted, with a declared length and in chunks."""
    declared = lab.send("POST", POST, b"".join(_parts(LIMIT)), JSON)
    assert declared.status_code == 200
    assert lab.send("POST", POST, _parts(LIMIT), JSON).status_code == 200


def test_too_large_in_chunks(lab: Client) -> None:
    """A chunked body with one more byte is an error that is found while reading."""
    try:
        response = lab.send("POST", POST, _parts(LIMIT + 1), JSON)
    except OSError:  # pragma: no cover - the server may close before everything was sent
        return
    told = f"Something went wrong: the body has more than {LIMIT} bytes, and the limit is {LIMIT}"
    assert error_of(response) == WireError("ERROR", told)
    assert response.status_code == 400


def _raw(lab: Client, request: bytes) -> bytes:
    """Everything that the server sends until it closes the connection."""
    host, port = lab.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


def test_too_large_as_declared(lab: Client) -> None:
    """A declared length over the limit is answered at once, and the connection is closed."""
    head = f"POST {POST} HTTP/1.1\r\nHost: x\r\nx-application-token: {lab.token}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {LIMIT + 1}\r\n\r\n"
    answer = _raw(lab, head.encode() + b"{")
    assert answer.startswith(b"HTTP/1.1 400")
    told = f"Something went wrong: the body has {LIMIT + 1} bytes, and the limit is {LIMIT}"
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["Message"] == told


def test_chunked(lab: Client) -> None:
    """A chunked body is joined, also when a chunk ends within a character; an empty one counts as missing."""
    text = '{"Text":"Φως"}'.encode()
    (id,) = lab.send("POST", POST, (text[i : i + 1] for i in range(len(text))), JSON).json()
    assert lab.record("Values", id)["Text"] == "Φως"
    assert bare_error_of(lab.send("POST", POST, iter([b""]), JSON)) == EMPTY


def test_get_with_a_body(lab: Client) -> None:
    """A body on a GET request is ignored."""
    response = lab.send("GET", "/api/Data/Get?entity=Values&pageSize=1", b"nonsense", {"Content-Type": "text/plain"})
    assert response.status_code == 200
