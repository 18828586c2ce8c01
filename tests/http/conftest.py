"""A real server for each test process, and applications on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from apilane.services.operator_sign_in import operator_token
from apilane.testing.client import Client
from apilane.testing.plugin import ServerUrl
from apilane.testing.server import CHEAP_PASSWORDS, PATIENT, Server
from tests.http.places import ServerPlace
from tests.manifests import LAB, read_manifest, unlimited_shop, with_new_token

NewClient = Callable[..., Client]
AsOperator = Callable[..., Client]
ADMIN = "admin@example.com"


PROVIDER = os.environ.get("APILANE_TEST_PROVIDER", "sqlite").lower()
"""Where every application and control store lives: sqlite, mysql, postgresql, sqlserver."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that concern only SQLite when another provider is under test."""
    for item in items if PROVIDER != "sqlite" else []:
        marker = item.get_closest_marker("sqlite_only")
        if marker is not None:
            item.add_marker(pytest.mark.skip(reason=f"only on SQLite: {marker.args[0]}"))


@pytest.fixture(scope="session", autouse=True)
def everything_lives_there(server_url: ServerUrl) -> Iterator[None]:
    """Keep all databases of the run on the provider's server."""
    if PROVIDER != "sqlite":
        Server.place = ServerPlace(PROVIDER, server_url(PROVIDER))
    yield
    Server.place = None


@pytest.fixture(scope="session")
def server(everything_lives_there: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """``apilane serve`` with a short interval for changed applications, which makes the tests faster.

    ``APILANE_TEST_WORKERS`` sets the number of workers: behaviour must be the same with one and with several.
    """
    workers = int(os.environ.get("APILANE_TEST_WORKERS", "1"))
    folder = tmp_path_factory.mktemp("server") / "data"
    settings = {**CHEAP_PASSWORDS, **PATIENT, "definition_poll_s": 0.05}
    with Server(folder, workers=workers, settings=settings) as running:
        yield running


@pytest.fixture(scope="session")
def shop_manifest() -> dict[str, Any]:
    """The shop without its rate limit. Copy it before changing it."""
    return unlimited_shop()


@pytest.fixture(scope="session")
def lab_manifest() -> dict[str, Any]:
    """Properties of every kind, open to every caller. Copy it before changing it."""
    return read_manifest(LAB)


@pytest.fixture(scope="session")
def new_application(server: Server, http: httpx.Client) -> NewClient:
    """Create an application of a manifest, with replaced keys of ``Application``; an anonymous client of it."""

    def make(manifest: dict[str, Any], **application: Any) -> Client:
        return Client(http, server.url, server.apply(with_new_token(manifest, **application)))

    return make


@pytest.fixture(scope="module")
def shop(new_application: NewClient, shop_manifest: dict[str, Any]) -> Client:
    """A new shop for each test module."""
    return new_application(shop_manifest)


@pytest.fixture(scope="module")
def lab(new_application: NewClient, lab_manifest: dict[str, Any]) -> Client:
    """A new lab for each test module."""
    return new_application(lab_manifest)


@pytest.fixture(scope="session")
def as_operator(server: Server) -> AsOperator:
    """An application's client on the portal channel, as the instance admin or as a collaborator."""

    def sign_in(client: Client, email: str = ADMIN, life_ms: int | None = None) -> Client:
        return client.as_operator(server.with_store(lambda store, _hooks: operator_token(store, email, life_ms)))

    return sign_in
