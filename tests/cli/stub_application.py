"""A stand-in for ``apilane.app``: it answers with its process ID, and slowly when the request asks for that."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

from apilane.errors import ConfigurationError
from apilane.settings import Settings

Answer = Callable[[dict[str, Any]], Awaitable[None]]


async def initialise(settings: Settings, instance_id: str | None = None) -> tuple[list[str], str]:
    """Mark the data dir on first use, as the real function creates the admin on first use."""
    if (settings.data_dir / "refused").exists():
        raise ConfigurationError("the data dir was marked as refused")
    if (settings.data_dir / "made").exists():
        return [], "stub"
    (settings.data_dir / "made").touch()
    return ["made once"], "stub"


def create_app(settings: Settings, *, instance_id: str) -> Callable[..., Awaitable[None]]:
    """An ASGI application; this function fails while the file ``broken`` is in the data dir."""
    if (settings.data_dir / "broken").exists():
        raise ConfigurationError("the data dir was marked as broken")

    async def application(
        scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Answer
    ) -> None:
        if scope["type"] == "lifespan":
            for _ in range(2):
                await send({"type": f"{(await receive())['type']}.complete"})
            return
        if scope["path"] == "/slow":
            await asyncio.sleep(1)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(os.getpid()).encode()})

    return application
