"""``ApilanePlugin``: Apilane inside a Litestar application, with the example of the documentation."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar, get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.testing import TestClient

from apilane import Apilane, ApilaneError, ApilanePlugin, Code, UnknownApplication
from apilane.storage.errors import Unavailable
from apilane.testing.server import CHEAP_PASSWORDS, Server

EXAMPLE = Path(__file__).parents[2] / "docs/examples/litestar"
BOOK = {"Title": "Globe", "Cost": 3}
PERSON = {"Email": "anna@example.com", "Username": "anna", "Password": "anna-likes-maps"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The data folder of an instance with the shop of the example."""
    data = tmp_path / "data"
    Server(data).apply((EXAMPLE / "bookshop.yaml").read_text(encoding="utf-8"), settle=False)
    return data


@pytest.fixture
def example(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the example, which reads its settings from the environment."""
    for name, value in Server(folder, settings=CHEAP_PASSWORDS).environ.items():
        monkeypatch.setenv(name, value)
    spec = importlib.util.spec_from_file_location("bookshop", EXAMPLE / "bookshop.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bookshop", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def site(example: Any) -> Iterator[TestClient[Litestar]]:
    """The example with its lifespan begun, and one book stored over the wire."""
    with TestClient(app=example.app) as client:
        headers = {"x-application-token": example.SHOP}
        client.headers.update(headers)
        assert client.post("/backend/api/Data/Post?entity=Books", json=BOOK).json() == [1]
        yield client


def _sign_in(site: TestClient[Litestar]) -> dict[str, str]:
    site.post("/backend/api/Account/Register", json=PERSON)
    login = site.post("/backend/api/Account/Login", json=PERSON).json()
    return {"Authorization": f"Bearer {login['AuthToken']}"}


def test_mount(site: TestClient[Litestar]) -> None:
    """Wire calls and service pages are answered below the path, and unknown calls with the wire's body."""
    assert site.get("/backend/api/Data/GetByID?entity=Books&id=1").json()["Title"] == "Globe"
    assert site.get("/backend/Version").json()["Version"] == "8.7.0"
    unknown = site.get("/backend/api/nothing")
    assert (unknown.status_code, unknown.json()["Code"]) == (404, "NOT_FOUND")


def test_all_records(site: TestClient[Litestar]) -> None:
    """A handler reads an application by its name, without rules."""
    assert site.get("/titles").json() == ["Globe"]


def test_rules_of_the_caller(site: TestClient[Litestar]) -> None:
    """A handler with the caller of its request returns only what the rules let that caller read."""
    assert "Cost" not in site.get("/books/1").json()
    assert site.get("/books/1", headers=_sign_in(site)).json()["Cost"] == 3


def test_the_application_of_the_handler(site: TestClient[Litestar]) -> None:
    """A request cannot choose another application than the handler's by its own header or parameter."""
    other = "a71a5000-0000-4000-8000-00000000ffff"
    answer = site.get(f"/books/1?appToken={other}", headers={"x-application-token": other})
    assert (answer.status_code, answer.json()["Title"]) == (200, "Globe")


def test_repeated_credentials(example: Any) -> None:
    """A request with two Authorization headers is refused, as on the wire."""
    twice = [("Authorization", "Bearer a"), ("Authorization", "Bearer b"), ("x-application-token", example.SHOP)]

    async def answers() -> list[tuple[int, Any]]:
        transport = httpx.ASGITransport(app=example.app)  # litestar's test client merges repeated headers
        async with example.app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            paths = ["/backend/api/Data/GetByID?entity=Books&id=1", "/books/1"]
            got = [await client.get(path, headers=twice) for path in paths]
        return [(answer.status_code, answer.json()) for answer in got]

    wire, own = asyncio.run(answers())
    assert own == wire
    assert (own[0], own[1]["Code"]) == (400, "ERROR")


def test_wrong_credentials(site: TestClient[Litestar]) -> None:
    """An unknown auth token is treated as on the wire."""
    headers = {"Authorization": "Bearer 00000000-0000-4000-8000-000000000000"}
    wire = site.get("/backend/api/Data/GetByID?entity=Books&id=1", headers=headers)
    own = site.get("/books/1", headers=headers)
    assert (own.status_code, own.json()) == (wire.status_code, wire.json())


def test_errors(site: TestClient[Litestar]) -> None:
    """An ApilaneError of a handler reaches the caller with the body and status of the wire."""
    wire = site.get("/backend/api/Data/GetByID?entity=Books&id=99")
    own = site.get("/books/99")
    assert (own.status_code, own.json()) == (wire.status_code, wire.json())
    assert own.headers["content-type"] == wire.headers["content-type"]


def test_own_failures(folder: Path) -> None:
    """A failed database answers SERVICE_UNAVAILABLE without its text, and an own handler of errors has precedence."""

    @get("/down")
    async def down() -> None:
        raise Unavailable("secret-address")

    @get("/late")
    async def late() -> None:
        raise ApilaneError(Code.VALIDATION, "Too late")

    app = Litestar([down, late], plugins=[ApilanePlugin(Server(folder).settings)])
    with TestClient(app=app) as client:
        answer = client.get("/down")
        assert answer.json()["Code"] == "SERVICE_UNAVAILABLE"
        assert "secret" not in answer.text
        assert client.get("/late").json()["Message"] == "Too late"


def test_unknown_application(folder: Path) -> None:
    """An unknown name or token raises a LookupError, and a handler that does not catch it answers 404."""
    caught = []

    @get("/unknown")
    async def unknown(apilane: NamedDependency[Apilane], name: FromQuery[str]) -> None:
        try:
            await apilane.application(name)
        except LookupError as error:
            caught.append(type(error))
            raise

    app = Litestar([unknown], plugins=[ApilanePlugin(Server(folder).settings)])
    with TestClient(app=app) as client:
        for name in ("nothing", "", "a71a5000-0000-4000-8000-00000000ffff", "bookshop"):
            answer = client.get("/unknown", params={"name": name})
            assert (answer.status_code, answer.json()["Code"]) == (404, "NOT_FOUND")
    assert caught == [UnknownApplication] * 4


def test_lifespan(example: Any) -> None:
    """The end of the lifespan closes the instance, the next start opens another, and no call is served between."""
    plugin = next(each for each in example.app.plugins if isinstance(each, ApilanePlugin))
    seen = []
    for _ in range(2):
        with TestClient(app=example.app) as client:
            instance = plugin._running[0]
            seen.append(instance)
            assert instance.is_open
            assert client.get("/backend/Version").status_code == 200
        assert not instance.is_open
        assert instance._is_closed
    assert seen[0] is not seen[1]
    closed = TestClient(app=example.app)
    for path in ("/backend/Version", "/titles"):
        assert closed.get(path).json()["Code"] == "SERVICE_UNAVAILABLE"
