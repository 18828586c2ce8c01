"""Opening an instance: what is created, what is recovered, and what a read-only opening leaves unchanged."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from apilane.control.first_use import NoInstance
from apilane.control.secrets import Secrets
from apilane.errors import ConfigurationError
from apilane.instance import Instance, open_instance
from apilane.model.migration import Migration
from apilane.model.plan import Plan
from apilane.model.system import HELPER_TABLES
from apilane.settings import Settings


def settings(data_dir: Path) -> Settings:
    return Settings(data_dir=data_dir, plugins=(), argon2_time_cost=1, argon2_memory_kib=64)


def test_looking_makes_nothing(tmp_path: Path) -> None:
    """Without ``create`` a missing instance is refused with its path, and no file is created."""
    data_dir = tmp_path / "data"

    async def scenario() -> None:
        with pytest.raises(NoInstance, match=str(data_dir)):
            async with open_instance(settings(data_dir), create=False):
                pass

    asyncio.run(scenario())
    assert not data_dir.exists()


def test_looking_settles_nothing(definition, tmp_path: Path) -> None:
    """A read-only opening leaves an unfinished change as it is; the next normal opening completes or abandons it."""
    shop = definition()

    async def scenario() -> None:
        async with open_instance(settings(tmp_path)) as instance:
            await instance.store.begin(shop, Secrets.new(), None, "me")
        async with open_instance(settings(tmp_path), create=False) as instance:
            assert await instance.store.pending_tokens() == [shop.token]
        async with open_instance(settings(tmp_path)) as instance:
            assert await instance.store.pending_tokens() == []

    asyncio.run(scenario())


def test_a_failed_opening_can_be_repeated(tmp_path: Path) -> None:
    """After a failed opening an instance can be opened again; after it was closed it cannot."""
    key = tmp_path / "master.key"

    async def scenario() -> None:
        async with open_instance(settings(tmp_path)):
            pass
        kept = key.read_bytes()
        key.unlink()
        instance = Instance(settings(tmp_path))
        with pytest.raises(ConfigurationError, match="master"):
            await instance.open()
        assert not instance.is_open
        key.write_bytes(kept)
        key.chmod(0o600)
        await instance.open()
        assert instance.is_open
        await instance.close()
        with pytest.raises(ConfigurationError, match="closed"):
            await instance.open()

    asyncio.run(scenario())


def test_applications_without_serving(definition, tmp_path: Path) -> None:
    """A command reads the newest version of each application and starts no background task."""
    shop = definition()

    async def scenario() -> None:
        async with open_instance(settings(tmp_path)) as instance:
            first = msgspec.structs.replace(shop, name="First")
            tables = Migration(before=(), after=(*first.entities, *HELPER_TABLES))
            plan = Plan(before=None, after=first, lines=(), migration=tables, secrets={})
            await instance.changes.apply(plan, actor="me")
            application = await instance.applications.find(shop.token.upper())
            assert application is not None
            assert (application.token, application.definition.name) == (shop.token, "First")
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(scenario())
