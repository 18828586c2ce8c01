"""Applying plans on the real driver: two phases, crashes between them, refusals, and concurrent applies."""

from __future__ import annotations

import asyncio
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from apilane.control.folders import application_address
from apilane.errors import ConfigurationError
from apilane.model.definition import ApplicationDefinition, Constraint, Entity, Property, Unique
from apilane.model.migration import Migration
from apilane.model.plan import Plan, PlanLine
from apilane.model.system import HELPER_TABLES, custom_entity
from apilane.security.encryption import Cipher
from apilane.services.application_tables import ApplicationTables
from apilane.sql.statement import Statement
from apilane.storage.protocol import Step


def plan_of(before: ApplicationDefinition | None, after: ApplicationDefinition, **secrets: str) -> Plan:
    """The plan between two definitions, as ``apilane.model.plan`` would make it for the changes of these tests."""
    tables = (before.entities if before else ()), after.entities
    migration = None
    if tables[0] != tables[1]:
        migration = Migration((*tables[0], *HELPER_TABLES) if before else (), (*tables[1], *HELPER_TABLES))
    line = PlanLine("changed" if before else "added", "Application", after.name, False)
    return Plan(before=before, after=after, lines=(line,), migration=migration, secrets=secrets)


HOLD = """
import sys
import asyncio
from apilane_sqlite import SQLiteDriver

async def hold():
    async with SQLiteDriver().session(f"{sys.argv[1]}/control.db").exclusive(sys.argv[2]) as held:
        assert held
        print("held", flush=True)
        sys.stdin.read()

asyncio.run(hold())
"""


def start_holder(*arguments: str) -> subprocess.Popen[bytes]:
    """Start a process that holds the application's change lock."""
    holder = subprocess.Popen([sys.executable, "-c", HOLD, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    return holder


def products(*more: Property, constraints: tuple[Constraint, ...] = ()) -> Entity:
    entity = custom_entity("Products", (Property(name="Title", required=True, maximum=200), *more))
    return msgspec.structs.replace(entity, constraints=(*entity.constraints, *constraints))


def with_products(definition: ApplicationDefinition, entity: Entity) -> ApplicationDefinition:
    return msgspec.structs.replace(definition, entities=(*definition.entities[:-1], entity))


async def apply(
    instance: Any, before: ApplicationDefinition | None, after: ApplicationDefinition, **secrets: str
) -> Any:
    return await instance.changes.apply(plan_of(before, after, **secrets), actor="me@example.com")


def rows(instance: Any, token: str, sql: str) -> list[tuple[Any, ...]]:
    """The rows that a separate SQLite client reads from the application's database."""
    connection = apsw.Connection(str(instance.settings.data_dir / "apps" / token / "data.db"))
    try:
        return list(connection.execute(sql))
    finally:
        connection.close()


def columns(instance: Any, token: str) -> list[str]:
    return [row[1] for row in rows(instance, token, 'PRAGMA table_info("Products")')]


async def change_tables(
    instance: Any, before: ApplicationDefinition | None, after: ApplicationDefinition, to: int
) -> None:
    """Change the tables only, like a process that dies before it publishes."""
    driver = instance.drivers["SQLite"]
    stored = await instance.store.pending(after.token)
    tables = ApplicationTables(driver, application_address(instance.settings.data_dir, after.token, stored.secrets))
    migration = plan_of(before, after).migration
    ddl, cipher = driver.dialect.migrate(migration), Cipher(stored.secrets.encryption_key)
    await tables.change(migration, ddl, to, cipher=cipher, new=before is None, report=lambda *_: None)
    await tables.close()


async def add_products(instance: Any, definition: ApplicationDefinition, titles: Sequence[str]) -> None:
    session = instance.drivers["SQLite"].session(
        str(instance.settings.data_dir / "apps" / definition.token / "data.db")
    )
    insert = Statement('INSERT INTO "Products" ("Title", "Created") VALUES (?, 0)', ("title",), kind="insert")

    def unit():
        for title in titles:
            yield Step(insert, (title,))

    await session.run(unit)
    await session.close()


def test_new_application(open_instance, definition, tmp_path: Path) -> None:
    """A new application gets keys, private folders, tables, seeded templates, a version and an audit record."""
    shop = definition()

    async def scenario() -> None:
        async with open_instance(tmp_path) as instance:
            stored = await apply(instance, None, shop)
            assert (stored.definition, stored.version) == (shop, 1)
            assert len(stored.secrets.encryption_key) == len(stored.secrets.token_key) == 32
            assert stored.secrets.encryption_key != stored.secrets.token_key
            assert await instance.store.application(shop.token) == stored
            folder = tmp_path / "apps" / shop.token
            for path in (tmp_path / "apps", folder, folder / "files"):
                assert stat.S_IMODE(path.stat().st_mode) == 0o700
            assert rows(instance, shop.token, 'SELECT "Version" FROM "H_Schema"') == [(1,)]
            seeds = rows(instance, shop.token, 'SELECT "ID", "EventCode", "Active", "Subject" FROM "H_Email_Templates"')
            assert seeds == [
                (1, "UserRegisterConfirmation", 0, "Welcome!"),
                (2, "UserForgotPassword", 0, "Reset Password"),
            ]
            assert columns(instance, shop.token) == ["ID", "Owner", "Created", "Title", "Code"]
            (record,) = await instance.store.audit(shop.token)
            assert (record.actor, record.changes) == ("me@example.com", ("+ Application: Shop",))

    asyncio.run(scenario())


def test_change_and_no_change(open_instance, definition, tmp_path: Path) -> None:
    """A change keeps data and keys and raises the version; applying the same result again changes nothing."""
    shop = definition()
    wider = with_products(shop, products(Property(name="Code"), Property(name="Note")))
    closed = msgspec.structs.replace(wider, online=False)

    async def scenario() -> None:
        async with open_instance(tmp_path) as instance:
            first = await apply(instance, None, shop)
            await add_products(instance, shop, ["one"])
            second = await apply(instance, shop, wider)
            assert (second.version, second.secrets) == (2, first.secrets)
            assert rows(instance, shop.token, 'SELECT "Title", "Note" FROM "Products"') == [("one", None)]
            assert rows(instance, shop.token, 'SELECT "Version" FROM "H_Schema"') == [(2,)]
            assert await apply(instance, wider, wider) == second
            assert len(await instance.store.audit(shop.token)) == 2
            assert (await apply(instance, wider, closed)).version == 3

    asyncio.run(scenario())


def test_secrets_are_kept_unless_given(open_instance, definition, tmp_path: Path) -> None:
    """A secret that the manifest omits is kept; one that it has replaces the old one and is a change."""
    shop = definition()
    closed = msgspec.structs.replace(shop, online=False)

    async def scenario() -> None:
        async with open_instance(tmp_path) as instance:
            assert (await apply(instance, None, shop, mail_password="one-secret")).secrets.mail_password == "one-secret"
            assert (await apply(instance, shop, closed)).secrets.mail_password == "one-secret"
            assert (await apply(instance, closed, closed, mail_password="one-secret")).version == 2
            changed = await apply(instance, closed, closed, mail_password="other-secret")
            assert (changed.version, changed.secrets.mail_password) == (3, "other-secret")

    asyncio.run(scenario())


@pytest.mark.better("B-P3")
def test_refused_by_the_data(open_instance, definition, tmp_path: Path) -> None:
    """When the data violates a new constraint, the error names table and reason, and nothing is changed."""
    shop = definition()
    unique = with_products(
        shop, products(Property(name="Code"), Property(name="Note"), constraints=(Unique(properties=("Title",)),))
    )

    async def scenario() -> None:
        async with open_instance(tmp_path) as instance:
            first = await apply(instance, None, shop)
            await add_products(instance, shop, ["same", "same"])
            with pytest.raises(
                ConfigurationError,
                match=r"(?s)last complete definition.*Products.*Unique Title.*2 records with equal values \(ID 1, 2\)",
            ):
                await apply(instance, shop, unique)
            assert await instance.store.application(shop.token) == first
            assert await instance.store.pending_tokens() == []
            assert columns(instance, shop.token) == ["ID", "Owner", "Created", "Title", "Code"]
            assert rows(instance, shop.token, 'SELECT "Version" FROM "H_Schema"') == [(1,)]
            assert len(await instance.store.audit(shop.token)) == 1

    asyncio.run(scenario())


def test_refused_new_application_leaves_nothing(open_instance, definition, tmp_path: Path) -> None:
    """When the tables of a new application cannot be created, neither a pending change nor a folder remains."""
    odd = definition(entities=(products(), products()))  # creating the second table fails

    async def scenario() -> None:
        async with open_instance(tmp_path) as instance:
            with pytest.raises(ConfigurationError, match="Products"):
                await apply(instance, None, odd)
            assert await instance.store.applications() == []
            assert await instance.store.pending_tokens() == []
            assert not (tmp_path / "apps" / odd.token).exists()

    asyncio.run(scenario())


def test_killed_before_the_tables(open_instance, definition, tmp_path: Path) -> None:
    """A change that ended before its tables is abandoned at the next start or by the next apply."""
    shop = definition()
    wider = with_products(shop, products(Property(name="Code"), Property(name="Note")))

    async def scenario() -> None:
        async with open_instance(tmp_path) as instance:
            first = await apply(instance, None, shop)
            await instance.store.begin(wider, first.secrets, first, "me")
        async with open_instance(tmp_path) as instance:
            assert await instance.store.application(shop.token) == first
            assert await instance.store.pending_tokens() == []
            await instance.store.begin(wider, first.secrets, first, "me")
            assert (await apply(instance, shop, wider)).version == 2
            assert "Note" in columns(instance, shop.token)

    asyncio.run(scenario())


def test_new_application_killed_before_its_tables(open_instance, definition, tmp_path: Path) -> None:
    """A new application that ended before its tables is removed, and applying it again works."""
    shop = definition()

    async def scenario() -> None:
        from apilane.control.secrets import Secrets

        async with open_instance(tmp_path) as instance:
            await instance.store.begin(shop, Secrets.new(), None, "me")
            assert await instance.changes.recover(shop.token) is None
            assert await instance.store.applications() == []
            assert await instance.store.pending_tokens() == []
            assert (await apply(instance, None, shop)).version == 1

    asyncio.run(scenario())


def test_killed_before_publish(open_instance, definition, tmp_path: Path) -> None:
    """A change that ended after its tables is published at the next start, with its audit record."""
    shop = definition()
    wider = with_products(shop, products(Property(name="Code"), Property(name="Note")))

    async def scenario() -> None:
        async with open_instance(tmp_path) as instance:
            first = await apply(instance, None, shop)
            await instance.store.begin(wider, first.secrets, first, "killed@example.com", ["added Note"])
            await change_tables(instance, shop, wider, 2)
        async with open_instance(tmp_path) as instance:
            recovered = await instance.store.application(shop.token)
            assert (recovered.definition, recovered.version) == (wider, 2)
            assert (await instance.store.audit(shop.token))[0].actor == "killed@example.com"
            assert await instance.changes.recover(shop.token) is None

    asyncio.run(scenario())


@pytest.mark.better("B-P7")
def test_plan_from_an_old_state(open_instance, definition, tmp_path: Path) -> None:
    """A plan that is older than another change is refused and undoes nothing of that change."""
    shop = definition()
    theirs = msgspec.structs.replace(shop, online=False)
    mine = msgspec.structs.replace(shop, force_single_login=True)

    async def scenario() -> None:
        async with open_instance(tmp_path) as instance:
            await apply(instance, None, shop)
            await apply(instance, shop, theirs)
            with pytest.raises(ConfigurationError, match="was changed since the plan was made"):
                await apply(instance, shop, mine)
            assert (await instance.store.application(shop.token)).definition == theirs
            with pytest.raises(ConfigurationError, match="was changed since the plan was made"):
                await apply(instance, None, shop)

    asyncio.run(scenario())


@pytest.mark.better("B-P7")
def test_rivals(open_instance, definition, tmp_path: Path) -> None:
    """Of several concurrent applies exactly one succeeds; the others are refused and change nothing."""
    shop = definition()
    wanted = [with_products(shop, products(Property(name="Code"), Property(name=f"Note_{c}"))) for c in "abcd"]

    async def scenario() -> None:
        async with open_instance(tmp_path) as instance:
            await apply(instance, None, shop)
            results = await asyncio.gather(*(apply(instance, shop, each) for each in wanted), return_exceptions=True)
            won = [each for each in results if not isinstance(each, BaseException)]
            assert len(won) == 1
            assert won[0].version == 2
            lost = [each for each in results if isinstance(each, BaseException)]
            assert all(isinstance(each, ConfigurationError) for each in lost)
            assert all("Another process" in str(each) or "was changed" in str(each) for each in lost)
            assert [name for name in columns(instance, shop.token) if name.startswith("Note")] == [
                won[0].definition.entities[-1].properties[-1].name
            ]

    asyncio.run(scenario())


def test_a_running_apply_is_left_alone(open_instance, definition, tmp_path: Path) -> None:
    """Recovery leaves a change alone while its process lives, and takes over after that process is killed."""
    shop = definition()

    async def scenario() -> None:
        async with open_instance(tmp_path) as instance:
            first = await apply(instance, None, shop)
            await instance.store.begin(msgspec.structs.replace(shop, online=False), first.secrets, first, "me")
            with start_holder(str(tmp_path), shop.token) as other:
                await instance.changes.recover(shop.token)
                assert await instance.store.pending_tokens() == [shop.token]
                with pytest.raises(ConfigurationError, match="Another process"):
                    await apply(instance, shop, shop)
                other.kill()
                other.wait()
            await instance.changes.recover(shop.token)
            assert await instance.store.pending_tokens() == []
            async with instance.store.change_lock(shop.token) as held:
                assert held

    asyncio.run(scenario())


def test_foreign_tables(open_instance, definition, tmp_path: Path) -> None:
    """Tables that are unknown to this control store, or known at an older version, are refused unchanged."""
    shop = definition()

    async def scenario() -> None:
        async with open_instance(tmp_path / "one") as instance:
            await apply(instance, None, shop)
            await add_products(instance, shop, ["kept"])
        (tmp_path / "two").mkdir()
        (tmp_path / "one" / "apps").rename(tmp_path / "two" / "apps")
        async with open_instance(tmp_path / "two") as instance:
            with pytest.raises(ConfigurationError, match="already holds the tables"):
                await apply(instance, None, shop)
            assert rows(instance, shop.token, 'SELECT "Title" FROM "Products"') == [("kept",)]
            assert await instance.store.pending_tokens() == []

    asyncio.run(scenario())


def test_older_control_store(open_instance, definition, tmp_path: Path) -> None:
    """A control store restored from before the last change of the tables is refused; the error says what to restore."""
    shop = definition()

    async def scenario() -> None:
        async with open_instance(tmp_path) as instance:
            await apply(instance, None, shop)
            connection = apsw.Connection(str(tmp_path / "apps" / shop.token / "data.db"))
            connection.execute('UPDATE "H_Schema" SET "Version" = 5')
            connection.close()
            wider = with_products(shop, products(Property(name="Code"), Property(name="Note")))
            with pytest.raises(ConfigurationError, match="control store is older"):
                await apply(instance, shop, wider)
            with pytest.raises(ConfigurationError, match=r"backups of the same moment\. Nothing was changed"):
                await apply(instance, shop, msgspec.structs.replace(shop, online=False))

    asyncio.run(scenario())
