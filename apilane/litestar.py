"""Apilane as a plugin of Litestar: the wire calls below a path, and the records for the application's own handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Response, asgi
from litestar.config.app import AppConfig
from litestar.di import Provide
from litestar.plugins import InitPlugin

from apilane.app import front_of
from apilane.errors import ApilaneError, Code, continued
from apilane.instance import Instance
from apilane.plugin.access import Open
from apilane.plugin.calls import WireCall
from apilane.plugin.data import ApplicationData
from apilane.plugin.identity import Actor
from apilane.settings import Settings, load_settings
from apilane.storage.errors import StorageError
from apilane.web.admission import Admission
from apilane.web.call import Call, Receive, Scope, Send
from apilane.web.front import Front
from apilane.web.heads import ambiguity
from apilane.web.reply import error_reply, send_reply
from apilane.web.unexpected import failure_answer

__all__ = ["Apilane", "ApilanePlugin", "UnknownApplication"]

TOKEN_HEADER = b"x-application-token"


class UnknownApplication(ApilaneError, LookupError):
    """No application, or more than one, has the name or token. A handler that does not catch it answers 404."""

    def __init__(self, problem: str) -> None:
        super().__init__(Code.NOT_FOUND, continued(Code.NOT_FOUND, problem), status=404)


class Apilane:
    """The open instance, for handlers. A handler gets it as its parameter ``apilane``."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._admission = Admission(instance)

    async def application(self, name_or_token: str) -> ApplicationData:
        """The records of an application.

        A token is found in memory after its first use; a name is a query of the control store each time. Raises
        UnknownApplication, also for a name that several applications have.
        """
        applications = self._instance.applications
        found = await applications.find(name_or_token)
        if found is None:
            named = await self._instance.store.find(name_or_token)
            if len(named) > 1:
                raise UnknownApplication("several applications have this name; use a token")
            found = await applications.find(named[0].definition.token) if named else None
        if found is None:
            raise UnknownApplication("there is no application with this name or token")
        return found.data

    async def actor(self, request: Request[Any, Any, Any], token: str) -> Actor:
        """The caller of a request, identified as a wire call of the application with that token.

        It is anonymous without credentials. Raises ApilaneError for wrong ones, for an unknown or offline application,
        and when the application refuses the request, for example by its IP list.
        """

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": await request.body(), "more_body": False}

        kept = [(name, value) for name, value in request.scope["headers"] if name != TOKEN_HEADER]
        headers = [*kept, (TOKEN_HEADER, token.encode("latin-1", "replace"))]
        scope: Scope = {**request.scope, "headers": headers}
        if refusal := ambiguity(scope, dict(headers), is_known=False):
            raise refusal
        call = Call(scope, receive, self._admission.bodies, self._admission.client_address)
        await self._admission.admit(call, _IDENTIFY)
        return call.actor


class ApilanePlugin(InitPlugin):
    """Serves Apilane below ``path`` of a Litestar application, and gives handlers the parameter ``apilane``.

    ``settings`` None: they are read from ``apilane.toml`` and the environment. ``plugins``: objects in addition to the
    installed plugins. The lifespan of the application opens the instance and closes it. An ``ApilaneError`` or
    ``StorageError`` that a handler does not catch is answered with the body of the wire.
    """

    def __init__(
        self, settings: Settings | None = None, *, path: str = "/backend", plugins: Sequence[object] = ()
    ) -> None:
        self._settings = settings
        self._path = path
        self._plugins = plugins
        self._running: tuple[Instance, Front, Apilane] | None = None

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add the mount, the lifespan, the dependency and the answers to errors."""
        mount = asgi(self._path, is_mount=True, copy_scope=True)(self._mounted())
        app_config.route_handlers.append(mount)
        app_config.lifespan.append(self._lifespan)
        app_config.dependencies["apilane"] = Provide(self._handle, sync_to_thread=False)
        app_config.signature_types.append(Apilane)
        own: dict[int | type[Exception], Any] = {ApilaneError: self._answer, StorageError: self._answer}
        app_config.exception_handlers = {**own, **app_config.exception_handlers}
        return app_config

    def _mounted(self) -> Any:
        async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
            if self._running is None:
                await send_reply(send, error_reply(ApilaneError(Code.SERVICE_UNAVAILABLE)))
                return
            await self._running[1](scope, receive, send)

        # Litestar reads annotations at run time and expects its own names.
        mounted.__annotations__ = {"scope": Any, "receive": Any, "send": Any, "return": None}
        return mounted

    @asynccontextmanager
    async def _lifespan(self, _app: Litestar) -> AsyncIterator[None]:
        """A new instance for each start, because a closed one stays closed."""
        instance = Instance(self._settings or load_settings(), self._plugins)
        try:
            front = front_of(instance)
            await instance.open()
            self._running = instance, front, Apilane(instance)
            yield
        finally:
            self._running = None
            await instance.close()

    def _handle(self) -> Apilane:
        if self._running is None:
            raise ApilaneError(Code.SERVICE_UNAVAILABLE)
        return self._running[2]

    def _answer(self, request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        if self._running is not None:
            error = failure_answer(error, f"{request.method} {request.url.path}", self._running[0].hooks)
        answer = error if isinstance(error, ApilaneError) else ApilaneError(Code.SERVICE_UNAVAILABLE)
        headers = {name.decode(): value.decode() for name, value in error_reply(answer).headers}
        media_type = "application/json; charset=utf-8"
        return Response(answer.body(), status_code=answer.status, headers=headers, media_type=media_type)


async def _unused(_call: object) -> Any:
    raise NotImplementedError


_IDENTIFY = WireCall(path="/api/page", method="GET", action=_unused, access=Open(), body="stream")
