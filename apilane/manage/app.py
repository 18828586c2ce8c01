"""The ASGI application of the Portal's process: the management API, and the pages of plugins.

``apilane serve`` runs it in one process beside the workers of the API, on its own port.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from litestar import Litestar, Request, Router, get
from litestar.connection import ASGIConnection
from litestar.datastructures import MutableScopeHeaders
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.types import Message, Scope

from apilane.control.operator_tokens import NewCredential
from apilane.dispatch import portal_pages_of
from apilane.instance import Instance, open_instance
from apilane.manage.account_routes import account_routes
from apilane.manage.accounts import LINK_LIFE_MS
from apilane.manage.application_routes import application_routes
from apilane.manage.callers import SAFE_METHODS, Caller, check_origin, csrf_of, find_caller
from apilane.manage.desk import Desk
from apilane.manage.failures import SignInNeeded, failure_response
from apilane.manage.instance_routes import instance_routes
from apilane.manage.lockout import Lockout
from apilane.plugin.manage import PortalPage
from apilane.settings import Settings, load_settings, portal_port
from apilane.web.client_addresses import client_addresses

__all__ = ["API", "create_app", "initialise", "manage_app"]

API: Final = "/api/manage/v1"
BODY_MAX_BYTES: Final = 10_000_000
HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}

log = logging.getLogger("apilane.manage")


def create_app(
    settings: Settings | None = None, plugins: Sequence[object] = (), *, instance_id: str | None = None
) -> Litestar:
    """The application. Arguments as for ``apilane.app.create_app``."""
    return manage_app(Instance(settings or load_settings(), plugins, instance_id=instance_id))


def manage_app(instance: Instance) -> Litestar:
    """The application of an instance, which need not be open yet."""
    pages: list[PortalPage] = [each.item for each in portal_pages_of(instance.plugins, instance.settings)]
    entries = tuple(page.entry for page in pages if page.entry is not None)
    lockout = Lockout()

    def desk_for(caller: Caller | None) -> Desk:
        return Desk(instance, lockout, caller, entries)

    async def desk_of_session(secret: str) -> Desk:
        user = await instance.store.operator_tokens.find(secret)
        return desk_for(Caller(user, secret, csrf_of(secret)) if user else None)

    async def admit(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        """Find the caller of each request; refuse a request without one where the handler needs it."""
        request: Any = connection
        if handler.opt.get("static"):
            return
        if not instance.check_place():
            await instance.open()
        caller = await find_caller(request, instance.store.operator_tokens)
        if caller is None and request.method not in SAFE_METHODS:
            check_origin(request)
        connection.state["desk"] = desk_for(caller)
        if caller is None and not handler.opt.get("open"):
            raise SignInNeeded

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        await instance.open()
        try:
            yield
        finally:
            await instance.close()

    app = Litestar(
        [
            Router(API, route_handlers=[account_routes(), application_routes(), instance_routes()]),
            health,
            Router("/", route_handlers=[_handler(page) for page in pages], include_in_schema=False),
        ],
        guards=[admit],
        dependencies={
            "desk": Provide(_desk, sync_to_thread=False),
            "management": Provide(_management, sync_to_thread=False),
        },
        lifespan=[lifespan],
        exception_handlers={Exception: failure_response(instance)},
        before_send=[_add_headers],
        request_max_body_size=BODY_MAX_BYTES,
        logging_config=None,
        openapi_config=OpenAPIConfig(
            title="Apilane management API",
            version="1",
            path=f"{API}/schema",
            render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        ),
    )
    app.state.desk_of_session = desk_of_session
    app.state.client_address = client_addresses(instance.settings.trusted_proxies)
    return app


def _handler(page: PortalPage) -> HTTPRouteHandler:
    page.handler.opt["open"] = not page.signed_in
    page.handler.opt["page"] = True
    return page.handler


def _desk(request: Request[Any, Any, Any]) -> Desk:
    desk: Desk = request.state["desk"]
    return desk


def _management(request: Request[Any, Any, Any]) -> Desk:
    return _desk(request)


async def _add_headers(message: Message, _scope: Scope) -> None:
    """Protect every answer, errors included; a handler's own headers win."""
    if message["type"] == "http.response.start":
        headers = MutableScopeHeaders.from_message(message)
        for name, value in HEADERS.items():
            headers.setdefault(name, value)


@get("/health/liveness", opt={"open": True, "static": True}, include_in_schema=False)
async def health() -> str:
    """Liveness: the process answers."""
    return "Healthy"


async def initialise(settings: Settings, instance_id: str | None = None) -> tuple[list[str], str]:
    """Check the pages before the process starts, and make the one-time link of an instance admin without a password.

    Returns lines for the operator, and the identity of the instance.
    """
    async with open_instance(settings, instance_id=instance_id) as instance:
        manage_app(instance)
        users = await instance.store.portal_users.all()
        lines: list[str] = []
        admins = [user for user in users if user.is_admin]
        if admins and not any(user.password_hash for user in admins):
            new = NewCredential(kind="link", life_ms=LINK_LIFE_MS, name="one-time link")
            code = await instance.store.operator_tokens.create(admins[0].id, like=new)
            host = settings.host if ":" not in settings.host else f"[{settings.host}]"
            url = f"http://{host}:{portal_port(settings)}/start#{code}"
            lines.append(f"First start: set the password of the instance admin at {url}  (works once, for 24 hours)")
        return lines, instance.store.instance_id
