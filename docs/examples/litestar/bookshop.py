"""A Litestar application with Apilane inside: ``litestar --app bookshop:app run`` in this folder serves it."""

from __future__ import annotations

from typing import Any

from litestar import Litestar, Request, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from apilane import Apilane, ApilanePlugin

SHOP = "a71a5000-0000-4000-8000-0000000000ce"


@get("/titles")
async def titles(apilane: NamedDependency[Apilane]) -> list[str]:
    """All titles, without rules."""
    shop = await apilane.application("Bookshop")
    return [book["Title"] async for book in shop.as_system().stream("Books", sort=[("Title", "asc")])]


@get("/books/{book:int}")
async def one_book(
    book: FromPath[int], request: Request[Any, Any, Any], apilane: NamedDependency[Apilane]
) -> dict[str, Any]:
    """A book, as far as the caller may read it."""
    shop = await apilane.application(SHOP)
    caller = await apilane.actor(request, SHOP)
    return await shop.as_actor(caller).get("Books", book)


app = Litestar(route_handlers=[titles, one_book], plugins=[ApilanePlugin(path="/backend")])
