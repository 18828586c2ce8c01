"""A server with a shop, and one interface for both clients, so that each test is written once and runs for both."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from apilane.client import AsyncClient, Client
from apilane.testing.client import PASSWORD
from apilane.testing.server import CHEAP_PASSWORDS, Server
from tests.manifests import unlimited_shop, with_new_token

NewClient = Callable[..., Any]
NewApplication = Callable[..., str]


class Awaited:
    """An ``AsyncClient`` with blocking methods, which run on an event loop in another thread."""

    def __init__(self, portal: BlockingPortal, client: AsyncClient) -> None:
        self._portal = portal
        self._client = client

    def as_user(self, *args: Any, **kwargs: Any) -> Awaited:
        return Awaited(self._portal, self._client.as_user(*args, **kwargs))

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._client, name)
        if inspect.isasyncgenfunction(value):
            return lambda *args, **kwargs: self._portal.call(functools.partial(_all, value, *args, **kwargs))
        if inspect.iscoroutinefunction(value):
            return lambda *args, **kwargs: self._portal.call(functools.partial(value, *args, **kwargs))
        return value

    def __repr__(self) -> str:
        return repr(self._client)


async def _all(method: Any, *args: Any, **kwargs: Any) -> list[Any]:
    return [item async for item in method(*args, **kwargs)]


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    """A running event loop."""
    with start_blocking_portal(backend_options={"loop_factory": asyncio.new_event_loop}) as portal:
        yield portal


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """``apilane serve`` with a short interval for changed applications, which makes the tests faster."""
    folder = tmp_path_factory.mktemp("server") / "data"
    with Server(folder, settings={**CHEAP_PASSWORDS, "definition_poll_s": 0.05}) as running:
        yield running


@pytest.fixture(scope="session")
def new_application(server: Server) -> NewApplication:
    """Create a shop without rate limits, with replaced keys of ``Application`` and added rules; its token."""

    def make(rules: list[dict[str, Any]] | None = None, **application: Any) -> str:
        manifest = with_new_token(unlimited_shop(), **application)
        manifest["Security"] += rules or []
        return server.apply(manifest)

    return make


@pytest.fixture(scope="session")
def shop(new_application: NewApplication) -> str:
    """The token of a shop that the tests share."""
    return new_application()


@pytest.fixture(params=["sync", "async"])
def new_client(request: pytest.FixtureRequest, portal: BlockingPortal, server: Server) -> Iterator[NewClient]:
    """Create clients of one kind, for an application of the server or for another address."""
    with contextlib.ExitStack() as stack:

        def make(application: str, *, url: str | None = None, **options: Any) -> Any:
            if request.param == "sync":
                return stack.enter_context(Client(url or server.url, application, **options))
            client = portal.call(functools.partial(AsyncClient, url or server.url, application, **options))
            stack.callback(portal.call, client.close)
            return Awaited(portal, client)

        yield make


@pytest.fixture
def client(new_client: NewClient, shop: str) -> Any:
    """An anonymous client of the shop."""
    return new_client(shop)


@pytest.fixture
def user(client: Any) -> Any:
    """A new, signed-in user of the shop."""
    return signed_in(client)


def signed_in(client: Any, **options: Any) -> Any:
    """A second client, for another new user."""
    name = f"u{uuid.uuid4().hex[:12]}"
    client.register({"Email": f"{name}@example.com", "Username": name, "Password": PASSWORD})
    user = client.as_user(None)
    login = user.login(username=name, password=PASSWORD)
    return user.as_user(login.credentials, **options)


@pytest.fixture(name="signed_in", scope="session")
def _signed_in() -> Callable[..., Any]:
    """Create signed-in clients for tests that need several users."""
    return signed_in
