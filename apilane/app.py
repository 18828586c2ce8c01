"""The application as an ASGI object: reads top to bottom as the table of contents of the house.

``apilane serve`` runs it under granian; any ASGI server may, and it can be mounted in a larger application.
"""

from __future__ import annotations

from collections.abc import Sequence

from apilane.dispatch import freeze
from apilane.plugins import load_plugins
from apilane.runtime.instance import Instance
from apilane.services.applying import application_address, recover_all
from apilane.services.housekeeping import sweep
from apilane.settings import Settings
from apilane.web.account import account_calls
from apilane.web.data import data_calls
from apilane.web.front import Front
from apilane.web.routes import CORE, RegisteredCall, Routes
from apilane.web.service import PATHS, service_app

__all__ = ["create_app", "create_instance", "initialise"]


def create_instance(settings: Settings, plugins: Sequence[object] = ()) -> Instance:
    """Settings, plugins and drivers joined, nothing opened. Raises ConfigurationError naming what does not fit."""
    hooks = freeze(load_plugins(settings, plugins), settings)
    return Instance(settings, hooks, address=application_address, recover=_recover, sweep=sweep)


async def _recover(instance: Instance) -> None:
    """Changes of definitions that a crash left half-way."""
    await recover_all(store=instance.store, drivers=instance.drivers, settings=instance.settings)


def create_app(settings: Settings | None = None, plugins: Sequence[object] = ()) -> Front:
    """The ASGI application.

    ``settings`` None: from ``apilane.toml`` and the environment. ``plugins``: objects beside the installed ones.
    """
    from apilane.settings import load_settings

    instance = create_instance(settings or load_settings(), plugins)
    return Front(instance, routes_of(instance), service_app(instance), PATHS)


def routes_of(instance: Instance) -> Routes:
    """The wire calls of the core and of every plugin."""
    core = [*data_calls(instance.passwords), *account_calls(instance.passwords, instance.settings.portal_url)]
    brought = ((instance.hooks.plugin_of(call), call) for call in instance.hooks.calls)
    return Routes([RegisteredCall(CORE, call) for call in core] + [RegisteredCall(*each) for each in brought])


async def initialise(settings: Settings) -> list[str]:
    """Open the instance once, so that it exists before workers start; lines for the operator to read."""
    instance = create_instance(settings)
    try:
        await instance.open()
        admin = instance.store.first_admin
    finally:
        await instance.close()
    if admin is None:
        return []
    return [f"Instance admin: {admin[0]}  password: {admin[1]}  (shown once; it is stored only as a hash)"]
