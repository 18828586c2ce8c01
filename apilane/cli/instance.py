"""The instance a command works on: settings, drivers and control store, opened and closed around it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import rich_click as click
from msgspec import Struct

from apilane.control.store import ControlStore
from apilane.dispatch import Hooks, freeze
from apilane.plugins import load_plugins
from apilane.services.applying import recover_all
from apilane.settings import Settings

__all__ = ["Instance", "open_instance"]


class Instance(Struct, frozen=True, kw_only=True):
    """What a command works with; all of it is open."""

    settings: Settings
    hooks: Hooks
    store: ControlStore


@asynccontextmanager
async def open_instance(settings: Settings) -> AsyncIterator[Instance]:
    """Open the instance of ``settings``, settle changes left half-way, close it at the end.

    A password made up for the instance admin is shown on stderr. Raises ConfigurationError.
    """
    hooks = freeze(load_plugins(settings), settings)
    try:
        store = await ControlStore.open(settings, hooks.drivers)
        try:
            if store.first_admin is not None:
                email, password = store.first_admin
                click.echo(f"Instance admin {email}, password {password} (shown only this once)", err=True)
            await recover_all(store=store, drivers=hooks.drivers, settings=settings)
            yield Instance(settings=settings, hooks=hooks, store=store)
        finally:
            await store.close()
    finally:
        for driver in hooks.drivers.values():
            await driver.close()
