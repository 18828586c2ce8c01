"""The instance of a command: opened before it runs and closed afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import rich_click as click

from apilane.control.store import ControlStore, StoredApplication
from apilane.errors import ConfigurationError
from apilane.instance import Instance, open_instance
from apilane.model.manifest.problems import nearest
from apilane.settings import Settings

__all__ = ["command_instance", "one_application", "show_first_admin"]


@asynccontextmanager
async def command_instance(settings: Settings, *, create: bool = True) -> AsyncIterator[Instance]:
    """The open instance of ``settings``. An instance admin without a password is reported on stderr.

    Without ``create`` nothing is created or changed. Raises ConfigurationError.
    """
    async with open_instance(settings, create=create) as instance:
        show_first_admin(instance)
        yield instance


def show_first_admin(instance: Instance) -> None:
    """Say how the instance admin gets a password if this process created the instance without one."""
    if instance.store.first_admin is not None:
        email = instance.store.first_admin
        click.echo(f"Instance admin {email} has no password yet; apilane serve prints a link to set it.", err=True)


async def one_application(name: str, store: ControlStore) -> StoredApplication:
    """The application of that name or token. Raises ConfigurationError when there is none, or more than one."""
    found = await store.find(name)
    if len(found) == 1:
        return found[0]
    if found:
        tokens = ", ".join(each.definition.token for each in found)
        raise ConfigurationError(f"{len(found)} applications are named {name}. Give a token: {tokens}.")
    meant = nearest(name, [each.name for each in await store.applications()])
    raise ConfigurationError(f"There is no application {name}." + (f" Did you mean {meant}?" if meant else ""))
