"""Warnings of `apply` about custom endpoints (``CarefulEndpointKind``)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.changes.workshop import Workshop, entity, manifest


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    """An instance without applications."""
    with asyncio.Runner() as runner:
        workshop = Workshop(tmp_path / "data", runner)
        yield workshop
        workshop.close()


def warnings(shop: Workshop, query: str, parameters: dict[str, str] | None = None, **more: Any) -> list[str]:
    """The warnings about an endpoint of an application with tenants, whose entity Items has records of tenants."""
    document = manifest(
        entity("Company"),
        entity("Items", {"Name": "Text"}, Differentiation=True),
        entity("Kinds", {"Name": "Text"}),
        CustomEndpoints=[{"Name": "Some", "Query": query, "Parameters": parameters or {}, **more}],
    )
    document["Application"]["DifferentiationEntity"] = "Company"
    return [str(line) for line in shop.plan(document).lines if line.kind == "warning"]


def test_an_undeclared_mark(shop: Workshop) -> None:
    """A mark without a type is named, because it takes whole numbers only; declared and reserved marks are not."""
    expected = "! CustomEndpoints[Some].Query: the mark {Shelf} is not declared, so it takes whole numbers only, and "
    expected += "any other value is null; add Parameters: {Shelf: Number}, or another type"
    assert warnings(shop, "SELECT {Shelf}, {Name}, {Owner}", {"Name": "String"}) == [expected]


def test_records_of_all_tenants(shop: Workshop) -> None:
    """An endpoint that uses an entity with tenants and not the tenant of the caller is named with the entity."""
    advice = "without {Owner_Differentiation}; SQL sees the records of all tenants, so compare the tenant: "
    advice += "WHERE Company_ID = {Owner_Differentiation}"
    for query in ("SELECT * FROM Items", 'SELECT * FROM "items"', "SELECT Kinds.ID FROM Kinds, [Items]"):
        assert warnings(shop, query) == [f"! CustomEndpoints[Some].Query: it uses Items {advice}"]
    both = warnings(shop, "SELECT Items.ID FROM Items, Users")
    assert both == [f"! CustomEndpoints[Some].Query: it uses Users, Items {advice}"]
    for query in (
        "SELECT * FROM Items WHERE Company_ID = {Owner_Differentiation}",
        "SELECT * FROM Kinds -- of Items",
        "SELECT 'Items' FROM Kinds /* Items */",
    ):
        assert warnings(shop, query) == []
