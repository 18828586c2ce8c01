"""The front door: one ASGI function with a dictionary of wire calls; everything else goes to Litestar.

A Litestar handler costs about 25 us over the floor, a mount about 9 us; a wire call pays neither. The order of checks
is that of ``spec/wire-api.md`` section 2 and ``spec/errors.md`` B-E7, and stands in ``_admit`` from top to bottom.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from apilane.errors import ApilaneError, Code, unauthorized
from apilane.instance import Instance
from apilane.runtime.owners import owns
from apilane.security.identity import ANONYMOUS, Actor
from apilane.security.signatures import SIGNATURE_HEADER, check_signature_headers
from apilane.security.tokens import bearer_token
from apilane.services.failures import wire_error
from apilane.storage.errors import MissingObject, StatementTimeout, StorageError, Unavailable
from apilane.web.addresses import client_addresses
from apilane.web.bodies import Bodies
from apilane.web.call import Call, Receive, Scope, Send
from apilane.web.reply import Reply, error_reply, preflight, send_reply

__all__ = ["Action", "Front", "Route", "check_content_type"]

Action = Callable[[Call], Awaitable[Reply]]

NO_TOKEN = "Query parameter 'appToken' or Header 'x-application-token' is required!"  # noqa: S105 -- a message
USE_FILES = "Use 'Files' controller to access files. Refer to API Documentation for more info."
NOT_SIGNABLE = "Request signing is not supported for file uploads."
JSON_TYPES = ("application/json", "text/json")

log = logging.getLogger("apilane.web")


class Route:
    """One path with an action per HTTP method.

    ``is_data``: refuses the entity Files. ``takes_json``: a body must call itself JSON. ``entity``: the one that
    unexpected and database failures name.
    """

    __slots__ = ("actions", "entity", "is_data", "takes_json")

    def __init__(
        self, *, is_data: bool = False, takes_json: bool = False, entity: str | None = None, **actions: Action
    ) -> None:
        self.actions = actions
        self.entity = entity
        self.is_data = is_data
        self.takes_json = takes_json


class Front:
    """The ASGI application in front. ``routes``: by lower-case path without trailing slash; one with a trailing slash
    is for every path with one more part.

    ``behind``: the Litestar application for everything else; its ``paths`` in lower case are matched ignoring case.
    """

    def __init__(self, instance: Instance, routes: Mapping[str, Route], behind: Any, paths: frozenset[str]) -> None:
        self._instance = instance
        self._routes = routes
        self._behind = behind
        self._paths = paths
        self._client_address = client_addresses(instance.settings.trusted_proxies)
        self._bodies = Bodies(instance.settings)
        authenticators = instance.hooks.authenticators
        self._signed = tuple(a for a in authenticators if a.scheme == "signature")
        self._unsigned = tuple(a for a in authenticators if a.scheme != "signature")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry point."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if not self._instance.is_open and not await self._opened(send):
            return
        if scope["type"] == "http":
            path = scope["path"].lower()
            route = self._routes.get(path) or self._find(path, scope)
            if route is not None:
                await send_reply(send, await self._answer(route, scope, receive))
                return
            path = self._below_mount(path, scope)
            if path in self._paths:
                scope = {**scope, "path": path, "raw_path": path.encode(), "root_path": ""}
        await self._behind(scope, receive, send)

    async def close(self) -> None:
        """Finish and let go of everything; for those who mount this and pass no lifespan on."""
        await self._instance.close()

    async def _opened(self, send: Send) -> bool:
        """Open the instance for a host that passes no lifespan on; False when that failed and was answered."""
        try:
            await self._instance.open()
        except Exception:
            log.exception("the instance cannot be opened")
            await send_reply(send, error_reply(ApilaneError(Code.SERVICE_UNAVAILABLE)))
            return False
        return True

    def _below_mount(self, path: str, scope: Scope) -> str:
        root = scope.get("root_path", "").lower().rstrip("/")
        if root and path.startswith(root + "/"):
            path = path[len(root) :]
        return path.rstrip("/") or "/"

    def _find(self, path: str, scope: Scope) -> Route | None:
        """A path that is not in the dictionary as it stands: trailing slash, mount point, unknown; None: not ours."""
        path = self._below_mount(path, scope)
        if path == "/api" or path.startswith("/api/"):
            return self._routes.get(path) or self._routes.get(path[: path.rfind("/") + 1], _UNKNOWN)
        return None

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self._instance.open()
                except Exception as error:
                    log.exception("start-up failed")
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._instance.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _answer(self, route: Route, scope: Scope, receive: Receive) -> Reply:
        """Run one call and turn whatever happens into an answer."""
        method = scope["method"]
        action = route.actions.get(method)
        if action is None:
            return _refuse_method(route, method, scope)
        call = Call(scope, receive, self._bodies, self._client_address)
        call.entity_name = route.entity
        try:
            try:
                await self._admit(call, route)
                return await action(call)
            except MissingObject:
                return await self._again(call, route, action)
        except ApilaneError as error:
            return error_reply(error)
        except StorageError as error:
            return error_reply(_storage_reply(error, call, scope))
        except Exception as error:
            return error_reply(_unexpected(error, call, scope))

    async def _again(self, call: Call, route: Route, action: Action) -> Reply:
        """Tables differ from the definition in memory: read it anew and try once more, without counting twice."""
        await self._instance.applications.reload(call.application.token)
        call.is_counted, call.actor = True, ANONYMOUS
        await self._admit(call, route)
        return await action(call)

    async def _admit(self, call: Call, route: Route) -> None:
        """Everything between the request line and the action."""
        is_signed = SIGNATURE_HEADER in call.headers
        if is_signed and b"content-type" in call.headers and _is_multipart(call):
            raise ApilaneError(Code.UNAUTHORIZED, NOT_SIGNABLE)
        if route.is_data and call.query.get("entity", "").lower() == "files":
            raise ApilaneError(Code.ERROR, USE_FILES)
        if route.takes_json:
            check_content_type(call)
        header = call.headers.get(b"x-application-token")
        token = header.decode("latin-1") if header else call.query.get("apptoken")
        if not token:
            raise ApilaneError(Code.ERROR, NO_TOKEN)
        applications = self._instance.applications
        application = applications.find_live(token) or await applications.find(token)
        if application is None:
            raise ApilaneError(Code.ERROR)
        call.application = application
        application.is_used = True
        if is_signed:
            call.signature = check_signature_headers(call.headers)
        if b"x-client-id" in call.headers:
            call.actor = await self._owner(call)
            if call.actor.owner is not None:
                return
        if not application.online:
            raise ApilaneError(Code.SERVICE_UNAVAILABLE, "Application offline.")
        if application.needs:  # B-S13: what nobody enforces closes the application
            raise ApilaneError(Code.SERVICE_UNAVAILABLE)
        for check in application.address_checks:
            refusal = check(call.client_address)
            if refusal is not None:
                raise ApilaneError(Code.SERVICE_UNAVAILABLE, refusal)
        for authenticator in self._signed if is_signed else self._unsigned:
            try:
                actor = await authenticator.authenticate(call, application)
            except (ApilaneError, StorageError):
                raise
            except Exception:
                log.exception("authenticator %r failed; the request is refused", authenticator)
                raise unauthorized() from None
            if actor is not None:
                call.actor = actor
                return
        if is_signed:
            raise unauthorized()

    async def _owner(self, call: Call) -> Actor:
        """The owner who calls on the portal channel, else the caller as known so far: any other credential is tried."""
        header = call.headers.get(b"authorization")
        if header is not None and call.headers[b"x-client-id"].lower() == b"portal":
            token = bearer_token(header)
            user = await self._instance.owners.find(token) if token else None
            if user is not None and owns(user, call.application.definition):
                return Actor(owner=user.email)
        return call.actor


def _storage_reply(error: StorageError, call: Call, scope: Scope) -> ApilaneError:
    reply = wire_error(error, call.entity_name)
    if reply.code is Code.ERROR:
        return _unexpected(error, call, scope)
    # A violated constraint is the caller's business; a database in trouble is the operator's.
    trouble = isinstance(error, (Unavailable, StatementTimeout))
    log.log(logging.WARNING if trouble else logging.DEBUG, "storage refused %s: %s", call.entity_name, error)
    return reply


def _unexpected(error: Exception, call: Call, scope: Scope) -> ApilaneError:
    """Nobody but an owner reads what went wrong; the reference finds it in the log (B-E3)."""
    reference = secrets.token_hex(4)
    log.error("unexpected failure %s in %s %s", reference, scope["method"], scope["path"], exc_info=error)
    told = None if call.actor.owner is None else f"{str(error) or type(error).__name__} (reference {reference})"
    return ApilaneError(Code.ERROR, told, entity=call.entity_name)


def _is_multipart(call: Call) -> bool:
    return call.headers[b"content-type"].lower().startswith(b"multipart/")


def check_content_type(call: Call) -> None:
    """A body that does not call itself JSON is not read (HTTP 415); no body at all is the action's matter."""
    header = call.headers.get(b"content-type", b"")
    if header == b"application/json":
        return
    sent = header.decode("latin-1").partition(";")[0].strip().lower()
    if sent in JSON_TYPES or (sent.startswith("application/") and sent.endswith("+json")):
        return
    has_body = call.headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in call.headers
    if sent or has_body:
        raise ApilaneError(Code.ERROR, "Unsupported Media Type: send application/json", status=415)


def _refuse_method(route: Route, method: str, scope: Scope) -> Reply:
    if method == "OPTIONS":
        return preflight(dict(scope["headers"]).get(b"access-control-request-headers"))
    if not route.actions:
        return error_reply(ApilaneError(Code.NOT_FOUND, status=404))
    allowed = ", ".join(sorted(route.actions))
    reply = error_reply(ApilaneError(Code.ERROR, f"Method not allowed: use {allowed}", status=405))
    reply.headers = ((b"allow", allowed.encode()),)
    return reply


_UNKNOWN = Route()
