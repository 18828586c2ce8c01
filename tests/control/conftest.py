"""An open instance on the real SQLite driver, and definitions for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from apilane.instance import Instance
from apilane.instance import open_instance as opened
from apilane.model.definition import ApplicationDefinition, Entity, Property
from apilane.model.system import custom_entity, system_entities
from apilane.security.tokens import new_token
from apilane.settings import Settings

OpenInstance = Callable[..., AbstractAsyncContextManager[Instance]]


def _open(data_dir: Path, **more: Any) -> AbstractAsyncContextManager[Instance]:
    settings = Settings(data_dir=data_dir, plugins=(), **{"argon2_time_cost": 1, "argon2_memory_kib": 64, **more})
    return opened(settings)


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
    """Create the definition of a small application with the entity ``Products``."""
    return _definition
