"""The outer application where requests are observed: by plugins, or for the access log.

An application without observers, request IDs and access log uses ``Front`` itself and pays nothing for this file.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, MutableMapping
from time import perf_counter
from typing import Any

from apilane.dispatch import Hooks
from apilane.plugin.calls import WireCall
from apilane.plugin.observers import SeenRequest
from apilane.plugin.replies import Reply
from apilane.web.admission import Admission
from apilane.web.bodies import Bodies
from apilane.web.call import Call, Receive, Scope, Send
from apilane.web.front import Front
from apilane.web.routes import CORE, Methods

__all__ = ["KEY", "ObservedFront"]

KEY = "apilane.seen"
"""The key of the ``SeenRequest`` in the ASGI scope."""

log = logging.getLogger("apilane.observers")

Seeing = Callable[[SeenRequest], None]
_Seeing = tuple[Seeing, str]
"""A function with its plugin."""


class ObservedFront(Front):
    """``first`` and ``last``: functions of the core that see each request before and after those of the plugins."""

    def __init__(self, *parts: Any, first: Seeing | None = None, last: Seeing | None = None) -> None:
        super().__init__(*parts)
        hooks = self._instance.hooks
        self._started = [*([(first, CORE)] if first else []), *_functions(hooks, "request_started")]
        self._ended = [*_functions(hooks, "request_ended"), *([(last, CORE)] if last else [])]
        self._new_call = _seen_call
        self._behind = self._observed(self._behind)
        admitted = _functions(hooks, "request_admitted")
        if admitted:
            self._admission = _ObservedAdmission(self, self._admission, admitted)  # type: ignore[assignment]

    async def _answer(self, methods: Methods, scope: Scope, receive: Receive) -> Reply:
        route = methods.get(scope["method"]) or (methods.get("GET") if scope["method"] == "HEAD" else None)
        seen = scope[KEY] = SeenRequest(scope, perf_counter(), route)
        if self._started:
            self.tell(self._started, seen)
        try:
            reply = await Front._answer(self, methods, scope, receive)  # noqa: SLF001  super() costs 0.1 us
            seen.status, seen.code = reply.status, reply.code
        finally:  # a client that left cancels the request
            seen.ended = perf_counter()
            for function, plugin in self._ended:
                try:
                    function(seen)
                except Exception:  # as in ``tell``, whose call costs 0.1 us
                    log.exception("an observer of plugin %r failed", plugin)
            del scope[KEY]  # no cycle is left for the garbage collector
        if seen.answer_headers:  # a reply may be shared by requests, so it is not changed
            reply = Reply(reply.body, reply.status, (*reply.headers, *seen.answer_headers), reply.common, reply.code)
        return reply

    def _observed(self, behind: Any) -> Any:
        async def page(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await behind(scope, receive, send)
                return
            seen = scope[KEY] = SeenRequest(scope, perf_counter())

            async def send_seen(message: MutableMapping[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    seen.status = message["status"]
                    if seen.answer_headers:
                        message["headers"] = [*message.get("headers", ()), *seen.answer_headers]
                await send(message)

            self.tell(self._started, seen)
            try:
                await behind(scope, receive, send_seen)
            finally:
                seen.ended = perf_counter()
                self.tell(self._ended, seen)
                del scope[KEY]

        return page

    def tell(self, functions: list[_Seeing], seen: SeenRequest) -> None:
        """Call functions; a failure is logged."""
        for function, plugin in functions:
            try:
                function(seen)
            except Exception:  # an observer must not fail a request
                log.exception("an observer of plugin %r failed", plugin)


def _seen_call(scope: Scope, receive: Receive, bodies: Bodies, addresses: Callable[[Scope], str]) -> Call:
    """A call that its observers can find."""
    call = scope[KEY].call = Call(scope, receive, bodies, addresses)
    return call


class _ObservedAdmission:
    """An admission that tells when a call was admitted."""

    def __init__(self, front: ObservedFront, admission: Admission, functions: list[_Seeing]) -> None:
        self._front = front
        self._admission = admission
        self._functions = functions

    async def admit(self, call: Call, route: WireCall) -> None:
        """See ``Admission``."""
        await self._admission.admit(call, route)
        self._front.tell(self._functions, call.scope[KEY])


def _functions(hooks: Hooks, moment: str) -> list[_Seeing]:
    found = ((getattr(observer, moment), hooks.plugin_of(observer)) for observer in hooks.observers)
    return [(function, plugin) for function, plugin in found if function is not None]
