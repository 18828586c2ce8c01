"""URLs, query parameters, numbers, booleans and tokens on the wire
(docs/reference/protocol/wire-api.md sections 1.1 and 1.2).
"""

from __future__ import annotations

import uuid

import pytest

from apilane.testing.client import Client, WireError, error_of

COUNT = 25
UNKNOWN_TOKEN = "7b147d8d-24f1-4c32-a4e3-890794f71a0c"


@pytest.fixture(scope="module", autouse=True)
def records(lab: Client) -> list[int]:
    """More records than fit on a default page."""
    return lab.add("Values", *({"Text": f"record {number}"} for number in range(COUNT)))


@pytest.mark.parametrize(
    "path",
    ["/api/Data/GetByID", "/api/data/getbyid", "/API/DATA/GETBYID", "/api/Data/GetByID/", "/aPi/dAta/gEtbyId/"],
)
@pytest.mark.parametrize(
    "query",
    ["Entity=Values&ID=1", "entity=values&id=1", "ENTITY=VALUES&Id=1", "entity=Values&id=1&nonsense=2&relationships=x"],
)
def test_letter_case(lab: Client, path: str, query: str) -> None:
    """Paths, parameters and entities ignore letter case; a trailing slash and unknown parameters are accepted."""
    response = lab.send("GET", f"{path}?{query}")
    assert response.json()["Text"] == "record 0"


@pytest.mark.parametrize("query", ["entity=Values&entity=Nope&id=1&id=2", "Entity=Values&ENTITY=Nope&id=1&ID=2"])
def test_repeated(lab: Client, query: str) -> None:
    """When a parameter is repeated the first value counts."""
    assert lab.send("GET", f"/api/Data/GetByID?{query}").json()["ID"] == 1


@pytest.mark.better("B-W4")
@pytest.mark.parametrize(
    ("query", "size"),
    [
        ("", 20),
        ("pageSize=5", 5),
        ("PAGESIZE=5", 5),
        ("pageSize=abc", 20),
        ("pageSize=", 20),
        ("pageSize=5.0", 20),
        ("pageSize=5_0", 20),
        ("pageSize=0x10", 20),
        ("pageSize=٣", 20),
        ("pageSize=2147483647", COUNT),
        ("pageSize=2147483648", 20),
        ("pageSize=99999999999999999999999", 20),
        ("pageSize=-1", COUNT),
        ("pageSize=0", COUNT),
        ("pageSize=1001", COUNT),
        ("pageSize=10&pageIndex=3", 5),
        ("pageSize=10&pageIndex=abc", 10),
        ("pageSize=10&pageIndex=0", 10),
        ("pageSize=10&pageIndex=-7", 10),
        ("pageSize=10&pageIndex=2147483647", 0),
        ("pageSize=10&pageIndex=2147483648", 10),
        ("filter=&sort=&properties=", 20),
        ("filter=%20&sort=%20", 20),
    ],
)
def test_numbers(lab: Client, query: str, size: int) -> None:
    """A number that is unreadable, out of range or empty counts as absent."""
    assert len(lab.send("GET", f"/api/Data/Get?entity=Values&{query}").json()["Data"]) == size


@pytest.mark.parametrize(
    ("text", "is_true"),
    [
        *((text, True) for text in ("true", "True", "TRUE", "tRuE")),
        *((text, False) for text in ("", "1", "0", "yes", "false", "truee")),
    ],
)
def test_booleans(lab: Client, text: str, is_true: bool) -> None:
    """Only ``true``, in any letter case, is true."""
    assert ("Total" in lab.get("Data/Get", entity="Values", getTotal=text).json()) is is_true


@pytest.mark.parametrize(
    "id", ["abc", "", "0", "-1", "9223372036854775807", "9223372036854775808", "1e0", "99999999999999999999999999"]
)
def test_ids_that_are_none(lab: Client, id: str) -> None:
    """An unreadable ID counts as 0, and no record has ID 0."""
    assert error_of(lab.get("Data/GetByID", entity="Values", id=id)) == WireError("NOT_FOUND", "Record not found")


def test_id_absent(lab: Client) -> None:
    """A missing ID has no separate error."""
    assert error_of(lab.get("Data/GetByID", entity="Values")) == WireError("NOT_FOUND", "Record not found")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_entity(lab: Client, method: str) -> None:
    """An unknown entity is named as sent; without an entity the call fails with an empty entity."""
    action = {"GET": "Get", "POST": "Post", "PUT": "Put", "DELETE": "Delete"}[method]
    body = b"{}" if method in ("POST", "PUT") else None
    json = {"Content-Type": "application/json"} if body else {}
    unknown = lab.send(method, f"/api/Data/{action}?entity=nOpe", body, json)
    assert error_of(unknown) == WireError("ERROR", "Entity nOpe does not exist")
    missing = lab.send(method, f"/api/Data/{action}", body, json)
    assert error_of(missing)._replace(message="") == WireError("ERROR", "", None, "")
    assert error_of(missing).message.startswith("Something went wrong: the parameter entity is missing; possible: ")
    assert "Values" in error_of(missing).message
    assert "Locked" not in error_of(missing).message
    misspelt = lab.send(method, f"/api/Data/{action}?entity=Valuess", body, json)
    assert error_of(misspelt).message == "Entity Valuess does not exist (did you mean 'Values'?)"


@pytest.mark.parametrize("entity", ["Files", "files", "FILES"])
@pytest.mark.parametrize("path", ["Get", "GetByID", "Schema"])
def test_files_are_elsewhere(lab: Client, entity: str, path: str) -> None:
    """Data calls refuse the entity Files before they look for the application."""
    message = "Use 'Files' controller to access files. Refer to API Documentation for more info."
    for client in (lab, Client(lab.http, lab.url, "")):
        assert error_of(client.get(f"Data/{path}", entity=entity)) == WireError("ERROR", message)


def _forms(token: str) -> list[str]:
    plain = uuid.UUID(token).hex
    return [token, token.upper(), plain, plain.upper(), f"{{{token}}}", f"{{{token.upper()}}}"]


@pytest.mark.better("B-W2")
@pytest.mark.parametrize("form", range(6))
@pytest.mark.parametrize("place", ["header", "query", "QUERY"])
def test_application_token(lab: Client, form: int, place: str) -> None:
    """Every textual form of the application token selects the same application, in the header and in the query."""
    text = _forms(lab.token)[form]
    if place == "header":
        response = Client(lab.http, lab.url, text).get("Data/GetByID", entity="Values", id=1)
    else:
        name = {"query": "appToken", "QUERY": "APPTOKEN"}[place]
        response = lab.http.get(f"{lab.url}/api/Data/GetByID", params={"entity": "Values", "id": 1, name: text})
    assert response.json()["ID"] == 1


def test_header_wins(lab: Client, shop: Client) -> None:
    """The header with the application token overrides the query parameter, even when it matches no application."""
    query = {"entity": "Values", "id": 1}
    assert lab.get("Data/GetByID", **query, appToken=shop.token).json()["ID"] == 1
    assert error_of(shop.get("Data/GetByID", **query, appToken=lab.token)).message == "Entity Values does not exist"
    unknown = Client(lab.http, lab.url, "nonsense")
    assert error_of(unknown.get("Data/GetByID", **query, appToken=lab.token)) == WireError(
        "ERROR", "Something went wrong"
    )


@pytest.mark.parametrize("query", ["", "&appToken="])
def test_no_application_token(lab: Client, query: str) -> None:
    """A call without an application token gets an error that says where to put it."""
    response = lab.http.get(f"{lab.url}/api/Data/Get?entity=Values{query}")
    message = "Query parameter 'appToken' or Header 'x-application-token' is required!"
    assert error_of(response) == WireError("ERROR", message)


@pytest.mark.parametrize("token", ["x", UNKNOWN_TOKEN, "%", "' OR 1=1 --", "0" * 5000])
def test_unknown_application(lab: Client, token: str) -> None:
    """A malformed token and an unknown application get the same answer."""
    response = Client(lab.http, lab.url, token).get("Data/Get", entity="Values")
    assert error_of(response) == WireError("ERROR", "Something went wrong")


@pytest.mark.better("B-W2")
def test_authorization(shop: Client) -> None:
    """The last word of the Authorization header is the token, with any scheme, form and quotes (B-W2)."""
    token = shop.signed_in("auth").user
    assert token is not None
    for value in [*_forms(token), f'"{token}"']:
        for scheme in ("Bearer ", "bearer ", "Whatever it is ", ""):
            headers = {"Authorization": f"{scheme}{value}"}
            assert shop.send("GET", "/api/Account/UserData", headers=headers).status_code == 200, (scheme, value)


@pytest.mark.parametrize("value", ["Bearer", "Bearer x", "", "Basic dXNlcjpwdw==", f"Bearer {UNKNOWN_TOKEN}"])
def test_useless_authorization(lab: Client, shop: Client, value: str) -> None:
    """A value that is not a GUID, or an unknown token, makes the caller anonymous and causes no separate error."""
    headers = {"Authorization": value}
    assert lab.send("GET", "/api/Data/GetByID?entity=Values&id=1", headers=headers).status_code == 200
    assert shop.send("GET", "/api/Account/UserData", headers=headers).status_code == 401


def test_user_token_in_query(shop: Client) -> None:
    """A user token is never read from the query string."""
    token = shop.signed_in("query").user
    for name in ("Authorization", "token", "authToken", "access_token"):
        assert shop.get("Account/UserData", **{name: token or ""}).status_code == 401


@pytest.mark.better("B-S9")
def test_foreign_user_token(shop: Client, new_application, shop_manifest) -> None:  # type: ignore[no-untyped-def]
    """A user token of one application is invalid in another, also after it was used in its own (B-S9)."""
    other = new_application(shop_manifest)
    other.register("native")
    user = shop.signed_in("foreigner")
    assert not user.is_anonymous()
    assert other.as_user(user.user).is_anonymous()


def test_dotnet_question_mark(shop: Client) -> None:
    """A question mark without parameters, as the .NET client sends it, is accepted."""
    user = shop.signed_in("dotnet")
    assert user.send("GET", "/api/Account/UserData?").status_code == 200


def test_plus_is_a_blank(lab: Client) -> None:
    """A plus sign in a query is a blank, as the JavaScript client writes it."""
    target = "/api/Data/GetByID?entity=Values&id=1&properties=Text,+Short"
    assert set(lab.send("GET", target).json()) == {"ID", "Text", "Short"}


def test_long_request_line(lab: Client) -> None:
    """A request line of 8 KiB is accepted."""
    target = "/api/Data/GetByID?entity=Values&id=1&padding="
    target += "x" * (8192 - len("GET  HTTP/1.1") - len(target))
    assert lab.send("GET", target).json()["ID"] == 1


def test_success_headers(lab: Client) -> None:
    """Records are JSON in UTF-8 with all keys, including nulls, in schema order, and any origin may read them."""
    response = lab.get("Data/GetByID", entity="Values", id=1)
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.headers["access-control-allow-origin"] == "*"
    names = ["ID", "Owner", "Created", "Text", "Short", "Code", "Secret", "Whole", "Bounded", "Money", "Fine"]
    assert list(response.json()) == [*names, "Flag", "Moment"]
    assert response.json()["Owner"] is None
    for name in ("etag", "content-encoding", "www-authenticate"):
        assert name not in response.headers
