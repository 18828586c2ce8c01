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
from apilane.web.account import account_routes
from apilane.web.custom import custom_routes
from apilane.web.data import data_routes
from apilane.web.front import Front
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
    routes = {**data_routes(instance), **account_routes(instance), **custom_routes(instance)}
    return Front(instance, routes, service_app(instance), PATHS)


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
