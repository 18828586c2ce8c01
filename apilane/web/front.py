"""The outer ASGI application: it answers the wire calls of a table and passes every other path to Litestar.

A Litestar handler adds about 25 us to a request, a mount about 9 us; a wire call has neither cost.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from time import monotonic
from typing import Any

from apilane.errors import ApilaneError, Code, ConfigurationError, continued
from apilane.instance import Instance
from apilane.model.hints import near
from apilane.plugin.calls import WireCall, Write
from apilane.plugin.identity import ANONYMOUS
from apilane.plugin.replies import Reply
from apilane.storage.errors import MissingObject, StorageError, Unavailable
from apilane.web.admission import Admission
from apilane.web.bodies import BrokenBody, announces_body, drain
from apilane.web.call import Call, Receive, Scope, Send
from apilane.web.heads import ambiguity
from apilane.web.reply import (
    CLOSE,
    UnfitReply,
    error_reply,
    holding_back,
    preflight,
    send_last,
    send_reply,
    without_body,
)
from apilane.web.routes import Methods, Routes
from apilane.web.unexpected import failure_answer

__all__ = ["Front"]

log = logging.getLogger("apilane.web")

_UNKNOWN: Methods = {}

RETRY_S = 0.5
"""How often a process without its instance tries to open it; calls in between are answered at once."""


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
        self._new_call: Callable[..., Call] = Call
        """Replaced where requests are observed (``ObservedFront``)."""
        self._reported = ""
        self._next_try = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry point."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if not self._instance.is_open and not await self._opened(scope, send):
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
                    return
                try:
                    await send_reply(send, reply)
                except UnfitReply as error:  # raised before the first byte was sent
                    where, route = f"{scope['method']} {scope['path']}", methods.get(scope["method"])
                    answer = failure_answer(error, where, self._instance.hooks, subject=route)
                    await send_reply(send, error_reply(answer))
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

    async def _opened(self, scope: Scope, send: Send) -> bool:
        """Open the instance: the host passes no lifespan events on, or the control store was lost. False: it failed and
        was answered. The service endpoints need no open instance.
        """
        try:
            if monotonic() < self._next_try:
                raise Unavailable(self._reported)
            await self._instance.open()
        except Exception as error:
            self._report(error)
            if scope["type"] == "http" and self._below_mount(scope["path"].lower(), scope) in self._paths:
                return True
            await send_reply(send, error_reply(ApilaneError(Code.SERVICE_UNAVAILABLE)))
            return False
        self._reported, self._next_try = "", 0.0
        return True

    def _report(self, error: Exception) -> None:
        """Log why the instance cannot be opened, once for each reason."""
        if not isinstance(error, Unavailable) or str(error) != self._reported:
            self._next_try = monotonic() + RETRY_S
        if str(error) == self._reported:
            return
        self._reported = str(error)
        is_expected = isinstance(error, (ConfigurationError, StorageError))
        log.error("the instance cannot be opened: %s", error, exc_info=None if is_expected else error)

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
                except (ConfigurationError, StorageError) as error:
                    # A worker of a running server waits for its instance; readiness is 503 until then.
                    if self._instance.instance_id is None:
                        log.exception("start-up failed")
                        await send({"type": "lifespan.startup.failed", "message": str(error)})
                        return
                    self._report(error)
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
        """Run one call and turn every failure into an answer."""
        route = methods.get(scope["method"])
        if route is None and scope["method"] == "HEAD" and "GET" in methods:
            return await without_body(await Front._answer(self, {"HEAD": methods["GET"]}, scope, receive))
        if route is None:
            headers = dict(scope["headers"])
            refusal = ambiguity(scope, headers, is_known=True)
            return await _after_body(
                error_reply(refusal) if refusal else _refuse_method(methods, scope, self.routes.paths()),
                headers,
                receive,
            )
        call = self._new_call(scope, receive, self._bodies, self._client_address)
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
                reply = done if type(done) is Reply and not route.audited else await self._carry_out(call, route, done)
            except MissingObject as error:
                reply = await self._again(call, route, error)
        except BrokenBody as error:
            if call.answered is not None:
                call.answered(call, route.path, error.status)
            return error_reply(error)  # the server has waited for the body already
        except (Exception, SystemExit) as error:  # a plugin may call sys.exit
            reply = error_reply(self._failure(error, call, route))
        if call.answered is not None:
            call.answered(call, route.path, reply.status)
        if (b"content-length" in headers or b"transfer-encoding" in headers) and not call.is_body_read:
            return await _after_body(reply, headers, receive)
        return reply

    async def _carry_out(self, call: Call, route: WireCall, done: object) -> Reply:
        """The reply to what an action returned: a ``Write`` is carried out, for an operator with a record before it."""
        is_audited = call.actor.kind == "operator" and route.audited is not False
        if isinstance(done, Reply):
            if is_audited:
                raise TypeError("an audited call must return a Write, so that the audit has a record before the change")
            return done
        if not isinstance(done, Write):
            raise TypeError(f"the action returned {type(done).__name__}; expected a Reply or a Write")
        if is_audited:
            result = await self._instance.audit_trail.record(call.application, call.actor, done)
        else:
            result = await done.run()
        return done.reply(result)

    async def _again(self, call: Call, route: WireCall, error: MissingObject) -> Reply:
        """Try once more with the new definition after a table turned out to be missing, without counting twice.

        Raises the error when the definition is still the same, or the body was read as a stream.
        """
        application = getattr(call, "application", None)
        if call.is_streamed or application is None:
            raise error
        loaded = await self._instance.applications.reload(application.token)
        if loaded is None or loaded.stored.version == application.stored.version:
            raise error
        call.is_second_try, call.is_counted, call.actor = True, call.was_counted, ANONYMOUS
        await self._admission.admit(call, route)
        return await self._carry_out(call, route, await route.action(call))

    def _failure(self, error: BaseException, call: Call, route: WireCall) -> ApilaneError:
        return failure_answer(
            error,
            f"{call.method} {call.scope['path']}",
            self._instance.hooks,
            subject=call.at_work or route,
            entity=call.entity_name,
            told=call.actor.kind == "operator",
        )


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

    async def receive(self) -> MutableMapping[str, Any]:
        message = await self._receive()
        self._is_read = not message.get("more_body", False)
        return message

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start" and not self._is_read and not await drain(self._receive):
            message["headers"] = [*message.get("headers", ()), CLOSE]
            self._send = holding_back(self._send, self._receive)
        await self._send(message)


SIMILAR_PATHS = 0.9
"""All paths begin alike, so a suggestion needs more likeness than a name."""


def _no_such_call(path: str, paths: Iterable[str]) -> str | None:
    """The message for a path that is nearly a call, None for others. Calls are public; the path may hold a secret, so
    it is not cited.
    """
    hint = near(path, [*paths], similar=SIMILAR_PATHS)
    return continued(Code.NOT_FOUND, f"there is no such call{hint}") if hint else None


def _refuse_method(methods: Methods, scope: Scope, paths: Iterable[str]) -> Reply:
    if scope["method"] == "OPTIONS":
        return preflight(dict(scope["headers"]).get(b"access-control-request-headers"))
    if not methods:
        return error_reply(ApilaneError(Code.NOT_FOUND, _no_such_call(scope["path"], paths), status=404))
    allowed = ", ".join(sorted(methods))
    reply = error_reply(ApilaneError(Code.ERROR, f"Method not allowed: use {allowed}", status=405))
    also = ", HEAD" if "GET" in methods else ""
    reply.headers = ((b"allow", (allowed + also).encode()),)
    return reply
