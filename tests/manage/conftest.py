"""An instance behind the management API, called in this process: real services, real control store, real databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar.testing import TestClient

from apilane.manage.app import create_app
from apilane.settings import Settings
from tests.manage.world import World, prepare


@pytest.fixture(scope="module")
def app_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The application, open, on a new data folder."""
    folder: Path = tmp_path_factory.mktemp("manage") / "data"
    settings = Settings(
        data_dir=folder,
        admin_email="admin@example.com",
        admin_password="a long password",
        argon2_memory_kib=8,
        argon2_time_cost=1,
    )
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.fixture(scope="module")
def world(app_client: TestClient) -> World:
    """Two applications, and a portal user in each role of the first one."""
    return prepare(app_client)
