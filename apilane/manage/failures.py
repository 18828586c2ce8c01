"""Answers of requests that failed: the error of the wire for the API, a page for the Portal."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from apilane.errors import ApilaneError, Code, ConfigurationError, DatabaseBusyError, unauthorized
from apilane.instance import Instance
from apilane.web.reply import error_reply
from apilane.web.unexpected import failure_answer

__all__ = ["SignInNeeded", "failure_response"]


log = logging.getLogger("apilane.manage")

AnyRequest = Request[Any, Any, Any]


class SignInNeeded(Exception):
    """A request without a session or token."""


def failure_response(instance: Instance) -> Callable[[AnyRequest, Exception], Response[Any]]:
    """The handler of every exception."""

    def respond(request: AnyRequest, error: Exception) -> Response[Any]:
        handler = request.scope.get("route_handler")
        options: dict[str, Any] = getattr(handler, "opt", {})
        is_page = bool(options.get("page")) or "text/html" in request.headers.get("accept", "")
        if isinstance(error, SignInNeeded) and is_page:
            return _to_sign_in(request)
        answer = _answer(instance, request, error)
        reply = error_reply(answer)
        headers = {name.decode(): value.decode() for name, value in reply.headers}
        media_type = "application/json; charset=utf-8"
        return Response(answer.body(), status_code=answer.status, headers=headers, media_type=media_type)

    return respond


def _to_sign_in(request: AnyRequest) -> Response[Any]:
    """A redirect to the sign-in page. Only a GET comes back to its page afterwards."""
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    target = f"/sign-in?next={quote(path)}" if request.method == "GET" and path != "/" else "/sign-in"
    if request.headers.get("hx-request"):
        return Response(b"", status_code=200, headers={"hx-redirect": target})
    return Response(b"", status_code=303, headers={"location": target})


def _answer(instance: Instance, request: AnyRequest, error: Exception) -> ApilaneError:
    match error:
        case SignInNeeded():
            return unauthorized()
        case ApilaneError():
            return error
        case ValidationException():
            return _invalid(error)
        case HTTPException():
            code = {400: Code.VALIDATION, 404: Code.NOT_FOUND}.get(error.status_code, Code.ERROR)
            told = None if error.status_code in {404, 500} else error.detail
            return ApilaneError(code, told, status=error.status_code)
        case ConfigurationError():
            log.error("%s", error)
            return DatabaseBusyError()
    return failure_answer(error, f"{request.method} {request.url.path}", instance.hooks)


def _invalid(error: ValidationException) -> ApilaneError:
    """What is wrong with a parameter or a body, with the name of the field."""
    found: Any = error.extra[0] if isinstance(error.extra, list) and error.extra else {}
    message = found.get("message") or error.detail
    return ApilaneError(Code.VALIDATION, f"Validation error: {message}", property=found.get("key") or None)
