"""The application mounted in Litestar and Starlette, and loaded by its import string."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar, asgi, get
from starlette.applications import Starlette
from starlette.routing import Mount

import apilane
from apilane import Settings, create_app


async def _statuses(application: Any, paths: list[str]) -> list[tuple[int, str]]:
    """Status and code of GET requests, without lifespan events: a mounted application receives none."""
    transport = httpx.ASGITransport(app=application)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answers = [await client.get(path) for path in paths]
    return [(answer.status_code, answer.json().get("Code", answer.json().get("Version"))) for answer in answers]


EXPECTED = [(400, "ERROR"), (404, "NOT_FOUND"), (200, "8.7.0"), (400, "ERROR")]
PATHS = ["/backend/api/Data/Get?entity=x", "/backend/API/nothing", "/backend/Version", "/backend/openapi.json"]


def test_in_starlette(tmp_path: Path) -> None:
    """Mounted in Starlette, the application answers wire calls and service endpoints below the mount point."""
    application = Starlette(routes=[Mount("/backend", app=create_app(Settings(data_dir=tmp_path)))])
    assert asyncio.run(_statuses(application, PATHS)) == EXPECTED


def test_in_litestar(tmp_path: Path) -> None:
    """Mounted in Litestar, the application gives the same answers, and the outer application keeps its routes."""
    inner = create_app(Settings(data_dir=tmp_path))

    @asgi("/backend", is_mount=True, copy_scope=True)
    async def backend(scope: Any, receive: Any, send: Any) -> None:
        await inner(scope, receive, send)

    @get("/own")
    async def own() -> dict[str, str]:
        return {"Code": "own"}

    outer = Litestar([backend, own], openapi_config=None)
    assert asyncio.run(_statuses(outer, [*PATHS, "/own"])) == [*EXPECTED, (200, "own")]


def test_import_string(tmp_path: Path) -> None:
    """``apilane.asgi:app`` takes its settings from the environment."""
    program = "from apilane.asgi import app; print(app._instance.settings.data_dir)"
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={"APILANE_DATA_DIR": str(tmp_path / "here"), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == str(tmp_path / "here")


@pytest.mark.parametrize("name", apilane.__all__)
def test_public_names(name: str) -> None:
    """Every public name of the package is the object of the module that defines it."""
    home = importlib.import_module(apilane._HOMES[name])
    assert getattr(apilane, name) is getattr(home, name)


def test_unknown_name() -> None:
    """A name that is not public is an AttributeError, as in any module."""
    with pytest.raises(AttributeError, match="nothing"):
        _ = apilane.nothing


def test_after_the_end(tmp_path: Path) -> None:
    """A closed application stays closed and answers so with the standard body."""

    async def scenario() -> tuple[int, str]:
        application = create_app(Settings(data_dir=tmp_path))
        assert (await _statuses(application, ["/Version"])) == [(200, "8.7.0")]
        await application.close()
        (answer,) = await _statuses(application, ["/api/Data/Get?entity=x"])
        return answer

    assert asyncio.run(scenario()) == (400, "SERVICE_UNAVAILABLE")
