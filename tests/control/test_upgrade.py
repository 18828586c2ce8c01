"""Upgrades from an older release: the control store, and the core's helper tables."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import apsw
import pytest
from msgspec.structs import replace

from apilane.control.store import ControlStore
from apilane.control.tables import CONTROL_TABLES, FIRST_CONTROL_TABLES, PORTAL_USERS, ControlSchema
from apilane.dispatch import freeze
from apilane.errors import ConfigurationError
from apilane.model.definition import Entity, Index, Property, PropertyType
from apilane.model.system import FIRST_HELPER_TABLES, HELPER_TABLES, helper_table
from apilane.plugins import load_plugins
from apilane.services.helper_tables import TableUpkeep
from apilane.settings import Settings
from apilane.storage.helper_tables import HelperTables, TableVersion
from apilane.storage.registry import Drivers
from tests.control.test_applying import apply, rows


def _text(name: str) -> Property:
    return Property(name=name, maximum=100, required=True, is_system=True)


def _with(table: Entity, *more: Property) -> Entity:
    return replace(table, properties=(*table.properties, *more))


JOBS = helper_table("Jobs", (_text("Name"), Property(name="Due", type=PropertyType.Date)), indexes=(Index(("Due",)),))
USERS_2 = _with(PORTAL_USERS, _text("Language"))
SCHEMA_2 = ControlSchema(2, (*(USERS_2 if each is PORTAL_USERS else each for each in CONTROL_TABLES), JOBS))
SCHEMA_3 = ControlSchema(3, (*CONTROL_TABLES, JOBS))


class Place:
    """An instance in a folder, opened by releases with different versions of the control tables."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings(data_dir=folder, plugins=(), argon2_time_cost=1, argon2_memory_kib=64)

    def drivers(self) -> Drivers:
        return freeze(load_plugins(self.settings), self.settings).drivers

    async def open(self, schema: ControlSchema, *, create: bool = True) -> tuple[str, bool]:
        """Open the store; the admin's address, and whether this call created the store."""
        drivers = self.drivers()
        try:
            store = await ControlStore.open(self.settings, drivers, schema=schema, create=create)
            user = await store.portal_user("admin@localhost")
            assert user is not None
            await store.close()
            return user.email, store.first_admin is not None
        finally:
            for driver in drivers.values():
                await driver.close()

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        connection = apsw.Connection(str(self.folder / "control.db"))
        try:
            return list(connection.execute(statement))
        finally:
            connection.close()

    def columns(self, table: str) -> list[str]:
        return [row[1] for row in self.sql(f'PRAGMA table_info("{table}")')]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty folder."""
    return Place(tmp_path / "data")


SCHEMA_1 = ControlSchema(1, FIRST_CONTROL_TABLES)


def test_a_store_of_version_1_gets_the_tables_of_version_2(place: Place) -> None:
    """A new table, a new column and the new version number come in one transaction; the stored data stays."""

    async def scenario() -> None:
        assert await place.open(SCHEMA_1) == ("admin@localhost", True)
        assert place.columns("H_Tables") == []
        for _ in range(2):
            assert await place.open(SCHEMA_2) == ("admin@localhost", False)

    asyncio.run(scenario())
    assert place.columns("Jobs") == ["ID", "Name", "Due"]
    assert place.columns("PortalUsers")[-1] == "Language"
    assert place.sql('SELECT "SchemaVersion" FROM "Instance"') == [(2,)]
    assert place.sql('SELECT "Name", "Version" FROM "H_Tables" WHERE "Name" = \'Jobs\'') == [("Jobs", 2)]


@pytest.mark.parametrize("first", [SCHEMA_1, SCHEMA_2])
def test_versions_may_be_skipped(place: Place, first: ControlSchema) -> None:
    """An upgrade to version 3 works from version 1 and from version 2, also when version 2 was an upgrade."""

    async def scenario() -> None:
        await place.open(first)
        assert await place.open(SCHEMA_3) == ("admin@localhost", False)

    asyncio.run(scenario())
    assert place.columns("Jobs") == ["ID", "Name", "Due"]
    assert "Language" not in place.columns("PortalUsers")
    assert place.sql('SELECT DISTINCT "Version" FROM "H_Tables"') == [(3,)]


def test_an_older_release_refuses_a_newer_store(place: Place) -> None:
    """A release that knows only version 1 refuses a store of version 2."""

    async def scenario() -> None:
        await place.open(SCHEMA_2)
        with pytest.raises(ConfigurationError, match="has schema version 2; this apilane supports versions up to 1"):
            await place.open(SCHEMA_1)

    asyncio.run(scenario())


def test_looking_changes_nothing(place: Place) -> None:
    """A read-only opening refuses an older store, names its version and changes nothing."""

    async def scenario() -> None:
        await place.open(SCHEMA_1)
        with pytest.raises(ConfigurationError, match=r"has schema version 1; this apilane needs 2. The next"):
            await place.open(SCHEMA_2, create=False)

    asyncio.run(scenario())
    assert place.columns("Jobs") == []


def test_several_at_once(place: Place) -> None:
    """When several processes open an old store at the same time, one upgrades it and all of them can use it."""

    async def scenario() -> None:
        await place.open(SCHEMA_1)
        found = await asyncio.gather(*(place.open(SCHEMA_2) for _ in range(4)))
        assert found == [("admin@localhost", False)] * 4

    asyncio.run(scenario())
    assert place.sql('SELECT count(*) FROM "H_Tables" WHERE "Name" = \'Jobs\'') == [(1,)]


# The core's helper tables in a later release.

OUTBOX = helper_table("H_Outbox", (_text("Kind"),))


def _later() -> HelperTables:
    """A new table, and a table with one more column."""
    changed = [
        TableVersion(_with(table, _text("Language")), 2) if table.name == "H_Email_Templates" else TableVersion(table)
        for table in HELPER_TABLES
    ]
    return HelperTables([*changed, TableVersion(OUTBOX)], FIRST_HELPER_TABLES)


def test_a_new_helper_table_reaches_an_old_application(open_instance: Any, definition: Any, tmp_path: Path) -> None:
    """Existing applications get the helper tables of a later release, and changed tables keep their rows."""
    shop = definition()

    async def scenario() -> None:
        async with open_instance(tmp_path) as instance:
            await apply(instance, None, shop)
            driver = instance.drivers["SQLite"]
            session = driver.session(str(tmp_path / "apps" / shop.token / "data.db"))
            for _ in range(2):
                await TableUpkeep(instance.store, _later()).bring_up_to_date(shop.token, session, driver.dialect)
            assert rows(instance, shop.token, 'SELECT "EventCode", "Language" FROM "H_Email_Templates"') == [
                ("UserRegisterConfirmation", ""),
                ("UserForgotPassword", ""),
            ]
            assert rows(instance, shop.token, 'SELECT count(*) FROM "H_Outbox"') == [(0,)]
            recorded = rows(instance, shop.token, 'SELECT "Name", "Plugin", "Version" FROM "H_Tables" ORDER BY "Name"')
            assert recorded == [
                ("H_Email_Templates", "core", 2),
                ("H_Fingerprint", "core", 1),
                ("H_Idempotency_Keys", "core", 1),
                ("H_Outbox", "core", 1),
            ]

    asyncio.run(scenario())


def test_the_first_tables_never_change() -> None:
    """The first release's tables, which a database without version records is assumed to have, are never edited."""
    assert [(table.name, len(table.properties), len(table.constraints)) for table in FIRST_HELPER_TABLES] == [
        ("H_Entity_Change_Tracking", 6, 0),
        ("H_Auth_Email_Confirmation_Tokens", 4, 2),
        ("H_Auth_Password_Reset_Tokens", 4, 2),
        ("H_Email_Templates", 6, 0),
        ("H_Schema", 2, 0),
    ]
    assert [(table.name, len(table.properties)) for table in FIRST_CONTROL_TABLES] == [
        ("Instance", 5),
        ("Applications", 8),
        ("PendingChanges", 9),
        ("Audit", 8),
        ("PortalUsers", 6),
        ("OwnerTokens", 6),
    ]
