"""A world on each provider."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from apilane.testing.plugin import ServerUrl
from tests.events.world import World
from tests.http.places import ServerPlace

PROVIDERS = ("sqlite", "mysql", "postgresql", "sqlserver")

NewWorld = Callable[[], World]


@pytest.fixture(params=PROVIDERS)
def new_world(request: pytest.FixtureRequest, tmp_path: Path, server_url: ServerUrl) -> NewWorld:
    """A world whose databases, the control store included, are on one provider."""
    provider = request.param
    place = None if provider == "sqlite" else ServerPlace(provider, server_url(provider))
    world = World(tmp_path / "data", place)
    return lambda: world
