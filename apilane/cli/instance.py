"""The instance a command works on, opened and closed around it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import rich_click as click

from apilane.instance import Instance, open_instance
from apilane.settings import Settings

__all__ = ["command_instance"]


@asynccontextmanager
async def command_instance(settings: Settings) -> AsyncIterator[Instance]:
    """The open instance of ``settings``. A password made up for the instance admin is shown on stderr.

    Raises ConfigurationError.
    """
    async with open_instance(settings) as instance:
        if instance.store.first_admin is not None:
            email, password = instance.store.first_admin
            click.echo(f"Instance admin {email}, password {password} (shown only this once)", err=True)
        yield instance
