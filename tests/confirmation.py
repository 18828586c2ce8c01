"""Confirmation tokens, which the server sends by mail."""

from __future__ import annotations

import asyncio

from apilane.instance import open_instance
from apilane.services.confirmation import CONFIRMATIONS, create_mail_token
from apilane.testing.server import Server


def confirmation_token(server: Server, application: str, user_id: int) -> str:
    """A token as the mail would contain it, made by the same service in this process."""

    async def make() -> str:
        async with open_instance(server.settings) as instance:
            runtime = await instance.applications.find(application)
            assert runtime is not None
            return await create_mail_token(runtime, CONFIRMATIONS, user_id)

    return asyncio.run(make())
