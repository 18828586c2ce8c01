"""The outer ASGI application: it answers the wire calls of a table and passes every other path to Litestar.

A Litestar handler adds about 25 us to a request, a mount about 9 us; a wire call has neither cost.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, MutableMapping
from typing import Any

from apilane.dispatch import Hooks
from apilane.errors import ApilaneError, Code
from apilane.instance import Instance
from apilane.plugin.calls import WireCall, Write
from apilane.plugin.identity import ANONYMOUS
from apilane.plugin.replies import Reply
from apilane.services.failures import wire_error
from apilane.storage.errors import MissingObject, StatementTimeout, StorageError, Unavailable
from apilane.web.admission import Admission
from apilane.web.bodies import BrokenBody, announces_body, drain, linger
from apilane.web.call import Call, Receive, Scope, Send
from apilane.web.heads import ambiguity
from apilane.web.reply import CLOSE, error_reply, preflight, send_last, send_reply
from apilane.web.routes import Methods, Routes

__all__ = ["Front"]

log = logging.getLogger("apilane.web")

_UNKNOWN: Methods = {}


class Front:
    """The outer ASGI application. ``routes``: the wire calls, which pass ``admission``.

    ``behind``: the Litestar application for all other paths. ``paths``: its paths in lower case, matched in any case.
    """

    def __init__(
        self, instance: Instance, admission: Admission, routes: Routes, behind: Any, paths: frozenset[str]
    ) -> None:
        self.routes = routes
        self._instance = instance
        self._admission = admission
        self._behind = behind
        self._paths = paths
        self._bodies = admission.bodies
        self._client_address = admission.client_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry point."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if not self._instance.is_open and not await self._opened(send):
            return
        if scope["type"] == "http":
            path = scope["path"].lower()
            methods = self.routes.at(path)
            if methods is None:
                methods = self._find(path, scope)
            if methods is not None:
                reply = await self._answer(methods, scope, receive)
                if reply.headers and CLOSE in reply.headers:
                    await send_last(send, reply, receive)
                else:
                    await send_reply(send, reply)
                return
            path = self._below_mount(path, scope)
            headers = dict(scope["headers"])
            if refusal := ambiguity(scope, headers, is_known=path in self._paths):
                reply = await _after_body(error_reply(refusal), headers, receive)
                await (send_last(send, reply, receive) if CLOSE in reply.headers else send_reply(send, reply))
                return
            if path in self._paths:
                scope = {**scope, "path": path, "raw_path": path.encode(), "root_path": ""}
            if announces_body(headers):
                unread = _UnreadBody(receive, send)
                receive, send = unread.receive, unread.send
        await self._behind(scope, receive, send)

    async def close(self) -> None:
        """Close the instance; for a host application that mounts this one and passes no lifespan events on."""
        await self._instance.close()

    async def _opened(self, send: Send) -> bool:
        """Open the instance for a host that passes no lifespan events on. False: it failed and was answered."""
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

    def _find(self, path: str, scope: Scope) -> Methods | None:
        """Find a path outside of the table: with a trailing slash, below a mount point, or unknown. None: no wire
        call."""
        path = self._below_mount(path, scope)
        if path == "/api" or path.startswith("/api/"):
            return self.routes.below(path) or _UNKNOWN
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

    async def _answer(self, methods: Methods, scope: Scope, receive: Receive) -> Reply:
        """Run one call and turn its result or its error into an answer."""
        route = methods.get(scope["method"])
        if route is None:
            headers = dict(scope["headers"])
            refusal = ambiguity(scope, headers, is_known=True)
            return await _after_body(
                error_reply(refusal) if refusal else _refuse_method(methods, scope), headers, receive
            )
        call = Call(scope, receive, self._bodies, self._client_address)
        headers = call.headers
        # Inline, because nearly every request passes: a function call costs 0.1 us.
        if len(headers) != len(scope["headers"]) or not headers.get(b"host") or b"%" in (scope.get("raw_path") or b""):
            refusal = ambiguity(scope, headers, is_known=True)
            if refusal is not None:
                return await _after_body(error_reply(refusal), headers, receive)
        call.entity_name = route.entity
        try:
            try:
                await self._admission.admit(call, route)
                done = await route.action(call)
                reply = done if type(done) is Reply else await self._write(call, done)
            except MissingObject:
                if call.is_streamed:
                    raise
                reply = await self._again(call, route)
        except ApilaneError as error:
            reply = error_reply(error)
            if isinstance(error, BrokenBody):
                return reply  # the body was waited for already
        except StorageError as error:
            reply = error_reply(_storage_reply(error, call, scope, self._instance.hooks))
        except Exception as error:
            reply = error_reply(_unexpected(error, call, scope, self._instance.hooks))
        if (b"content-length" in headers or b"transfer-encoding" in headers) and not call.is_body_read:
            return await _after_body(reply, headers, receive)
        return reply

    async def _write(self, call: Call, write: Write[Any] | Reply) -> Reply:
        """Run a write. A write of an operator is recorded in the audit before it begins."""
        if isinstance(write, Reply):
            return write
        if call.actor.kind == "operator":
            result = await self._instance.audit_trail.record(call.application, call.actor, write)
        else:
            result = await write.run()
        return write.reply(result)

    async def _again(self, call: Call, route: WireCall) -> Reply:
        """The tables differ from the definition in memory: load it again and retry once, without counting twice."""
        await self._instance.applications.reload(call.application.token)
        call.is_counted, call.actor = True, ANONYMOUS
        await self._admission.admit(call, route)
        done = await route.action(call)
        return await self._write(call, done)


async def _after_body(reply: Reply, headers: Mapping[bytes, bytes], receive: Receive) -> Reply:
    """The answer to a request whose body was not read. It is sent after the body, or it closes the connection.

    A client that is still sending when the server answers and closes gets a broken pipe instead of the answer.
    """
    if announces_body(headers) and not await drain(receive) and CLOSE not in reply.headers:
        reply.headers = (*reply.headers, CLOSE)
    return reply


class _UnreadBody:
    """Does the same as ``_after_body`` for a request to the Litestar application that announces a body."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._is_read = False
        self._lingers = False

    async def receive(self) -> MutableMapping[str, Any]:
        message = await self._receive()
        self._is_read = not message.get("more_body", False)
        return message

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start" and not self._is_read and not await drain(self._receive):
            message["headers"] = [*message.get("headers", ()), CLOSE]
            self._lingers = True
        if self._lingers and message["type"] == "http.response.body" and not message.get("more_body"):
            await self._send({**message, "more_body": True})
            await linger(self._receive)
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)


def _storage_reply(error: StorageError, call: Call, scope: Scope, hooks: Hooks) -> ApilaneError:
    reply = wire_error(error, call.entity_name)
    if reply.code is Code.ERROR:
        return _unexpected(error, call, scope, hooks)
    # A violated constraint is an error of the caller; a database that fails needs an operator.
    trouble = isinstance(error, (Unavailable, StatementTimeout))
    log.log(logging.WARNING if trouble else logging.DEBUG, "storage refused %s: %s", call.entity_name, error)
    return reply


def _unexpected(error: Exception, call: Call, scope: Scope, hooks: Hooks) -> ApilaneError:
    """Log the error under a reference. Only an operator gets its text in the answer (B-E3)."""
    reference = secrets.token_hex(4)
    blamed = hooks.blamed(error)
    where = f"{scope['method']} {scope['path']}{f', {blamed}' if blamed else ''}"
    log.error("unexpected failure %s in %s", reference, where, exc_info=error)
    is_told = call.actor.kind == "operator"
    told = f"{str(error) or type(error).__name__} (reference {reference})" if is_told else None
    return ApilaneError(Code.ERROR, told, entity=call.entity_name)


def _refuse_method(methods: Methods, scope: Scope) -> Reply:
    if scope["method"] == "OPTIONS":
        return preflight(dict(scope["headers"]).get(b"access-control-request-headers"))
    if not methods:
        return error_reply(ApilaneError(Code.NOT_FOUND, status=404))
    allowed = ", ".join(sorted(methods))
    reply = error_reply(ApilaneError(Code.ERROR, f"Method not allowed: use {allowed}", status=405))
    reply.headers = ((b"allow", allowed.encode()),)
    return reply
