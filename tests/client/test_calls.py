"""Every method of both clients, on a real server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from apilane.client import (
    ApilaneError,
    Call,
    ConnectionFailed,
    Credentials,
    Custom,
    Delete,
    EmptyBody,
    F,
    ForeignKeyViolation,
    InvalidFilter,
    InvalidGroupBy,
    InvalidSort,
    NoIdProvided,
    NoPropertiesProvided,
    NotFound,
    NothingToDelete,
    Post,
    Put,
    RateLimited,
    RequiredMissing,
    ServiceUnavailable,
    Unauthorized,
    UnconfirmedEmail,
    UnexpectedAnswer,
    UniqueViolation,
    ValidationFailed,
    ref,
)
from apilane.services.operator_sign_in import operator_token
from apilane.testing.client import PASSWORD
from apilane.testing.server import Server, free_port
from tests.confirmation import confirmation_token


def _title() -> str:
    return f"Καφές & co + {uuid4().hex[:8]}"


# --- Records ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signed", [False, True])
def test_records(client: Any, signed_in: Any, signed: bool) -> None:
    """Records can be posted, read, changed and deleted, with non-ASCII text, by bearer token or signature."""
    user = signed_in(client, signed=signed)
    first, second = _title(), _title()
    ids = user.post("Products", [{"Title": first, "Price": 9.99}, {"Title": second, "Price": 10}])
    assert len(ids) == 2
    page = user.get("Products", filter=F("Title") == first, total=True)
    assert page.total == 1
    assert (page.records[0]["ID"], page.records[0]["Title"]) == (ids[0], first)
    assert user.put("Products", {"ID": ids[0], "Title": first, "Price": None}) == 1
    assert user.put("Products", [{"ID": id, "Stock": 3} for id in (*ids, 10**9)]) == 2
    record = user.get_by_id("Products", ids[0], properties=["Price", "Stock"])
    assert record == {"ID": ids[0], "Price": None, "Stock": 3}
    assert user.delete("Products", ids[0]) == [ids[0]]
    assert user.delete("Products", ids) == [ids[1]]


def test_filter_and_sort(user: Any) -> None:
    """Filters and sort orders of Python have the same meaning on the server."""
    mark = uuid4().hex[:8]
    day = datetime(2026, 3, 1, tzinfo=UTC)
    prices = [5, 10, 20, None]
    records = [{"Title": f"{mark} n{n}", "Price": price, "Released": day} for n, price in enumerate(prices)]
    user.post("Products", records)
    ours = F("Title").starts_with(mark)

    def found(condition: Any, sort: Any = "ID") -> list[int | None]:
        return [r["Price"] for r in user.get("Products", filter=ours & condition, sort=sort).records]

    assert found(F("Price") >= 10, "-Price") == [20, 10]
    assert found((F("Price") < 10) | F("Price").is_null(), ("Price", "ASC")) == [None, 5]
    assert found(F("Price").is_not_null() & (F("Price") != 10)) == [5, 20]
    assert found(F("Price").one_of([5, 20]), ["-Released", ("ID", "DESC")]) == [20, 5]
    assert found(F("Title").not_contains("n1") & (F("Price") <= 10)) == [5]
    assert found(F("Title").ends_with("n2")) == [20]
    assert found(F("Released") == day) == prices
    assert found(F("Released") > day) == []


def test_paging(new_client: Any, shop_of_many: str) -> None:
    """A walk over 2,500 records yields each record once: by ID, by page with a sort, unfiltered and filtered."""
    client = new_client(shop_of_many)
    pages = list(client.pages("Categories"))
    assert [len(page) for page in pages] == [1000, 1000, 500]
    ids = [record["ID"] for page in pages for record in page]
    assert ids == sorted(set(ids))
    assert [r["ID"] for r in client.iterate("Categories", page_size=500)] == ids
    backwards = [r["Title"] for r in client.iterate("Categories", sort="-Title", properties="Title")]
    assert backwards == sorted(backwards, reverse=True)
    assert len(backwards) == 2500
    some = list(client.iterate("Categories", filter=F("Title") >= "c2000", page_size=7))
    assert len(some) == 500
    assert list(client.iterate("Categories", filter={"Property": "Title", "Operator": "equal", "Value": "no"})) == []


def test_paging_beside_writers(user: Any) -> None:
    """Records that are deleted during a walk cause no skipped records."""
    mark = uuid4().hex[:8]
    ids = user.post("Products", [{"Title": f"{mark} {n}"} for n in range(4)])
    ours = F("Title").starts_with(mark)
    walk = iter(user.pages("Products", filter=ours, page_size=2))
    seen = [record["ID"] for record in next(walk)]
    user.delete("Products", seen)
    assert seen + [record["ID"] for page in walk for record in page] == ids


@pytest.fixture(scope="module")
def shop_of_many(server: Server, new_application: Any) -> str:
    """A shop with 2,500 categories."""
    token: str = new_application()
    rows = [f"('c{n:04}')" for n in range(2500)]
    server.sql(token, f'INSERT INTO "Categories" ("Title") VALUES {",".join(rows)}')
    return token


def test_schema(user: Any) -> None:
    """The schema has the names of the entities."""
    assert {"Users", "Products"} <= {entity["Name"] for entity in user.schema()["Entities"]}


def test_history(user: Any) -> None:
    """History has the version before each change, newest first."""
    title = _title()
    (id,) = user.post("Products", {"Title": title, "Price": 1})
    for price in (2, 3):
        user.put("Products", {"ID": id, "Price": price})
    page = user.history("Products", id)
    assert page.total == 2
    assert [version["Price"] for version in page.records] == [2, 1]


def test_statistics(user: Any) -> None:
    """Statistics return aggregates and distinct values."""
    mark = uuid4().hex[:8]
    user.post("Products", [{"Title": f"{mark} {n}", "Stock": n % 2, "Price": n} for n in range(4)])
    ours = F("Title").starts_with(mark)
    rows = user.aggregate("Products", ["Price.Sum", "ID.Count"], group_by="Stock", filter=ours)
    assert [(row["Stock"], row["Price_sum"], row["ID_count"]) for row in rows] == [(1, 4, 2), (0, 2, 2)]
    assert [
        row["Stock"] for row in user.aggregate("Products", "Price.Sum", group_by="Stock", filter=ours, ascending=True)
    ] == [0, 1]
    assert sorted(user.distinct("Products", "Stock", filter=ours)) == [0, 1]
    with pytest.raises(InvalidGroupBy):
        user.aggregate("Products", "ID.Count", group_by="Nope")


def test_custom(user: Any) -> None:
    """A custom endpoint returns its result sets."""
    title = _title()
    user.post("Products", {"Title": title, "Price": 1})
    cheap, totals = user.custom("CheapProducts", MaxPrice=2)
    assert title in [row["Title"] for row in cheap]
    assert totals[0]["Total"] > 0


@pytest.mark.parametrize("signed", [False, True])
def test_transactions(client: Any, signed_in: Any, signed: bool) -> None:
    """Both forms of transaction store all or nothing."""
    user = signed_in(client, signed=signed)
    kept, gone = user.post("Products", [{"Title": _title()}, {"Title": _title()}])
    done = user.transaction(
        [Delete("Products", gone), Put("Products", {"ID": kept, "Price": 4}), Post("Products", {"Title": _title()})],
    )
    assert (len(done.post), done.put, done.delete) == (1, 1, [gone])
    category, product = _title(), _title()
    results = user.transaction_operations(
        [
            Post("Categories", {"Title": category}, label="c"),
            Post("Products", [{"Title": product, "CategoryID": ref("c")}]),
            Put("Products", {"ID": kept, "CategoryID": ref("c")}),
            Delete("Products", [kept]),
        ]
    )
    created = results[0].created
    assert user.get_by_id("Products", results[1].created[0])["CategoryID"] == created[0]
    assert (results[2].affected, results[3].deleted) == (1, [kept])
    before = user.get("Products", total=True, page_size=1).total
    with pytest.raises(UniqueViolation):
        user.transaction_operations([Post("Products", {"Title": _title()}), Post("Products", {"Title": product})])
    assert user.get("Products", total=True, page_size=1).total == before
    with pytest.raises(ApilaneError, match="does not exist"):
        user.transaction_operations([Custom("Nope", {})])


# --- Accounts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signed", [False, True])
def test_account(new_client: Any, shop: str, signed: bool) -> None:
    """A user can register, sign in, read and change their data, change the password, renew the token and log out."""
    client = new_client(shop, signed=signed)
    name = f"u{uuid4().hex[:12]}"
    id = client.register({"Email": f"{name}@example.com", "Username": name, "Password": PASSWORD})
    login = client.login(email=f"{name}@example.com", password=PASSWORD)
    assert login.user["ID"] == id
    assert client.credentials == login.credentials
    data = client.user_data()
    assert data.user["Username"] == name
    assert {"Role", "Name", "Type", "Action", "Properties"} == set(data.security[0])
    assert client.update_user({"Firstname": "Καφές"})["Firstname"] == "Καφές"
    assert client.change_password(PASSWORD, "Another-one1") is True
    renewed = client.renew()
    assert client.credentials == renewed != login.credentials
    assert renewed.token_id != login.credentials.token_id
    assert client.user_data().user["ID"] == id
    with pytest.raises(Unauthorized):
        client.as_user(login.credentials).user_data()
    again = client.as_user(renewed)
    assert again.logout(everywhere=True) == 1
    assert again.credentials is None
    client.as_user(None).login(username=name, password="Another-one1")
    assert client.logout() == 1 if not signed else True


def test_signed_and_sent_stand_for_the_same_user(user: Any) -> None:
    """The credentials of one client work in another, by bearer token or signature, and so does the token as text."""
    kept = Credentials(user.credentials.token, user.credentials.token_id)
    id = user.user_data().user["ID"]
    for other in (user.as_user(kept, signed=True), user.as_user(kept, signed=False), user.as_user(kept.token)):
        assert other.user_data().user["ID"] == id
    with pytest.raises(Unauthorized):
        user.as_user(Credentials(kept.token[:-1] + "x", kept.token_id), signed=True).user_data()


def test_owner(server: Server, new_client: Any, shop: str) -> None:
    """An owner can read records that no rule grants."""
    token = server.with_store(lambda store, _hooks: operator_token(store, "admin@example.com", None))
    owner = new_client(shop, user=token, portal=True)
    assert "Supplier" in {p["Name"] for e in owner.schema()["Entities"] for p in e["Properties"]}
    assert owner.get("AuthTokens").records is not None
    with pytest.raises(Unauthorized):
        owner.as_user(token).get("AuthTokens")


def test_burst_of_signed_writes(client: Any, signed_in: Any) -> None:
    """Equal signed writes, one directly after another, are all executed."""
    user = signed_in(client, signed=True)
    ids = [user.post("Notes", {"Text": "again"})[0] for _ in range(20)]
    assert len(set(ids)) == 20


def test_confirm(server: Server, client: Any, shop: str) -> None:
    """Confirm returns the target of the redirect and does not follow it."""
    name = f"u{uuid4().hex[:12]}"
    id = client.register({"Email": f"{name}@example.com", "Username": name, "Password": PASSWORD})
    location = client.confirm(confirmation_token(server, shop, id))
    assert location.endswith("/Account/AppEmailConfirmed")
    assert client.confirm(str(uuid4())) == f"{server.url}/App/{shop}/Account/Manage/Error"
    client.login(username=name, password=PASSWORD)
    assert client.user_data().user["EmailConfirmed"] is True


def test_mails(client: Any) -> None:
    """Without mail settings, or without the mail plugin, the error has the standard form."""
    for method in (client.request_confirmation, client.forgot_password):
        with pytest.raises(ApilaneError) as caught:
            method("nobody@example.com")
        assert caught.value.code in {"ERROR", "NOT_FOUND"}


# --- Files ------------------------------------------------------------------------------------------------------------


def test_files(user: Any) -> None:
    """Files can be uploaded, listed, read, downloaded by ID and by UID, and deleted."""
    id = user.upload("Καφές.txt", b"black, no sugar")
    record = user.get_by_id("Files", id)
    assert record["Name"] == "Καφές.txt"
    assert [r["ID"] for r in user.iterate("Files")] == [id]
    for file in (user.download(id), user.download(uid=record["UID"])):
        assert (file.content, file.name, file.content_type) == (b"black, no sugar", "Καφές.txt", "text/plain")
    assert user.delete("Files", id) == [id]


def test_large_files(user: Any, tmp_path: Path) -> None:
    """An open file is uploaded, and written to another one; an error of a download writes nothing."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(bytes(range(256)) * 390)
    with source.open("rb") as file:
        id = user.upload("source.bin", file)
    with target.open("wb") as file:
        assert user.download_to(file, id) == ("source.bin", "application/octet-stream")
        with pytest.raises(ApilaneError):
            user.download_to(file, 999_999)
    assert target.read_bytes() == source.read_bytes()


def test_links(user: Any) -> None:
    """A link is a whole URL that opens the file without a token."""
    link = user.link(user.upload("a.txt", b"linked"), seconds=60)
    assert httpx.get(link.url, trust_env=False).content == b"linked"
    assert 0 < link.expires - time.time() * 1000 < 61_000


# --- The server -------------------------------------------------------------------------------------------------------


def test_service(client: Any) -> None:
    """Version and health work without an application."""
    assert client.version() == "8.7.0"
    assert client.health()["Status"] == "Healthy"


# --- Errors -----------------------------------------------------------------------------------------------------------

UNCONFIRMED: dict[str, object] = {"AllowLoginUnconfirmedEmail": False}


def _raised(kind: type[ApilaneError], method: Any, *args: Any, **kwargs: Any) -> ApilaneError:
    with pytest.raises(ApilaneError) as caught:
        method(*args, **kwargs)
    assert type(caught.value) is kind, caught.value
    return caught.value


def test_errors_of_records(client: Any, user: Any) -> None:
    """Each kind of failure has its own exception class with property and entity."""
    title = _title()
    (id,) = user.post("Products", {"Title": title})
    assert _raised(Unauthorized, client.get, "Notes").entity == "Notes"
    assert _raised(NotFound, user.get_by_id, "Products", 10**9).status == 400
    assert _raised(NotFound, user.send, Call("GET", "/api/Nope", lambda response: None)).status == 404
    assert _raised(RequiredMissing, user.post, "Products", {"Price": 1}).property == "Title"
    _raised(InvalidFilter, client.get, "Products", filter=F("Supplier") == "x")
    _raised(InvalidSort, client.get, "Products", sort="Supplier")
    _raised(NoPropertiesProvided, user.put, "Products", {"ID": id, "Nope": 1})
    _raised(EmptyBody, user.send, Call("POST", "/api/Data/Post", lambda response: None, {"entity": "Notes"}, b"{"))
    _raised(NoIdProvided, user.put, "Products", {"Price": 1})
    _raised(NothingToDelete, user.delete, "Products", [])
    error = _raised(ValidationFailed, user.post, "Products", {"Title": "x"})
    assert (error.message, error.property, error.entity) == ("Minimum 2 characters", "Title", "Products")
    assert str(error) == "VALIDATION: Minimum 2 characters (Products.Title)"
    assert _raised(UniqueViolation, user.post, "Products", {"Title": title}).property == "Title"
    assert _raised(ForeignKeyViolation, user.put, "Products", {"ID": id, "CategoryID": 10**9}).property == "CategoryID"
    assert _raised(ApilaneError, user.get, "Nope").message == "Entity Nope does not exist"


def test_errors_of_accounts(client: Any, new_client: Any, new_application: Any) -> None:
    """Wrong credentials, an unconfirmed e-mail and a missing user have their own exception classes."""
    assert _raised(ApilaneError, client.login, username="unknown", password="x").message == "Invalid login attempt"
    assert client.credentials is None
    _raised(Unauthorized, client.user_data)
    _raised(Unauthorized, client.renew)
    strict = new_client(new_application(AllowLoginUnconfirmedEmail=False))
    strict.register({"Email": "a@example.com", "Username": "anna", "Password": PASSWORD})
    _raised(UnconfirmedEmail, strict.login, username="anna", password=PASSWORD)


def test_offline(new_client: Any, new_application: Any) -> None:
    """An offline application raises its own exception class."""
    _raised(ServiceUnavailable, new_client(new_application(Online=False)).get, "Products")


def test_rate_limit(new_client: Any, new_application: Any) -> None:
    """The exception of a rate limit has the seconds to wait."""
    limit = {"MaxRequests": 1, "Per": "Hour"}
    rule = {"Entity": "Notes", "Role": "ANONYMOUS", "Action": "get", "Properties": ["Text"], "RateLimit": limit}
    client = new_client(new_application([rule]))
    client.get("Notes")
    error = _raised(RateLimited, client.get, "Notes")
    assert isinstance(error, RateLimited)
    assert error.retry_after_s is not None
    assert 0 < error.retry_after_s <= 3600


class Page(BaseHTTPRequestHandler):
    """A web server that is not Apilane: it breaks some connections, redirects, and returns HTML pages."""

    def do_GET(self) -> None:
        """Select the answer by path."""
        self.server.seen.append(self.path)  # type: ignore[attr-defined]
        if len(self.server.seen) <= self.server.broken:  # type: ignore[attr-defined]
            self.close_connection = True
            return
        if self.path.startswith("/moved"):
            self.send_response(301)
            self.send_header("Location", "/elsewhere")
            content = b""
        elif self.path == "/Version":
            self.send_response(200)
            content = b'{"Version":"8.7.0"}'
        else:
            self.send_response(502)
            content = b"<html>Bad gateway</html>"
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Suppress the log."""


@pytest.fixture
def other_server() -> Iterator[HTTPServer]:
    """That web server, which breaks its first ``broken`` connections."""
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        server.seen, server.broken = [], 0  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_not_an_apilane_server(new_client: Any, other_server: HTTPServer) -> None:
    """An HTML page of a proxy is one clear error; a redirect is reported and not followed."""
    url = f"http://127.0.0.1:{other_server.server_port}"
    error = _raised(UnexpectedAnswer, new_client("app", url=url).get, "Products")
    assert (error.status, "base_url" in str(error)) == (502, True)
    _raised(UnexpectedAnswer, new_client("app", url=f"{url}/moved").get, "Products")
    assert not [path for path in other_server.seen if path == "/elsewhere"]  # type: ignore[attr-defined]


def test_no_server_listens(new_client: Any) -> None:
    """A connection failure names the address, at once or after the configured retries."""
    url = f"http://127.0.0.1:{free_port()}"
    for retries in (0, 1):
        error = _raised(ConnectionFailed, new_client("app", url=url, retries=retries).version)
        assert url in str(error)


def test_retries(new_client: Any, other_server: HTTPServer) -> None:
    """Reads are retried as often as configured; the default is no retry, and writes are never retried."""
    url = f"http://127.0.0.1:{other_server.server_port}"
    other_server.broken = 2  # type: ignore[attr-defined]
    assert new_client("app", url=url, retries=2).version() == "8.7.0"
    assert len(other_server.seen) == 3  # type: ignore[attr-defined]
    patient = new_client("app", url=url, retries=2)
    for method, *args in ((new_client("app", url=url).version,), (patient.renew,), (patient.post, "P", {})):
        other_server.seen.clear()  # type: ignore[attr-defined]
        _raised(ConnectionFailed, method, *args)
        assert len(other_server.seen) == 1  # type: ignore[attr-defined]


def test_own_transport(server: Server, shop: str) -> None:
    """An httpx client of the caller is used and not closed."""
    import httpx

    from apilane.client import Client

    with httpx.Client(timeout=5) as http:
        with Client(server.url, shop, http=http) as client:
            assert client.version() == "8.7.0"
        assert not http.is_closed
