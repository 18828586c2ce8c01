"""An opened instance on the real SQLite driver, and definitions to put into it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from apilane.control.store import ControlStore
from apilane.dispatch import freeze
from apilane.model.definition import ApplicationDefinition, Entity, Property
from apilane.model.system import custom_entity, system_entities
from apilane.plugins import load_plugins
from apilane.security.tokens import new_token
from apilane.settings import Settings
from apilane.storage.protocol import Driver


class Instance(NamedTuple):
    settings: Settings
    drivers: Mapping[str, Driver]
    store: ControlStore


OpenInstance = Callable[..., AbstractAsyncContextManager[Instance]]


@asynccontextmanager
async def _open(data_dir: Path, **more: Any) -> AsyncIterator[Instance]:
    settings = Settings(data_dir=data_dir, plugins=(), **{"argon2_time_cost": 1, "argon2_memory_kib": 64, **more})
    drivers = freeze(load_plugins(settings), settings).drivers
    try:
        store = await ControlStore.open(settings, drivers)
        try:
            yield Instance(settings, drivers, store)
        finally:
            await store.close()
    finally:
        for driver in drivers.values():
            await driver.close()


@pytest.fixture
def open_instance() -> OpenInstance:
    """``async with open_instance(data_dir, **settings) as instance``; cheap password hashes."""
    return _open


def _definition(
    name: str = "Shop", *, entities: tuple[Entity, ...] | None = None, **more: Any
) -> ApplicationDefinition:
    products = custom_entity("Products", (Property(name="Title", required=True, maximum=200), Property(name="Code")))
    return ApplicationDefinition(
        **{"token": new_token(), **more}, name=name, entities=(*system_entities(), *(entities or (products,)))
    )


@pytest.fixture
def definition() -> Callable[..., ApplicationDefinition]:
    """Makes the definition of a small application with the entity ``Products``."""
    return _definition
