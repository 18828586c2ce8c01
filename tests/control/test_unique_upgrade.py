"""Unique constraints of an older release, in which each database compared texts in its own way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from apilane.errors import ConfigurationError
from apilane.instance.diagnosis import _applications as look_at_applications
from apilane.model.definition import ApplicationDefinition, Property, Unique
from apilane.model.system import custom_entity
from apilane.sql.statement import Statement
from apilane.storage.errors import UniqueViolation
from apilane.storage.protocol import Session, Step
from apilane.testing.plugin import ServerUrl
from apilane_mysql import provision as mysql
from apilane_postgresql import provision as postgresql
from tests.control.test_applying import apply

FIRST_STRUCTURE = {
    "SQLite": [
        'DROP INDEX "NOCASE_Products_Title"',
        'CREATE INDEX "NOCASE_Products_Title" ON "Products" ("Title" COLLATE NOCASE)',
    ],
    "PostgreSQL": [
        'DROP INDEX "letters_products_title"',
        'DROP INDEX "folded_products_title"',
        'CREATE INDEX "folded_products_title" ON "Products" (lower("Title"))',
    ],
    "MySQL": [
        "ALTER TABLE `Products` DROP INDEX `UNIQUE_Products_Title`, DROP COLUMN `H_UNIQUE_Products_Title_0`",
        "ALTER TABLE `Products` DROP INDEX `INDEX_Products_Title`, ADD UNIQUE INDEX `UNIQUE_Products_Title` (`Title`)",
    ],
}
"""What turns the tables of this release into those of the first one."""


@pytest.fixture(params=list(FIRST_STRUCTURE))
def place(request: pytest.FixtureRequest, server_url: ServerUrl) -> Iterator[tuple[str, str]]:
    """A provider, and the address of an empty database of it; SQLite needs none."""
    provider: str = request.param
    if provider == "MySQL":
        address = mysql.fresh_database(server_url("mysql"))
        yield provider, address
        mysql.drop_database(address)
    elif provider == "PostgreSQL":
        server = server_url("postgresql")
        address = asyncio.run(postgresql.fresh_database(server))
        yield provider, address
        asyncio.run(postgresql.drop_database(address, server))
    else:
        yield provider, ""


def _shop(definition: Any, provider: str) -> ApplicationDefinition:
    products = custom_entity("Products", (Property(name="Title", required=True, maximum=200),))
    unique = replace(products, constraints=(*products.constraints, Unique(properties=("Title",))))
    shop: ApplicationDefinition = definition(entities=(unique,), storage_provider=provider)
    return shop


def _quoted(provider: str, text: str) -> str:
    return text.replace('"', "`") if provider == "MySQL" else text


async def _run(session: Session, provider: str, *texts: str) -> None:
    def unit() -> Any:
        for text in texts:
            kind = text.partition(" ")[0].lower()
            yield Step(Statement(_quoted(provider, text), kind=kind if kind in {"insert", "delete"} else "ddl"))  # type: ignore[arg-type]

    await session.alter(unit)


def _insert(title: str) -> str:
    return f'INSERT INTO "Products" ("Title", "Created") VALUES (\'{title}\', 1)'


async def _made_old(instance: Any, shop: ApplicationDefinition, address: str, *titles: str) -> Session:
    """The application as the first release made it, with records."""
    await apply(instance, None, shop, **({"connection_string": address} if address else {}))
    driver = instance.drivers[shop.storage_provider]
    session: Session = driver.session(address or str(instance.settings.data_dir / "apps" / shop.token / "data.db"))
    rows = ['DELETE FROM "H_Schema"', 'INSERT INTO "H_Schema" ("ID", "Version") VALUES (1, 1)']
    texts = [*FIRST_STRUCTURE[driver.name], *rows]
    await _run(session, driver.name, *texts, *map(_insert, titles))
    return session


def test_an_old_application_gets_the_rule_of_filters(
    open_instance: Any, definition: Any, tmp_path: Path, place: tuple[str, str]
) -> None:
    """An application that opens gets unique constraints that fold letter case and compare everything else, once."""
    provider, address = place
    shop = _shop(definition, provider)

    async def scenario() -> None:
        async with open_instance(tmp_path) as instance:
            session = await _made_old(instance, shop, address, "Élan", "m2")
            for _ in range(2):
                assert await instance.applications.find(shop.token) is not None
            read = 'SELECT "ID", "Version" FROM "H_Schema"'
            assert list(await session.fetch(Statement(_quoted(provider, read)))) == [(2, 1)]
            await _run(session, provider, _insert("m²"), _insert("Elan"))
            for title in ("ÉLAN", "M2"):
                with pytest.raises(UniqueViolation):
                    await _run(session, provider, _insert(title))

    asyncio.run(scenario())


def test_a_change_of_tables_upgrades_too(
    open_instance: Any, definition: Any, tmp_path: Path, place: tuple[str, str]
) -> None:
    """A change of an application that was not opened before upgrades its unique constraints in the same unit."""
    provider, address = place
    shop = _shop(definition, provider)
    products = replace(shop.entities[-1], properties=(*shop.entities[-1].properties, Property(name="Note", maximum=10)))
    wider = replace(shop, entities=(*shop.entities[:-1], products))

    async def scenario() -> None:
        async with open_instance(tmp_path) as instance:
            session = await _made_old(instance, shop, address, "Élan")
            await apply(instance, shop, wider)
            with pytest.raises(UniqueViolation):
                await _run(session, provider, _insert("ÉLAN"))

    asyncio.run(scenario())


def test_records_that_are_equal_now(
    open_instance: Any,
    definition: Any,
    tmp_path: Path,
    place: tuple[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An application with records that were different and are equal now is served as it is. The log, ``doctor`` and a
    refused change name the records; when they are corrected, the change upgrades the constraints.
    """
    provider, address = place
    if provider == "MySQL":
        pytest.skip("its collation ignored the letter case of all common letters")
    shop = _shop(definition, provider)
    products = replace(shop.entities[-1], properties=(*shop.entities[-1].properties, Property(name="Note", maximum=10)))
    wider = replace(shop, entities=(*shop.entities[:-1], products))
    found = "Entities[Products].Constraints[Unique Title]: 2 records with equal values (ID 1, 2)"

    async def scenario() -> None:
        async with open_instance(tmp_path) as instance:
            session = await _made_old(instance, shop, address, "Élan", "ÉLAN", "Other")
            assert await instance.applications.find(shop.token) is not None
            assert found in caplog.text
            findings = [look.finding async for look in look_at_applications(instance)]
            assert [each.text for each in findings if each.serious] == [found]
            with pytest.raises(ConfigurationError, match="records do not fit") as refused:
                await apply(instance, shop, wider)
            assert found in str(refused.value)
            await _run(session, provider, 'DELETE FROM "Products" WHERE "ID" = 2')
            await apply(instance, shop, wider)
            with pytest.raises(UniqueViolation):
                await _run(session, provider, _insert("ÉLAN"))

    asyncio.run(scenario())
