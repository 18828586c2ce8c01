"""The measured application: its manifest, its records and the targets of its calls; the same for every server.

Records are made from their number, so every run has the same. ``benchmarks.places`` stores them.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

PASSWORD = "benchmark-only"
USERS = 32
"""Accounts that sign in one after the other, so that no account collects thousands of tokens."""
ROWS = 1_000
LOANS = 1_000
MANY_BOOKS = 100
"""The books that loans refer to; every application has them."""
PROPERTIES = ["Title", "Author", "Pages", "Price", "InPrint", "Released", "Language", "Rating", "Shelf", "Summary"]
PUT_PROPERTIES = ["Title", "Rating"]
LANGUAGES = ["English", "Greek", "French", "German"]
LEAST_PAGES = 900

FILTER = json.dumps({"Property": "Pages", "Operator": "greaterorequal", "Value": LEAST_PAGES})
SORT = json.dumps([{"Property": "Pages", "Direction": "ASC"}])
BY_ID_TARGET = "/api/Data/GetByID?entity=Books&id="
PAGE_TARGET = f"/api/Data/Get?entity=Books&pageSize=20&filter={quote(FILTER)}&sort={quote(SORT)}"
TOTAL_TARGET = PAGE_TARGET + "&getTotal=true"
LOANS_TARGET = PAGE_TARGET.replace("Books", "Loans")
EXPAND_TARGET = LOANS_TARGET + "&expand=BookID&expandProperties=BookID:Title,Author,Pages"
OPEN_TARGET = "/api/Data/Get?entity=Originals&pageSize=20"
LIMITED_TARGET = "/api/Data/Get?entity=Copies&pageSize=20"
"""The same page of the same records, without and under a condition that 25 of 1,000 meet."""
MEASURES = "ID.Count,Price.Sum,Price.Avg"
GROUPS = "Language"
AGGREGATE_TARGET = f"/api/Stats/Aggregate?entity=Books&properties={MEASURES}&groupBy={GROUPS}"
POST_TARGET = "/api/Data/Post?entity=Drafts"
PUT_TARGET = "/api/Data/Put?entity=Books"
LOGIN_TARGET = "/api/Account/Login"
ENDPOINT_TARGET = "/api/Custom/BookByID?BookID="
ENDPOINT_COLUMNS = ("ID", "Title", "Price")
ENDPOINT_QUERY = "SELECT ID, Title, Price FROM Books WHERE ID = {BookID}"
ENDPOINT_QUERIES = {"PostgreSQL": 'SELECT "ID", "Title", "Price" FROM "Books" WHERE "ID" = {BookID}'}
"""The query where it differs, by provider: PostgreSQL needs quotes around names with capital letters."""

_ENTITY_PROPERTIES = [
    {"Name": "Title", "Type": "String", "Required": True, "Maximum": 200},
    {"Name": "Author", "Type": "String", "Maximum": 100},
    {"Name": "Pages", "Type": "Number", "Minimum": 0},
    {"Name": "Price", "Type": "Number", "DecimalPlaces": 2},
    {"Name": "InPrint", "Type": "Boolean"},
    {"Name": "Released", "Type": "Date"},
    {"Name": "Language", "Type": "String", "Maximum": 20},
    {"Name": "Rating", "Type": "Number", "DecimalPlaces": 1},
    {"Name": "Shelf", "Type": "Number"},
    {"Name": "Summary", "Type": "String"},
]
OWN = 1
"""The ID of the user who reads, and the shelf that the user may read under the condition."""
OWN_SHELF = {"Property": "Shelf", "Operator": "equal", "Value": {"User": "ID"}}
_UNTRIPPED = {"MaxRequests": 1_000_000, "Per": "Second"}


def _rule(entity: str, action: str, properties: list[str]) -> dict[str, Any]:
    return {
        "Entity": entity,
        "Role": "AUTHENTICATED",
        "Action": action,
        "Properties": properties,
        "RateLimit": _UNTRIPPED,
    }


def manifest(provider: str = "SQLite", url: str | None = None) -> dict[str, Any]:
    """The application with every check enabled: rules with property lists, a limit that is never reached, an IP list.

    ``url``: connection string, for providers that have servers. Posts go to a separate entity, so that reads have the
    same table from the first call to the last.
    """
    place = {"ConnectionString": url.replace("${", "$${")} if url else {}
    entities = [
        {"Name": name, "Properties": _ENTITY_PROPERTIES, "Indexes": [{"Properties": ["Pages"]}]}
        for name in ("Books", "Drafts")
    ]
    entities += [
        {
            "Name": name,
            "Properties": [*_ENTITY_PROPERTIES, {"Name": "BookID", "Type": "Number"}],
            "Constraints": [{"Type": "ForeignKey", "Property": "BookID", "Entity": "Books"}],
            "Indexes": [{"Properties": ["Pages"]}],
        }
        for name in ("Loans", "Originals", "Copies")
    ]
    endpoint = {"Name": "BookByID", "Query": ENDPOINT_QUERIES.get(provider, ENDPOINT_QUERY)}
    rules: list[dict[str, Any]] = [
        _rule("Books", "get", PROPERTIES),
        _rule("Books", "put", PUT_PROPERTIES),
        _rule("Drafts", "get", PROPERTIES),
        _rule("Drafts", "post", PROPERTIES),
        _rule("Loans", "get", [*PROPERTIES, "BookID"]),
        _rule("Loans", "post", [*PROPERTIES, "BookID"]),
        _rule("Originals", "get", [*PROPERTIES, "BookID"]),
        _rule("Originals", "post", [*PROPERTIES, "BookID"]),
        _rule("Copies", "get", [*PROPERTIES, "BookID"]) | {"Where": OWN_SHELF},
        _rule("Copies", "post", [*PROPERTIES, "BookID"]),
        {"CustomEndpoint": "BookByID", "Role": "AUTHENTICATED", "RateLimit": _UNTRIPPED},
    ]
    return {
        "Apilane": 1,
        "Application": {
            "Name": "Benchmark",
            "AuthTokenExpireMinutes": 100_000,
            "AllowUserRegister": True,
            "AllowLoginUnconfirmedEmail": True,
            "StorageProvider": provider,
            "IPPolicy": {"Logic": "Block", "Addresses": ["203.0.113.7", "198.51.100.0/24", "2001:db8::/32"]},
            **place,
        },
        "Entities": entities,
        "Security": rules,
        "CustomEndpoints": [endpoint],
    }


def user(number: int) -> dict[str, str]:
    """The registration of one account."""
    return {"Email": f"user{number}@example.com", "Username": f"user{number}", "Password": PASSWORD}


def book(number: int) -> dict[str, Any]:
    """One record as a client would send it; ``BOOKS_SQL`` makes the same records."""
    return {
        "Title": f"Book number {number}",
        "Author": f"Author {number * 7919 % 500}",
        "Pages": number * 7919 % 950 + 50,
        "Price": number * 104729 % 9800 / 100,
        "InPrint": number % 10 < 7,
        "Released": 1_600_000_000_000 + number * 1000,
        "Language": LANGUAGES[number % 4],
        "Rating": number % 40 / 10,
        "Shelf": number % 40,
        "Summary": "A short text about the book. " * 4,
    }


def loan(number: int) -> dict[str, Any]:
    """A record that refers to a book; neighbours refer to different ones."""
    return {**book(number), "BookID": number * 37 % MANY_BOOKS + 1}


def originals() -> list[dict[str, Any]]:
    """The loans in another order: those that the condition leaves come first, so that both pages have the same."""
    loans = [loan(number) for number in range(1, LOANS + 1)]
    return sorted(loans, key=lambda each: each["Shelf"] != OWN)


BOOKS_SQL = f"""
INSERT INTO Books (Owner, Created, {", ".join(PROPERTIES)})
WITH RECURSIVE numbers(n) AS (SELECT ? UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
SELECT 1, 1600000000000 + n, 'Book number ' || n, 'Author ' || (n * 7919 % 500), n * 7919 % 950 + 50,
  n * 104729 % 9800 / 100.0, n % 10 < 7, 1600000000000 + n * 1000,
  CASE n % 4 WHEN 0 THEN 'English' WHEN 1 THEN 'Greek' WHEN 2 THEN 'French' ELSE 'German' END,
  n % 40 / 10.0, n % 40, '{"A short text about the book. " * 4}'
FROM numbers
"""
"""SQLite only: the books with a range of numbers; five million take half a minute."""
