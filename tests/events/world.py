"""Several instances in one process that share a control store and an application, like processes of a cluster."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

from apilane.events.outbox import ListedMessage
from apilane.instance import Instance, open_instance
from apilane.plugin import Job, OutboxHandler, OutboxMessage, hookimpl
from apilane.runtime.application import ApplicationRuntime
from apilane.services.capabilities import capabilities_of
from apilane.services.manifest_plans import plan_files
from apilane.settings import Settings
from apilane.testing.server import CHEAP_PASSWORDS, Place

__all__ = ["MANIFEST", "Giving", "Post", "World", "until"]

T = TypeVar("T")

MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Shop"},
    "Entities": [{"Name": "Items", "Properties": [{"Name": "Title", "Type": "String"}]}],
}


class Giving:
    """The plugin ``giving`` with these handlers and jobs."""

    __name__ = "giving"

    def __init__(self, handlers: Sequence[OutboxHandler] = (), jobs: Sequence[Job] = ()) -> None:
        self._handlers = list(handlers)
        self._jobs = list(jobs)

    @hookimpl
    def apilane_register_outbox_handlers(self) -> list[OutboxHandler]:
        return self._handlers

    @hookimpl
    def apilane_register_jobs(self) -> list[Job]:
        return self._jobs


class Post:
    """A handler of the kind ``mail`` that remembers what it delivered. ``act`` runs first and may fail."""

    def __init__(self, act: Callable[[OutboxMessage], Awaitable[None]] | None = None, **options: Any) -> None:
        self.delivered: list[OutboxMessage] = []
        self.attempts: list[OutboxMessage] = []
        self._act = act
        self.handler = OutboxHandler(kind="mail", deliver=self.deliver, **options)

    async def deliver(self, message: OutboxMessage, application: object) -> None:
        self.attempts.append(message)
        if self._act is not None:
            await self._act(message)
        self.delivered.append(message)

    @property
    def payloads(self) -> list[Any]:
        """The delivered payloads, in their order."""
        return [message.payload for message in self.delivered]


class World:
    """Instances over one data folder. ``place``: the databases, None for SQLite. Made outside of an event loop."""

    def __init__(self, data_dir: Path, place: Place | None = None) -> None:
        placed = {} if place is None else dict(place.settings(data_dir))
        self.settings = Settings(
            data_dir=data_dir,
            background_poll_s=0.05,
            **placed,
            **CHEAP_PASSWORDS,  # type: ignore[arg-type]
        )
        self._manifest = MANIFEST if place is None else place.manifest(data_dir, MANIFEST)
        self.token = ""
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> World:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def start(self, *handlers: OutboxHandler, jobs: Sequence[Job] = (), serve: bool = True) -> Instance:
        """Open one more instance; the first one creates the application. ``serve``: it does background work."""
        opened = open_instance(self.settings, [Giving(handlers, jobs)], serve=serve)
        instance = await self._stack.enter_async_context(opened)
        if not self.token:
            self.token = await self._apply(instance)
        return instance

    async def _apply(self, instance: Instance) -> str:
        file = ("manifest.json", json.dumps(self._manifest).encode())
        (plan,) = await plan_files([file], store=instance.store, capabilities=capabilities_of(instance.hooks))
        return (await instance.changes.apply(plan, actor="tests")).definition.token

    async def application(self, instance: Instance) -> ApplicationRuntime:
        found = await instance.applications.find(self.token)
        assert found is not None
        return found

    async def messages(self, instance: Instance) -> list[ListedMessage]:
        return [each async for each in (await self.application(instance)).outbox.messages()]


async def until(condition: Callable[[], bool | Awaitable[bool]], timeout_s: float = 30.0) -> None:
    """Wait for a condition; TimeoutError after the timeout."""
    async with asyncio.timeout(timeout_s):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.01)
