"""The Litestar application behind the wire calls: the service pages, and pages of plugins with their guards."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

from litestar import Litestar, Request, Response, Router
from litestar.config.cors import CORSConfig
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.exceptions import HTTPException, LitestarException
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.plugins import PluginProtocol
from litestar.types import Guard

from apilane.dispatch import Registered
from apilane.errors import ApilaneError, Code, OperatorsOnlyError, unauthorized
from apilane.instance import Instance
from apilane.plugin.access import Account, Open, Operator, PerOperation, access_problem
from apilane.plugin.calls import WireCall
from apilane.plugin.pages import Page
from apilane.plugins import PluginError
from apilane.web.admission import Admission
from apilane.web.call import Call
from apilane.web.reply import error_reply
from apilane.web.service import PATHS, service_pages
from apilane.web.unexpected import failure_answer

__all__ = ["pages_behind"]

CALL_KEY = "apilane_call"
"""The key under which a guard stores the admitted call in the state of a connection."""


def pages_behind(instance: Instance, admission: Admission, own: Sequence[Page] = ()) -> Litestar:
    """The application for all other paths. ``own``: pages of the core in addition to the service pages. Raises
    PluginError for a page that cannot be served.
    """
    pages = [each for each in instance.hooks.registered if isinstance(each.item, Page)]
    used = PATHS.union(*(page.handler.paths for page in own))
    taken: dict[tuple[str, str], str] = {}
    for registered in pages:
        problem = _problem(registered, taken, used)
        if problem is not None:
            raise PluginError(registered.plugin, f"{problem}.", hook=registered.hook)
    guarded = [(each, _router(each.item, instance, admission)) for each in pages]
    on_error = _Failures(instance)
    try:
        routers = [*(_router(page, instance, admission) for page in own), *(router for _, router in guarded)]
        return _application([*service_pages(instance), *routers], on_error)
    except LitestarException:
        for registered, router in guarded:
            try:
                _application([router], on_error)
            except LitestarException as error:
                raise PluginError(
                    registered.plugin, f"a page cannot be served: {error}", hook=registered.hook
                ) from error
        raise


def _application(handlers: Sequence[Any], on_error: _Failures) -> Litestar:
    return _Pages(
        handlers,
        cors_config=CORSConfig(),  # any origin, because browsers check liveness too
        openapi_config=None,
        logging_config=None,
        exception_handlers={Exception: on_error, HTTPException: on_error},
    )


class _Pages(Litestar):
    """Litestar without the plugins that it adds where pydantic is installed: they cost each worker 0.2 s and 9 MB."""

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        return plugins


def _problem(registered: Registered, taken: dict[tuple[str, str], str], used: Set[str]) -> str | None:
    """What is wrong with a page, as a sentence without its full stop. ``taken``: plugins by method and path. ``used``:
    paths of the core.
    """
    page: Page = registered.item
    if not isinstance(page.handler, HTTPRouteHandler):
        return f"a page has the handler {page.handler!r}; expected a function decorated with litestar's get, post ..."
    shown = f"the page {', '.join(sorted(page.handler.paths))}"
    if problem := access_problem(page.access):
        return f"{shown} {problem}"
    if page.application_in is not None:
        if not isinstance(page.access, Open):
            return f"{shown} declares application_in, which only a page with Open() can have"
        if not all(f"{{{page.application_in}:str}}" in path for path in page.handler.paths):
            return f"{shown} has no parameter {{{page.application_in}:str}} in its path, which application_in names"
    if isinstance(page.access, PerOperation):
        return f"{shown} has no operations; declare another access than PerOperation"
    if isinstance(page.access, Account) and page.access.body is not None:
        return f"{shown} declares a check of the body, which only calls can; the handler reads its body"
    methods = {str(getattr(method, "value", method)) for method in page.handler.http_methods}
    changes = methods - {"GET", "HEAD", "OPTIONS"}
    if isinstance(page.access, Operator) and changes and page.audited is None:
        return f"{shown} does not declare whether operators' calls are audited; add audited=True or audited=False"
    for path in page.handler.paths:
        if path.lower() == "/api" or path.lower().startswith("/api/") or path.lower() in used:
            return f"the path {path} is used by the server; choose another one outside of /api/"
        for method in sorted(methods):
            if (method, path) in taken:
                return f"the page {method} {path} is registered already by the plugin {taken[method, path]!r}"
            taken[method, path] = registered.plugin
    return None


def _router(page: Page, instance: Instance, admission: Admission) -> Router:
    """A page with its guard. The guard runs before the body is parsed and before any other dependency."""
    if page.application_in is not None:
        guard = _named_application(page.application_in, instance, admission)
    elif isinstance(page.access, Open):
        return Router("/", route_handlers=[page.handler])
    else:
        guard = _guard(page, instance, admission)
    return Router(
        "/",
        route_handlers=[page.handler],
        guards=[guard],
        dependencies={"call": Provide(_admitted_call, sync_to_thread=False)},
    )


def _guard(page: Page, instance: Instance, admission: Admission) -> Guard:
    """A guard that admits a request of a page like a wire call. A function, because Litestar copies guard objects."""
    route = WireCall(
        path="/api/page",
        method="GET",
        action=_unused,
        access=page.access,
        body="stream",
        audited=page.audited is not None,  # an operator then needs the permission to change
    )

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        receive: Any = connection.receive
        call = Call(connection.scope, receive, admission.bodies, admission.client_address)  # type: ignore[arg-type]
        if isinstance(page.access, Operator) and page.access.of == "instance":
            await admission.admit_admin(call)
        else:
            try:
                await admission.admit(call, route)
            except OperatorsOnlyError:  # its body is that of the management channel
                raise unauthorized() from None
        if page.audited and call.actor.kind == "operator":
            what = f"{call.method} {connection.scope['path']}"
            await instance.audit_trail.note(getattr(call, "application", None), call.actor, what)
        connection.state[CALL_KEY] = call

    return guard


def _named_application(parameter: str, instance: Instance, admission: Admission) -> Guard:
    """A guard that finds the application named in the path. Parts that no plugin enforces close it here too (B-S13)."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        receive: Any = connection.receive
        call = Call(connection.scope, receive, admission.bodies, admission.client_address)  # type: ignore[arg-type]
        application = await instance.applications.find(str(connection.path_params[parameter]))
        if application is None:
            raise ApilaneError(Code.ERROR)
        if application.needs:
            raise ApilaneError(Code.SERVICE_UNAVAILABLE)
        call.application = application
        application.is_used = True
        connection.state[CALL_KEY] = call

    return guard


async def _unused(_call: object) -> Any:
    raise NotImplementedError


def _admitted_call(request: Request[Any, Any, Any]) -> Any:
    return request.state[CALL_KEY]


class _Failures:
    """Answers of pages that failed, in the form of the wire."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance

    def __deepcopy__(self, _memo: object) -> _Failures:  # Litestar copies handlers with all they hold
        return self

    def __call__(self, request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        """The response to a request."""
        headers: dict[str, str] = {}
        if isinstance(error, HTTPException):
            headers = dict(error.headers or {})
            code = Code.NOT_FOUND if error.status_code == 404 else Code.ERROR
            told = error.detail if error.status_code not in {404, 500} else None
            answer = ApilaneError(code, told, status=error.status_code)
        else:
            where = f"{request.method} {request.url.path}"
            answer = failure_answer(error, where, self._instance.hooks, subject=self._page_of(request))
        reply = error_reply(answer)
        headers |= {name.decode(): value.decode() for name, value in reply.headers}
        return Response(
            answer.body(), status_code=answer.status, headers=headers, media_type="application/json; charset=utf-8"
        )

    def _page_of(self, request: Request[Any, Any, Any]) -> Page | None:
        """The registered page; Litestar works with copies of its handler."""
        handler = request.scope.get("route_handler")
        function = getattr(handler, "fn", None)
        return next((page for page in self._instance.hooks.routes if page.handler.fn is function), None)
