"""``application.data``: the records of an application for code in Python."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from apilane.plugin import (
    Actor,
    ApilaneError,
    ApplicationData,
    Create,
    Delete,
    RunEndpoint,
    Update,
    ref,
)
from apilane.testing.client import Client
from apilane.testing.server import Server
from tests.http.conftest import PROVIDER, NewClient

T = TypeVar("T")
USER = Actor(kind="user", user_id=1, credential="session 1")

MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Library", "AllowUserRegister": True},
    "Entities": [
        {
            "Name": "Books",
            "ChangeTracking": True,
            "Properties": [
                {"Name": "Title", "Required": True},
                {"Name": "Price", "Type": "Number", "DecimalPlaces": 2, "Minimum": 0},
                {"Name": "Sold", "Type": "Boolean"},
                {"Name": "Note", "Type": "String", "Encrypted": True},
            ],
        },
        {"Name": "Loans", "Properties": [{"Name": "Book_ID", "Type": "Number"}, {"Name": "Text"}]},
    ],
    "CustomEndpoints": [
        {"Name": "Titles", "Query": 'SELECT "Title" FROM "Books" WHERE "ID" = {Book}'.replace('"', QUOTE)}
        for QUOTE in ('"' if PROVIDER in {"postgresql", "sqlite"} else "",)
    ],
    "Security": [
        {"Entity": "Books", "Role": "AUTHENTICATED", "Action": "get", "Properties": ["Title", "Price"]},
        {"Entity": "Books", "Role": "AUTHENTICATED", "Action": "post", "Properties": ["Title"]},
        *(
            {"Entity": "Loans", "Role": "AUTHENTICATED", "Record": "Owned", "Action": action, "Properties": "*"}
            for action in ("get", "post", "put")
        ),
        {"CustomEndpoint": "Titles", "Role": "editor"},
    ],
}


@pytest.fixture(scope="module")
def library(new_application: NewClient) -> Client:
    """An application with books and a user."""
    client = new_application(MANIFEST)
    client.register("reader")
    return client


def using(server: Server, client: Client, work: Callable[[ApplicationData], Awaitable[T]]) -> T:
    """The result of ``work`` with the data of the application, on the instance opened in this process."""

    async def run(instance: Any) -> T:
        application = await instance.applications.find(client.token)
        return await work(application.data)

    return server.with_instance(run)


def test_records(server: Server, library: Client) -> None:
    """The system creates, reads, changes and deletes records with all properties, in Python values."""

    async def work(data: ApplicationData) -> None:
        records = data.as_system()
        first, second = await records.create(
            "books", {"Title": "A", "Price": Decimal("9.75"), "Sold": True, "Note": "x"}, {"Title": "B"}
        )
        book = await records.get("Books", first)
        assert (book["Title"], float(book["Price"]), book["Sold"], book["Note"]) == ("A", 9.75, True, "x")
        assert isinstance(book["Price"], float if PROVIDER == "sqlite" else Decimal)
        assert await records.update("Books", {"ID": second, "Title": "C"}, {"ID": 10**9, "Title": "D"}) == 1
        page = await records.list(
            "Books",
            filter={"Property": "ID", "Operator": "contains", "Value": [first, second]},
            sort=[("Title", "desc")],
            properties=["Title"],
            page_size=1,
            total=True,
        )
        assert (page.records, page.total) == ([{"ID": second, "Title": "C"}], 2)
        assert [book["ID"] async for book in records.stream("Books", sort=[("ID", "asc")])][-2:] == [first, second]
        assert await records.delete("Books", first, 10**9) == [first]

    using(server, library, work)


def test_figures(server: Server, new_application: NewClient) -> None:
    """Aggregates by group come as Python values, under the rules of the caller."""
    client = new_application(MANIFEST)

    async def work(data: ApplicationData) -> None:
        records = data.as_system()
        await records.create("Books", *({"Title": title, "Price": 1.5} for title in ("A", "A", "B")))
        figures = await records.aggregate("books", ["ID.Count", "Price.Sum"], group_by=["Title"], ascending=True)
        assert [(row["Title"], row["ID_count"], float(row["Price_sum"])) for row in figures] == [
            ("B", 1, 1.5),
            ("A", 2, 3.0),
        ]
        above = {"Property": "Price", "Operator": "greater", "Value": 2}
        assert await records.aggregate("Books", ["Price.Max"], filter=above) == [{"Price_max": None}]
        with pytest.raises(ApilaneError) as raised:
            await data.as_actor(USER).aggregate("Books", ["Note.Count"])
        assert raised.value.code == "UNAUTHORIZED"

    using(server, client, work)


def test_rules(server: Server, library: Client) -> None:
    """A caller reads and writes only what its rules grant, with the errors of the wire."""

    async def work(data: ApplicationData) -> None:
        (book,) = await data.as_system().create("Books", {"Title": "Mine", "Price": 5, "Note": "hidden"})
        (foreign,) = await data.as_system().create("Loans", {"Text": "without an owner"})
        records = data.as_actor(USER)
        assert set(await records.get("Books", book)) == {"ID", "Title", "Price"}
        (own,) = await records.create("Loans", {"Text": "mine", "Book_ID": book})
        assert [loan["ID"] async for loan in records.stream("Loans")] == [own]
        assert await records.update("Loans", {"ID": foreign, "Text": "taken"}) == 0
        hidden = {"Property": "Note", "Operator": "equal", "Value": "hidden"}
        for refused, code in [
            (records.get("Loans", foreign), "NOT_FOUND"),
            (records.delete("Books", book), "UNAUTHORIZED"),
            (records.create("Books", {"Price": 1}), "REQUIRED"),
            (records.list("Books", filter=hidden), "INVALID_FILTER_PARAMETER"),
            (records.list("Nothing"), "ERROR"),
            (data.as_actor(Actor()).list("Books"), "UNAUTHORIZED"),
            (records.transaction(RunEndpoint("Titles", {"Book": book})), "UNAUTHORIZED"),
        ]:
            with pytest.raises(ApilaneError) as raised:
                await refused
            assert raised.value.code == code

    using(server, library, work)


def test_transaction(server: Server, library: Client) -> None:
    """Operations are carried out in order with references, all or none."""

    async def work(data: ApplicationData) -> None:
        records = data.as_system()
        book, loan, changed, sets, gone = await records.transaction(
            Create("Books", {"Title": "New"}, label="book"),
            Create("Loans", [{"Book_ID": ref("book")}], label="loan"),
            Update("Books", {"ID": ref("book"), "Title": "Newer"}),
            RunEndpoint("Titles", {"Book": ref("book")}),
            Delete("Loans", ref("loan")),
        )
        assert (changed, sets, gone) == (1, [[{"Title": "Newer"}]], loan)
        with pytest.raises(ApilaneError) as raised:
            await records.transaction(Delete("Books", book), Create("Books", {}))
        assert raised.value.code == "REQUIRED"
        assert (await records.get("Books", book[0]))["Title"] == "Newer"

    using(server, library, work)


def test_operators_are_audited(server: Server, library: Client) -> None:
    """A write for an operator is on record; a write of the system is not."""
    operator = Actor(kind="operator", credential="dev@example.com")

    async def work(data: ApplicationData) -> None:
        await data.as_system().create("Books", {"Title": "System"})
        await data.as_actor(operator).create("Books", {"Title": "Operator"})

    using(server, library, work)
    records: Any = server.with_store(lambda store, _hooks: store.audit(library.token))
    texts = [(record.actor, record.changes[0]) for record in records if record.after is None]
    assert texts == [("dev@example.com", "Data/Post Books: 1 to create")]
