"""The Litestar application behind the wire calls: the service pages, and pages of plugins with their guards."""

from __future__ import annotations

import logging
from typing import Any

from litestar import Litestar, Request, Response, Router
from litestar.config.cors import CORSConfig
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.plugins import PluginProtocol
from litestar.types import Guard

from apilane.dispatch import Registered
from apilane.errors import ApilaneError, Code, ConfigurationError
from apilane.instance import Instance
from apilane.plugin.access import Access, Open, Operator, PerOperation
from apilane.plugin.calls import WireCall
from apilane.plugin.pages import Page
from apilane.services.failures import wire_error
from apilane.storage.errors import StorageError
from apilane.web.admission import Admission
from apilane.web.call import Call
from apilane.web.reply import error_reply
from apilane.web.service import PATHS, service_pages

__all__ = ["pages_behind"]

CALL_KEY = "apilane_call"
"""The key under which a guard stores the admitted call in the state of a connection."""

log = logging.getLogger("apilane.web")


def pages_behind(instance: Instance, admission: Admission) -> Litestar:
    """The application for all other paths. Raises ConfigurationError, which names the plugin of an invalid page."""
    routers = [_router(each, admission) for each in instance.hooks.registered if isinstance(each.item, Page)]
    return _Pages(
        [*service_pages(instance), *routers],
        cors_config=CORSConfig(),  # any origin, because browsers check liveness too
        openapi_config=None,
        logging_config=None,
        exception_handlers={Exception: _on_error, HTTPException: _on_error},
    )


class _Pages(Litestar):
    """Litestar without the plugins that it adds where pydantic is installed: they cost each worker 0.2 s and 9 MB."""

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        return plugins


def _router(registered: Registered, admission: Admission) -> Router:
    """A page with its guard. The guard runs before the body is parsed and before any other dependency."""
    page: Page = registered.item
    for path in page.handler.paths:
        taken = path.lower() == "/api" or path.lower().startswith("/api/") or path.lower() in PATHS
        if taken:
            what = "is used by the server; choose another one outside of /api/"
            raise ConfigurationError(f"Plugin {registered.plugin!r}, hook {registered.hook}: the path {path} {what}.")
    if isinstance(page.access, PerOperation):
        what = "a page has no operations; declare another access than PerOperation"
        raise ConfigurationError(f"Plugin {registered.plugin!r}, hook {registered.hook}: {what}.")
    if isinstance(page.access, Open):
        return Router("/", route_handlers=[page.handler])
    return Router(
        "/",
        route_handlers=[page.handler],
        guards=[_guard(page.access, admission)],
        dependencies={"call": Provide(_admitted_call, sync_to_thread=False)},
    )


def _guard(access: Access, admission: Admission) -> Guard:
    """A guard that admits a request of a page like a wire call. A function, because Litestar copies guard objects."""
    route = WireCall(path="/api/page", method="GET", action=_unused, access=access, body="stream")

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        receive: Any = connection.receive
        call = Call(connection.scope, receive, admission.bodies, admission.client_address)  # type: ignore[arg-type]
        if access == Operator(of="instance"):
            await admission.admit_admin(call)
        else:
            await admission.admit(call, route)
        connection.state[CALL_KEY] = call

    return guard


async def _unused(_call: object) -> Any:
    raise NotImplementedError


def _admitted_call(request: Request[Any, Any, Any]) -> Any:
    return request.state[CALL_KEY]


def _on_error(_request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    if isinstance(error, StorageError):
        error = wire_error(error, None)
    if isinstance(error, ApilaneError):
        answer = error
    else:
        status = error.status_code if isinstance(error, HTTPException) else 500
        if status >= 500:
            log.error("unexpected failure of a page", exc_info=error)
        answer = ApilaneError(Code.NOT_FOUND if status == 404 else Code.ERROR, status=status)
    headers = {name.decode(): value.decode() for name, value in error_reply(answer).headers}
    return Response(
        answer.body(), status_code=answer.status, headers=headers, media_type="application/json; charset=utf-8"
    )
