"""A server with the demo application ``docs/examples/atlas``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from apilane.services.operator_sign_in import operator_token
from apilane.testing.client import Client
from apilane.testing.server import CHEAP_PASSWORDS, PATIENT, Server

ATLAS = "docs/examples/atlas/atlas.yaml"
ADMIN = "admin@example.com"


@pytest.fixture(scope="session")
def atlas_manifest(repository: Path) -> dict[str, Any]:
    """The manifest of the demo application."""
    manifest: dict[str, Any] = yaml.safe_load((repository / ATLAS).read_text(encoding="utf-8"))
    return manifest


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server."""
    with Server(tmp_path_factory.mktemp("server") / "data", settings={**CHEAP_PASSWORDS, **PATIENT}) as running:
        yield running


@pytest.fixture(scope="module")
def atlas(server: Server, atlas_manifest: dict[str, Any], http: httpx.Client) -> Client:
    """An anonymous client of the demo application, without records."""
    return Client(http, server.url, server.apply(atlas_manifest))


@pytest.fixture(scope="module")
def operator(server: Server, atlas: Client) -> Client:
    """The admin of the instance on the owner channel."""
    return atlas.as_operator(server.with_store(lambda store, _hooks: operator_token(store, ADMIN, None)))
