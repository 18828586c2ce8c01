"""The application as an ASGI object, put together from the parts of the core.

``apilane serve`` runs it under granian. Any other ASGI server can run it too, and it can be mounted in a larger
application.
"""

from __future__ import annotations

from collections.abc import Sequence

from litestar import Litestar

from apilane.instance import Instance, open_instance
from apilane.settings import Settings, load_settings
from apilane.web.account import account_calls
from apilane.web.admission import Admission
from apilane.web.bulk import bulk_calls
from apilane.web.data import data_calls
from apilane.web.front import Front
from apilane.web.observed import ObservedFront
from apilane.web.openapi import openapi_page
from apilane.web.operators import operator_calls
from apilane.web.pages import pages_behind
from apilane.web.request_log import RequestLog
from apilane.web.routes import CORE, RegisteredCall, Routes
from apilane.web.service import PATHS
from apilane.web.statistics import statistics_calls
from apilane.web.transactions import transaction_calls

__all__ = ["check_routes", "create_app", "front_of", "initialise", "routes_of"]


def create_app(
    settings: Settings | None = None, plugins: Sequence[object] = (), *, instance_id: str | None = None
) -> Front:
    """The ASGI application.

    ``settings`` None: they are read from ``apilane.toml`` and the environment. ``plugins``: objects in addition to the
    installed plugins. ``instance_id``: for the workers of a server, the instance that ``initialise`` opened.
    """
    return front_of(Instance(settings or load_settings(), plugins, instance_id=instance_id))


def front_of(instance: Instance) -> Front:
    """The ASGI application of an instance, which need not be open yet."""
    admission = Admission(instance)
    routes = routes_of(instance)
    parts = instance, admission, routes, _pages(instance, admission, routes), PATHS
    settings = instance.settings
    if settings.access_log or settings.request_ids:
        request_log = RequestLog(writes=settings.access_log)
        return ObservedFront(*parts, first=request_log.started, last=request_log.ended)
    return ObservedFront(*parts) if instance.hooks.observers else Front(*parts)


def _pages(instance: Instance, admission: Admission, routes: Routes) -> Litestar:
    return pages_behind(instance, admission, [openapi_page([each.call for each in routes])])


def routes_of(instance: Instance) -> Routes:
    """The wire calls of the core and of every plugin."""
    core = [
        *data_calls(instance.passwords),
        *bulk_calls(instance),
        *transaction_calls(instance.passwords),
        *statistics_calls(),
        *account_calls(instance.passwords, instance.settings.portal_url),
        *operator_calls(instance),
    ]
    from_plugins = ((instance.hooks.plugin_of(call), call) for call in instance.hooks.calls)
    return Routes([RegisteredCall(CORE, call) for call in core] + [RegisteredCall(*each) for each in from_plugins])


def check_routes(instance: Instance) -> None:
    """Raise PluginError where a plugin's call or page cannot be served; workers would say so one after another."""
    _pages(instance, Admission(instance), routes_of(instance))


async def initialise(settings: Settings, instance_id: str | None = None) -> tuple[list[str], str]:
    """Open the instance once, so that it exists before workers start.

    Returns no lines for the operator, and the identity of the instance. ``instance_id``: the identity found
    before; nothing is created then, and another one is refused.
    """
    async with open_instance(settings, instance_id=instance_id) as instance:
        check_routes(instance)
        return [], instance.store.instance_id
