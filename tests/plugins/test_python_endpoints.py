"""Custom endpoints of the kind ``python``, on a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

import httpx
import pytest

from apilane.app import create_app
from apilane.errors import ConfigurationError
from apilane.model.manifest.problems import ManifestErrors
from apilane.settings import Settings
from apilane.testing.client import Client, WireError, error_of
from apilane.testing.server import CHEAP_PASSWORDS, Server

PLUGIN = '''
from __future__ import annotations

import asyncio
import time
from datetime import date
from decimal import Decimal

from msgspec import Struct

from apilane.plugin import ApilaneError, Code, EndpointFunction, hookimpl


class Line(Struct):
    book: int
    copies: int = 1


async def order(call, lines: list[Line], day: date, express: bool = False):
    books = [await call.records.get("Books", line.book) for line in lines]
    price = sum(Decimal(str(book["Price"])) * line.copies for book, line in zip(books, lines))
    return [{"Price": price, "Day": day, "Express": express, "Caller": call.actor.user_id}]


async def whole(call):
    return {"a": 1}


async def several(call):
    return [[{"a": 1}], []]


def blocking(call, title: str) -> list[dict[str, int]]:
    """Stores a book."""
    (book,) = call.wait(call.all_records.create("Books", {"Title": title, "Price": 1}))
    return [{"ID": book}]


async def outside(call):
    await call.records.create("Books", {"Title": "outside", "Price": 1})


async def refuses(call):
    raise ApilaneError(Code.VALIDATION, "Too late", property="day")


async def broken(call):
    raise ValueError("secret-text")


async def endless(call):
    await asyncio.sleep(60)


def sleeps(call):
    time.sleep(0.6)
    return "slept"


async def numbers(call):
    return [[1, 2], [3]]


async def exits(call, how: str):
    if how == "cancelled":
        raise asyncio.CancelledError
    raise {"exit": SystemExit, "interrupt": KeyboardInterrupt, "generator": GeneratorExit}[how]


async def unfit(call):
    return object()


@hookimpl
def apilane_register_functions():
    functions = [order, whole, several, blocking, outside, refuses, broken, unfit, numbers, exits]
    return [
        *(EndpointFunction(name=f"shop.{each.__name__}", function=each) for each in functions),
        EndpointFunction(name="shop.endless", function=endless, time_limit_s=0.3),
        EndpointFunction(name="shop.sleeps", function=sleeps, time_limit_s=5),
    ]
'''
NAMES = [
    "order",
    "whole",
    "several",
    "blocking",
    "outside",
    "refuses",
    "broken",
    "endless",
    "sleeps",
    "unfit",
    "numbers",
    "exits",
]
MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Shop", "AllowUserRegister": True},
    "Entities": [
        {
            "Name": "Books",
            "Properties": [{"Name": "Title"}, {"Name": "Price", "Type": "Number", "DecimalPlaces": 2}],
        }
    ],
    "CustomEndpoints": [{"Name": name.title(), "Kind": "python", "Query": f"shop.{name}"} for name in NAMES],
    "Security": [
        {"Entity": "Books", "Role": "AUTHENTICATED", "Action": "get", "Properties": "*"},
        *({"CustomEndpoint": name.title(), "Role": "AUTHENTICATED"} for name in NAMES),
    ],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the plugin."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "shop.py").write_text(PLUGIN, encoding="utf-8")
    with Server(folder / "data", settings={**CHEAP_PASSWORDS, "plugins_dir": folder}) as running:
        yield running


@pytest.fixture(scope="module")
def shop(server: Server) -> Iterator[Client]:
    """A signed-in user."""
    with httpx.Client(trust_env=False, timeout=30) as http:
        yield Client(http, server.url, server.apply(MANIFEST)).signed_in("reader")


def test_parameters(shop: Client) -> None:
    """Texts and JSON become the types of the signature; rows of the result are one result set."""
    (book,) = shop.get("Custom/Blocking", title="Atlas").json()[0]
    answer = shop.get("Custom/Order", lines=f'[{{"book":{book["ID"]},"copies":3}}]', day="2026-03-01", other="x")
    assert answer.json() == [[{"Price": 3, "Day": "2026-03-01", "Express": False, "Caller": 1}]]
    assert shop.get("Custom/Order", lines="[]", day="2026-03-01", express="true").json()[0][0]["Express"] is True
    assert shop.get("Custom/Order", lines="[]", day="2026-03-01", express="On").json()[0][0]["Express"] is True


def test_results(shop: Client) -> None:
    """A list of lists of rows is several result sets, and another value is sent as it is."""
    assert shop.get("Custom/Whole").json() == {"a": 1}
    assert shop.get("Custom/Several").json() == [[{"a": 1}], []]
    assert shop.get("Custom/Numbers").json() == [[1, 2], [3]]


@pytest.mark.parametrize("how", ["exit", "interrupt", "generator", "cancelled"])
def test_functions_cannot_end_the_server(shop: Client, how: str) -> None:
    """An exception that usually ends a program or a task is an ordinary failure of the function."""
    assert error_of(shop.get("Custom/Exits", how=how)) == WireError("ERROR", "Something went wrong")
    assert shop.get("Custom/Whole").status_code == 200


@pytest.mark.parametrize(
    ("query", "code", "property"),
    [
        ({}, "REQUIRED", "lines"),
        ({"lines": "[]"}, "REQUIRED", "day"),
        ({"lines": "[", "day": "2026-03-01"}, "VALIDATION", "lines"),
        ({"lines": '[{"book":"x"}]', "day": "2026-03-01"}, "VALIDATION", "lines"),
        ({"lines": "[]", "day": "tomorrow"}, "VALIDATION", "day"),
        ({"lines": "[]", "day": "2026-03-01", "express": "perhaps"}, "VALIDATION", "express"),
        ({"lines": "[" * 20_000, "day": "2026-03-01"}, "VALIDATION", "lines"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_unfit_parameters(shop: Client, query: dict[str, str], code: str, property: str) -> None:
    """A missing or unreadable parameter is named."""
    error = error_of(shop.get("Custom/Order", **query))
    assert (error.code, error.property, error.entity) == (code, property, "Order")


def test_rules(shop: Client) -> None:
    """The caller needs a rule for the endpoint, and ``call.records`` writes only what the caller's rules grant."""
    assert error_of(shop.as_user(None).get("Custom/Whole")).code == "UNAUTHORIZED"
    assert error_of(shop.get("Custom/Outside")) == WireError("UNAUTHORIZED", "Unauthorized", None, "Books")


def test_failures(shop: Client, server: Server) -> None:
    """A function may refuse with an error of the wire. Other failures show no text, and the log names the plugin."""
    assert error_of(shop.get("Custom/Refuses")) == WireError("VALIDATION", "Too late", "day", None)
    for name in ("Broken", "Unfit"):
        error = error_of(shop.get(f"Custom/{name}"))
        assert (error.code, error.message) == ("ERROR", "Something went wrong")
    assert "plugin 'shop', hook apilane_register_functions" in server.output().replace("\n", " ")
    assert "the function of endpoint Unfit returned object" in server.output()
    assert "secret-text" in server.output()


def test_time_limit(shop: Client) -> None:
    """A function that takes longer than its limit is ended, and the error says so."""
    assert (
        error_of(shop.get("Custom/Endless")).message
        == "Something went wrong: the endpoint took longer than 0.3 seconds"
    )


def test_threads_do_not_hold_others_up(shop: Client) -> None:
    """While functions without async fill all threads, other calls are answered, and waiting ones follow."""
    with ThreadPoolExecutor(9) as pool:
        sleeping = [pool.submit(shop.get, "Custom/Sleeps") for _ in range(8)]
        begun = monotonic()
        assert shop.get("Custom/Whole").status_code == 200
        assert not all(each.done() for each in sleeping), monotonic() - begun
        assert [each.result().json() for each in sleeping] == ["slept"] * 8


def test_transactions_refuse_them(shop: Client) -> None:
    """A function cannot be a part of a transaction."""
    body = {"Operations": [{"Action": "Custom", "Entity": "Whole", "Data": {}}]}
    assert error_of(shop.post("Data/TransactionOperations", body)).message.endswith(
        "Custom Whole cannot be a part of a transaction"
    )


def test_apply_names_unknown_functions(server: Server) -> None:
    """``apply`` refuses an endpoint whose function no plugin registers, and lists the registered ones."""
    endpoint = {"Name": "Other", "Kind": "python", "Query": "shop.other"}
    with pytest.raises(
        ManifestErrors, match=r"no loaded plugin registers the function 'shop\.other'; registered: shop"
    ):
        server.apply({**MANIFEST, "Application": {"Name": "Other"}, "CustomEndpoints": [endpoint], "Security": []})


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("lambda: 1", "has no first parameter for the call"),
        ("lambda call, *rest: 1", r"has the parameter \*rest; expected parameters with a name"),
    ],
)
def test_unfit_functions_stop_the_start(write_plugin: Callable[..., Settings], function: str, message: str) -> None:
    """A function that cannot be called stops start-up; the message names it."""
    settings = write_plugin(
        "unfit",
        f"""
        from apilane.plugin import EndpointFunction

        @hookimpl
        def apilane_register_functions():
            return [EndpointFunction(name="unfit.one", function={function})]
        """,
    )
    with pytest.raises(ConfigurationError, match=f"the function unfit.one {message}"):
        create_app(settings)


def test_openapi_has_the_signatures(shop: Client) -> None:
    """The OpenAPI document has the types, the required parameters and the text of each function."""
    document = shop.http.get(f"{shop.url}/openapi.json", headers=shop.headers()).json()
    operation = document["paths"]["/api/Custom/Order"]["get"]
    parameters = {each["name"]: each for each in operation["parameters"]}
    assert parameters["express"]["schema"] == {"type": "boolean"}
    assert parameters["day"]["schema"] == {"type": "string", "format": "date"}
    assert [name for name, each in parameters.items() if each.get("required")] == ["lines", "day"]
    lines = parameters["lines"]["schema"]["contentSchema"]
    assert lines == {"type": "array", "items": {"$ref": "#/components/schemas/Custom.Order.Line"}}
    assert document["components"]["schemas"]["Custom.Order.Line"]["required"] == ["book"]
    titles = document["paths"]["/api/Custom/Blocking"]["get"]
    assert titles["description"] == "Stores a book."
    answer = titles["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["items"]["items"]["additionalProperties"] == {"type": "integer"}
