"""The exact requests of the client and the results it reads from answers, without a server."""

from __future__ import annotations

import base64
import inspect
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from hashlib import sha256
from io import BytesIO
from typing import Any

import httpx
import pytest

import apilane.client
from apilane.client import Call, Client, Credentials, Custom, Delete, F, Filter, Post, Put, ref
from apilane.client.call import json_text, target_of
from apilane.client.filters import Sort, sort_keys
from apilane.client.session import Session

TOKEN = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
KEY = Credentials(TOKEN, 42)
URL = "http://127.0.0.1:1"
APPLICATION = "a71a5000-0000-4000-8000-000000000001"


def _call(build: Callable[[Client], object]) -> Call[Any]:
    """The request that a method builds."""
    kept: list[Call[Any]] = []

    class Unsent(Exception):
        pass

    class Keeping(Client):
        def send(self, call: Any) -> Any:
            kept.append(call)
            raise Unsent

    with Keeping(URL, APPLICATION) as client, pytest.raises(Unsent):
        build(client)
    return kept[0]


def _request(call: Call[Any], **options: Any) -> httpx.Request:
    with httpx.Client() as http:
        return Session(
            URL, APPLICATION, options.pop("user", None), **{"signed": False, "retries": 0} | options
        ).request(http, call)


def _result(call: Call[Any], status: int = 200, headers: dict[str, str] | None = None, content: bytes = b"") -> Any:
    session = Session(URL, APPLICATION, KEY, signed=False, retries=0)
    return session.result(call, httpx.Response(status, headers=headers, content=content))


# --- Building ---------------------------------------------------------------------------------------------------------

RECORD = {"Title": "Καφές"}

BUILT: list[tuple[Callable[[Client], object], str, str, object]] = [
    (
        lambda c: c.get("Products"),
        "GET",
        "/api/Data/Get?Entity=Products&pageIndex=1&pageSize=20&getTotal=false",
        None,
    ),
    (
        lambda c: c.get("P", filter=F("A") == "a&b+c", sort="-A", properties=["A", "B"], page_index=2, total=True),
        "GET",
        "/api/Data/Get?Entity=P&pageIndex=2&pageSize=20"  # noqa: ISC004
        "&filter=%7B%22Property%22%3A%22A%22%2C%22Operator%22%3A%22equal%22%2C%22Value%22%3A%22a%26b%2Bc%22%7D"
        "&sort=%5B%7B%22Property%22%3A%22A%22%2C%22Direction%22%3A%22DESC%22%7D%5D&properties=A%2CB&getTotal=true",
        None,
    ),
    (lambda c: c.get("Files", page_size=3), "GET", "/api/Files/Get?pageIndex=1&pageSize=3&getTotal=false", None),
    (lambda c: c.get_by_id("Products", 7), "GET", "/api/Data/GetByID?Entity=Products&id=7", None),
    (lambda c: c.get_by_id("files", 7), "GET", "/api/Files/GetByID?id=7", None),
    (
        lambda c: c.history("P", 7),
        "GET",
        "/api/Data/GetHistoryByID?Entity=P&id=7&pageIndex=1&pageSize=10",
        None,
    ),
    (lambda c: c.post("P", RECORD), "POST", "/api/Data/Post?Entity=P", RECORD),
    (lambda c: c.post("P", iter([RECORD])), "POST", "/api/Data/Post?Entity=P", [RECORD]),
    (lambda c: c.put("P", {"ID": 1}), "PUT", "/api/Data/Put?Entity=P", {"ID": 1}),
    (lambda c: c.delete("P", 5), "DELETE", "/api/Data/Delete?Entity=P&ids=5", None),
    (lambda c: c.delete("Files", [5, 6]), "DELETE", "/api/Files/Delete?ids=5%2C6", None),
    (lambda c: c.schema(), "GET", "/api/Data/Schema", None),
    (
        lambda c: c.aggregate("P", "Price.Sum", group_by="Created.year", ascending=True),
        "GET",
        "/api/Stats/Aggregate?Entity=P&properties=Price.Sum&pageIndex=1&pageSize=20&groupBy=Created.year&orderDirection=ASC",
        None,
    ),
    (lambda c: c.distinct("P", "Price"), "GET", "/api/Stats/Distinct?Entity=P&property=Price", None),
    (
        lambda c: c.custom("Cheap/ones", MaxPrice=5, name=None),
        "GET",
        "/api/Custom/Cheap%2Fones?MaxPrice=5",
        None,
    ),
    (
        lambda c: c.transaction([Delete("P", [1, 2]), Post("P", RECORD), Put("P", {"ID": 1})]),
        "POST",
        "/api/Data/Transaction",
        {
            "Post": [{"Entity": "P", "Data": RECORD}],
            "Put": [{"Entity": "P", "Data": {"ID": 1}}],
            "Delete": [{"Entity": "P", "Ids": "1,2"}],
        },
    ),
    (
        lambda c: c.transaction_operations(
            [Post("P", RECORD, "p"), Put("P", {"ID": ref("p")}), Delete("P", 1), Custom("X", {"P": ref("p")})]
        ),
        "POST",
        "/api/Data/TransactionOperations",
        {
            "Operations": [
                {"Action": "Post", "Entity": "P", "Data": RECORD, "Id": "p"},
                {"Action": "Put", "Entity": "P", "Data": {"ID": "$ref:p"}},
                {"Action": "Delete", "Entity": "P", "Ids": "1"},
                {"Action": "Custom", "Entity": "X", "Data": {"P": "$ref:p"}},
            ]
        },
    ),
    (lambda c: c.register({"Email": "a@b.co"}), "POST", "/api/Account/Register", {"Email": "a@b.co"}),
    (
        lambda c: c.login(email="a@b.co", password="x"),
        "POST",
        "/api/Account/Login",
        {"Email": "a@b.co", "Username": None, "Password": "x"},
    ),
    (lambda c: c.answer_step("x", 1), "POST", "/api/Account/SignInStep", {"Challenge": "x", "Answer": 1}),
    (lambda c: c.user_data(), "GET", "/api/Account/UserData", None),
    (lambda c: c.update_user({"Firstname": "A"}), "PUT", "/api/Account/Update", {"Firstname": "A"}),
    (
        lambda c: c.change_password("old", "new"),
        "PUT",
        "/api/Account/ChangePassword",
        {"Password": "old", "NewPassword": "new"},
    ),
    (lambda c: c.renew(), "GET", "/api/Account/RenewAuthToken", None),
    (lambda c: c.logout(), "GET", "/api/Account/Logout", None),
    (lambda c: c.logout(everywhere=True), "GET", "/api/Account/Logout?everywhere=true", None),
    (lambda c: c.confirm("t"), "GET", "/api/Account/Confirm?token=t", None),
    (lambda c: c.request_confirmation("a+b@c"), "GET", "/api/Email/RequestConfirmation?Email=a%2Bb%40c", None),
    (lambda c: c.forgot_password("a@b.co"), "GET", "/api/Email/ForgotPassword?Email=a%40b.co", None),
    (lambda c: c.download(4), "GET", "/api/Files/Download?fileID=4", None),
    (lambda c: c.download(uid="u"), "GET", "/api/Files/Download?fileUID=u", None),
    (lambda c: c.download_to(BytesIO(), 4), "GET", "/api/Files/Download?fileID=4", None),
    (lambda c: c.link(uid="u", seconds=9), "GET", "/api/Files/Link?fileUID=u&seconds=9", None),
    (lambda c: c.version(), "GET", "/Version", None),
    (lambda c: c.health(), "GET", "/Health/Liveness", None),
]


@pytest.mark.parametrize(("build", "method", "target", "body"), BUILT)
def test_request(build: Callable[[Client], object], method: str, target: str, body: object) -> None:
    """Each method builds exactly this request line and body, and httpx sends the target unchanged."""
    request = _request(_call(build))
    assert (request.method, request.url.raw_path) == (method, target.encode())
    assert request.headers["x-application-token"] == APPLICATION
    assert "authorization" not in request.headers
    if body is None:
        assert request.content == b""
        assert "content-type" not in request.headers
    else:
        assert request.content == json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        assert request.headers["content-type"] == "application/json"


def test_every_call_is_built_above() -> None:
    """The table contains every method of the client."""
    wrapped = {name for name, value in vars(Client).items() if hasattr(value, "__wrapped__")}
    names = {name for build, *_ in BUILT for name in build.__code__.co_names}
    assert wrapped - names == {"upload", "export_to", "import_from"}


def test_portal_channel() -> None:
    """An owner's token is sent with ``x-client-id: portal``, and the client of a user omits that header."""
    with Client(URL, APPLICATION, user=TOKEN, portal=True) as owner, httpx.Client() as http:
        call = Call("GET", "/Version", lambda response: None)
        request = owner._session.request(http, call)
        assert (request.headers["x-client-id"], request.headers["authorization"]) == ("portal", f"Bearer {TOKEN}")
        assert "x-client-id" not in owner.as_user(TOKEN)._session.request(http, call).headers


def test_upload() -> None:
    """A file is one multipart part named FileUpload with its name."""
    request = _request(_call(lambda c: c.upload("Καφές.txt", b"bytes")), user=KEY)
    body = request.read()
    assert (request.method, request.url.raw_path) == ("POST", b"/api/Files/Post")
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert b'name="FileUpload"; filename="' in body
    assert b"\r\n\r\nbytes\r\n" in body


def test_clients_have_the_same_methods() -> None:
    """Both clients have the same method names, parameters and docstrings."""

    names = {name for name in vars(Client) if not name.startswith("_")}
    assert names == {name for name in vars(apilane.client.AsyncClient) if not name.startswith("_")}
    for name in names - {"credentials", "close", "as_user", "send", "respond", "pages", "iterate"}:
        one, other = getattr(Client, name), getattr(apilane.client.AsyncClient, name)
        assert inspect.signature(one) == inspect.signature(other)
        assert one.__doc__ == other.__doc__


def test_bound_signature() -> None:
    """The signature that an editor shows has exactly the parameters that the caller may pass."""

    expand = ["expand", "expand_limit", "expand_properties"]
    with Client(URL, APPLICATION) as client:
        assert list(inspect.signature(client.get_by_id).parameters) == ["entity", "id", "properties", *expand]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"Name": "Καφές", "Price": 9.99}, '{"Name":"Καφές","Price":9.99}'),
        (Decimal("12.50"), '"12.50"'),
        (Decimal("1E+3"), '"1000"'),
        (datetime(2026, 3, 1, 12, 30, 0, 123456, UTC), '"2026-03-01 12:30:00.123"'),
        (datetime(2026, 3, 1, 1, tzinfo=timezone(timedelta(hours=2))), '"2026-02-28 23:00:00.000"'),
        (datetime(999, 3, 1, tzinfo=UTC), '"0999-03-01 00:00:00.000"'),
        (date(2026, 3, 1), '"2026-03-01"'),
        ([None, True, 2**63], "[null,true,9223372036854775808]"),
    ],
)
def test_values(value: object, text: str) -> None:
    """Values of Python are written in the one form that every server reads in the same way."""
    assert json_text(value) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), datetime(2026, 1, 1)])
def test_values_without_a_form(value: object) -> None:
    """NaN and a time without a time zone are refused before the request is sent."""
    with pytest.raises(ValueError):
        json_text({"x": value})


# --- Filters and sort orders ------------------------------------------------------------------------------------------


def _leaf(operator: str, value: object) -> dict[str, object]:
    return {"Property": "A", "Operator": operator, "Value": value}


@pytest.mark.parametrize(
    ("filter", "wire"),
    [
        (F("A") == 1, _leaf("equal", 1)),
        (F("A") != 1, _leaf("notequal", 1)),
        (F("A") > 1, _leaf("greater", 1)),
        (F("A") >= 1, _leaf("greaterorequal", 1)),
        (F("A") < 1, _leaf("less", 1)),
        (F("A") <= 1, _leaf("lessorequal", 1)),
        (F("A").starts_with("x"), _leaf("startswith", "x")),
        (F("A").ends_with("x"), _leaf("endswith", "x")),
        (F("A").contains("x"), _leaf("contains", "x")),
        (F("A").not_contains("x"), _leaf("notcontains", "x")),
        (F("A").one_of({1}), _leaf("contains", [1])),
        (F("A").not_one_of((1, 2)), _leaf("notcontains", [1, 2])),
        (F("A").is_null(), _leaf("equal", None)),
        (F("A").is_not_null(), _leaf("notequal", None)),
    ],
)
def test_filter_leaves(filter: Filter, wire: dict[str, object]) -> None:
    """Each comparison becomes one filter leaf."""
    assert filter.wire == wire


def test_filter_groups() -> None:
    """A chain with one logic becomes one flat group; a different logic becomes a nested group."""
    a, b, c, d = (F(name) > 0 for name in "ABCD")
    assert (a & b & c).wire == {"Logic": "AND", "Filters": [a.wire, b.wire, c.wire]}
    assert (a & (b | c) & d).wire == {
        "Logic": "AND",
        "Filters": [a.wire, {"Logic": "OR", "Filters": [b.wire, c.wire]}, d.wire],
    }
    many = a
    for _ in range(400):
        many |= b
    assert len(many.wire["Filters"]) == 401


def test_filter_is_no_truth() -> None:
    """``and``, ``or`` and chained comparisons raise an error, because they would drop a condition silently."""
    with pytest.raises(TypeError, match="&"):
        assert F("A") > 1 and F("B") > 1  # noqa: PT018 -- what is tested
    with pytest.raises(TypeError, match="&"):
        assert 1 < F("A") < 5


@pytest.mark.parametrize(
    ("sort", "keys"),
    [
        ("Name", [("Name", "ASC")]),
        ("-Price", [("Price", "DESC")]),
        (("Price", "desc"), [("Price", "DESC")]),
        (["-Price", ("Name", "ASC")], [("Price", "DESC"), ("Name", "ASC")]),
    ],
)
def test_sort(sort: Sort, keys: list[tuple[str, str]]) -> None:
    """A sort is a name, a name with a minus, a pair, or a list of these."""
    assert sort_keys(sort) == [{"Property": name, "Direction": direction} for name, direction in keys]


def test_sort_pair_of_names() -> None:
    """Two property names in a tuple are an error."""
    with pytest.raises(ValueError, match="list"):
        sort_keys(("Price", "Name"))


# --- Signing ----------------------------------------------------------------------------------------------------------

VECTORS = [
    (
        "POST",
        "/api/Data/Post?Entity=Products",
        '{"Name":"Widget","Price":9.99}',
        "cPoX9edp2T0m7HzjB0QUNOslPffax848TOj/x+3bWb0=",
    ),
    (
        "GET",
        "/api/Data/Get?Entity=Products&pageIndex=1&pageSize=20&getTotal=false",
        None,
        "0b5xrl07qF9yN+nJyAvjdp2IUC1VLtFjHKbCC4C7HFY=",
    ),
    ("GET", "/api/Account/UserData?", None, "IfsGGvA0kdRxFKb1wI34fC55grEMQb9OfX02v1O5JY8="),
    ("GET", "/api/Account/UserData", None, "l9ZLHC8uoFzD04kDiOgcTsUR7YR/6+D48bNy9L13XbM="),
    (
        "PUT",
        "/api/Data/Put?Entity=Products",
        '{"ID":7,"Name":"Καφές"}',
        "MNtOTUl7pkb7vHsrn5WoAd4P7f92tyyFEh+GtMBcg/U=",
    ),
]


@pytest.fixture
def _at_1750000000000(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the clock to the time of the test vectors."""
    monkeypatch.setattr("time.time_ns", lambda: 1_750_000_000_000 * 1_000_000)


@pytest.mark.usefixtures("_at_1750000000000")
@pytest.mark.parametrize(("method", "target", "body", "signature"), VECTORS)
def test_vectors(method: str, target: str, body: str | None, signature: str) -> None:
    """The signatures equal those of docs/reference/protocol/security.md section 6.2, and no token is sent with them."""
    call = Call(method, target, lambda response: None, body=None if body is None else body.encode())
    request = _request(call, user=KEY, signed=True)
    assert request.url.raw_path == target.encode()
    assert request.headers["x-auth-keyid"] == "42"
    assert request.headers["x-auth-timestamp"] == "1750000000000"
    assert request.headers["x-auth-signature"] == signature
    assert "authorization" not in request.headers
    assert TOKEN not in str(request.headers.raw)


@pytest.mark.usefixtures("_at_1750000000000")
def test_vectors_from_methods() -> None:
    """The methods of the client build the requests of the vectors."""
    made = [
        lambda c: c.post("Products", {"Name": "Widget", "Price": 9.99}),
        lambda c: c.get("Products"),
        lambda c: c.user_data(),
        lambda c: c.put("Products", {"ID": 7, "Name": "Καφές"}),
    ]
    signatures = [_request(_call(m), user=KEY, signed=True).headers["x-auth-signature"] for m in made]
    assert signatures == [VECTORS[index][3] for index in (0, 1, 3, 4)]


@pytest.mark.usefixtures("_at_1750000000000")
def test_writes_never_share_a_signature() -> None:
    """Two equal writes in one millisecond get different timestamps, because a server accepts each signature once."""
    session = Session(URL, APPLICATION, KEY, signed=True, retries=0)
    call = _call(lambda c: c.post("P", RECORD))
    with httpx.Client() as http:
        times = [session.request(http, call).headers["x-auth-timestamp"] for _ in range(3)]
    assert times == ["1750000000000", "1750000000001", "1750000000002"]


def test_path_below_a_prefix_is_signed() -> None:
    """With a prefix in the base URL the signature covers the whole path of the request line."""
    with httpx.Client() as http:
        session = Session(URL + "/below/", APPLICATION, KEY, signed=True, retries=0)
        request = session.request(http, _call(lambda c: c.user_data()))
    assert request.url.raw_path == b"/below/api/Account/UserData"
    digest = base64.b64encode(sha256(b"").digest()).decode()
    text = f"42\nGET\n/below/api/Account/UserData\n{request.headers['x-auth-timestamp']}\n{digest}"
    from apilane.security.signatures import sign

    assert request.headers["x-auth-signature"] == sign(TOKEN, text.encode()).decode()


def test_what_cannot_be_signed() -> None:
    """A token without its ID, and an upload, cannot be signed."""
    with pytest.raises(ValueError, match="token_id"):
        Client(URL, APPLICATION, user=TOKEN, signed=True)
    with pytest.raises(ValueError, match="portal"):
        Client(URL, APPLICATION, user=KEY, signed=True, portal=True)
    with pytest.raises(ValueError, match="signed=False"):
        _request(_call(lambda c: c.upload("a.txt", b"a")), user=KEY, signed=True)


# --- Reading ----------------------------------------------------------------------------------------------------------


def _body(code: str, **keys: object) -> bytes:
    return json.dumps({"Code": code, "Message": "m", "Property": "P", "Entity": "E", **keys}).encode()


FAMILY = {
    "ERROR": "ApilaneError",
    "UNAUTHORIZED": "Unauthorized",
    "UNCONFIRMED_EMAIL": "UnconfirmedEmail",
    "REQUIRED": "RequiredMissing",
    "NOT_FOUND": "NotFound",
    "INVALID_FILTER_PARAMETER": "InvalidFilter",
    "INVALID_SORT_PARAMETER": "InvalidSort",
    "INVALID_GROUPBY_PARAMETER": "InvalidGroupBy",
    "NO_PROPERTIES_PROVIDED": "NoPropertiesProvided",
    "EMPTY_BODY": "EmptyBody",
    "NO_ID_PROVIDED": "NoIdProvided",
    "NO_RECORDS_FOUND_TO_DELETE": "NothingToDelete",
    "FILE_NOT_FOUND": "FileNotFound",
    "VALIDATION": "ValidationFailed",
    "UNIQUE_CONSTRAINT_VIOLATION": "UniqueViolation",
    "FOREIGN_KEY_CONSTRAINT_VIOLATION": "ForeignKeyViolation",
    "SERVICE_UNAVAILABLE": "ServiceUnavailable",
    "RATE_LIMIT_EXCEEDED": "RateLimited",
    "CODE_OF_TOMORROW": "ApilaneError",
}
SCHEMA = _call(lambda c: c.schema())


@pytest.mark.parametrize(("code", "name"), FAMILY.items())
def test_error_family(code: str, name: str) -> None:
    """Each error code has one class with the server's message, and survives pickling."""
    with pytest.raises(apilane.client.ApilaneError) as caught:
        _result(SCHEMA, 400, {"Retry-After": "7"}, _body(code))
    error = caught.value
    assert type(error) is getattr(apilane.client, name)
    assert str(error) == f"{code}: m (E.P)"
    again = pickle.loads(pickle.dumps(error))
    for one in (error, again):
        assert (one.code, one.message, one.property, one.entity, one.status) == (code, "m", "P", "E", 400)
        assert getattr(one, "retry_after_s", 7) == 7


def test_every_code_has_a_class() -> None:
    """The table above contains every error code of the protocol."""
    from apilane.errors import Code

    assert set(Code) <= set(FAMILY)


@pytest.mark.parametrize(
    ("header", "seconds"), [({}, None), ({"Retry-After": "soon"}, None), ({"Retry-After": "3"}, 3)]
)
def test_retry_after(header: dict[str, str], seconds: float | None) -> None:
    """Retry-After is read when the server sends it."""
    with pytest.raises(apilane.client.RateLimited) as caught:
        _result(SCHEMA, 400, header, _body("RATE_LIMIT_EXCEEDED"))
    assert caught.value.retry_after_s == seconds


def test_short_body() -> None:
    """The short error form of owner-only endpoints is read."""
    with pytest.raises(apilane.client.Unauthorized) as caught:
        _result(SCHEMA, 401, None, b'{"Error":"UNAUTHORIZED","Message":"Unauthorized"}')
    assert str(caught.value) == "UNAUTHORIZED: Unauthorized"


@pytest.mark.parametrize(
    ("call", "status", "content"),
    [
        (SCHEMA, 200, b"<html>hello</html>"),
        (SCHEMA, 200, b""),
        (SCHEMA, 200, b"[1]"),
        (SCHEMA, 200, b"\xff"),
        (SCHEMA, 204, b""),
        (SCHEMA, 502, b"<html>bad gateway</html>"),
        (SCHEMA, 404, b""),
        (SCHEMA, 415, b'{"type":"about:blank","title":"Unsupported"}'),
        (SCHEMA, 400, b'{"Code":7,"Message":null}'),
        (SCHEMA, 301, b""),
        (_call(lambda c: c.get("P")), 200, b'{"data":[]}'),
        (_call(lambda c: c.get("P")), 200, b'{"Data":{}}'),
        (_call(lambda c: c.post("P", {})), 200, b'["1"]'),
        (_call(lambda c: c.put("P", {})), 200, b"true"),
        (_call(lambda c: c.login(email="a", password="b")), 200, b'{"User":{}}'),
        (_call(lambda c: c.confirm("t")), 200, b"{}"),
        (_call(lambda c: c.confirm("t")), 302, b""),
    ],
)
def test_unexpected_answers(call: Call[Any], status: int, content: bytes) -> None:
    """Any other answer is one clear error; its texts do not contain the body."""
    with pytest.raises(apilane.client.UnexpectedAnswer, match="base_url") as caught:
        _result(call, status, None, content)
    assert (caught.value.status, caught.value.content, caught.value.code) == (status, content, "")
    assert call.path in str(caught.value)
    assert "html" not in repr(caught.value) + str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).content == content


def test_results() -> None:
    """Answers become the results of their calls."""
    assert _result(_call(lambda c: c.get("P")), content=b'{"Data":[{"ID":1}],"Total":5}') == ([{"ID": 1}], 5)
    assert _result(_call(lambda c: c.distinct("P", "N")), content=b'[{"N":"a"},{"N":null}]') == ["a", None]
    assert _result(_call(lambda c: c.custom("X")), content=b'[[{"ID":1}],[]]') == [[{"ID": 1}], []]
    grouped = _result(_call(lambda c: c.transaction([])), content=b'{"Post":[1],"Put":2,"Delete":[3]}')
    assert (grouped.post, grouped.put, grouped.delete) == ([1], 2, [3])
    done = {"Action": "Post", "Entity": "P", "Created": [11], "Affected": None, "Deleted": None, "CustomResult": None}
    answer = json.dumps({"Results": [done]}).encode()
    (one,) = _result(_call(lambda c: c.transaction_operations([])), content=answer)
    assert one == ("Post", "P", [11], None, None, None)
    headers = {
        "content-disposition": "attachment; filename=x; filename*=utf-8''%CE%9A.txt",
        "content-type": "text/plain",
    }
    file = _result(_call(lambda c: c.download(1)), headers=headers, content=b"\x00")
    assert file == (b"\x00", "Κ.txt", "text/plain")
    renewed = _result(_call(lambda c: c.renew()), headers={"x-auth-token-id": "9"}, content=b'"t"')
    assert renewed == Credentials("t", 9)


def test_grouped_transactions_have_no_labels() -> None:
    """Features of the ordered transaction are refused in the grouped form before the request is sent."""
    with Client(URL, APPLICATION) as client:
        for operation in (Post("P", RECORD, "label"), Custom("X", {})):
            with pytest.raises(ValueError, match="transaction_operations"):
                client.transaction([operation])  # type: ignore[list-item]


# --- Secrets and requirements -----------------------------------------------------------------------------------------


def test_no_secrets_in_texts() -> None:
    """No ``repr`` shows a token, a password or a query."""
    with Client(URL, APPLICATION, user=KEY) as client:
        texts = [repr(client), repr(KEY), repr(client.credentials)]
    calls = [
        _call(lambda c: c.login(email="a@b.co", password="pass-word")),
        _call(lambda c: c.confirm(TOKEN)),
        _call(lambda c: c.forgot_password("a@b.co")),
    ]
    texts += [repr(call) for call in calls]
    login = apilane.client.Login({"ID": 1}, KEY)
    text = " ".join([*texts, repr(login)])
    for secret in (TOKEN, APPLICATION, "pass-word", "a@b.co"):
        assert secret not in text
    assert texts[0] == f"Client('{URL}', user=bearer)"


def test_base_url() -> None:
    """A base URL without a scheme is refused with an example."""
    with pytest.raises(ValueError, match="http://127"):
        Client("localhost:5001", APPLICATION)


def test_page_size() -> None:
    """A page size that no server accepts is refused, because it would end the walk early."""
    with Client(URL, APPLICATION) as client:
        for size in (0, 1001):
            with pytest.raises(ValueError, match="1000"):
                next(client.pages("P", page_size=size))


def test_without_httpx() -> None:
    """Without httpx the client states which extra to install."""
    script = "import sys; sys.modules['httpx'] = None\nimport apilane.client"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "ImportError: apilane.client needs httpx: pip install 'apilane[client]'" in done.stderr


def test_needs_no_server() -> None:
    """Importing the client imports no module of the server."""
    script = "import sys, apilane.client; print([n for n in ('litestar', 'sqlalchemy', 'apsw') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_target_leaves_none_out() -> None:
    """A parameter without a value is not sent."""
    assert target_of(Call("GET", "/x", lambda response: None, {"a": None, "b": False})) == "/x?b=false"
