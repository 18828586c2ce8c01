"""Request IDs and the access log: one line for each request, with its caller and without a secret.

The line has no query, no body and no header, because they may hold secrets. A path that no call or page declares is not
shown for the same reason.
"""

from __future__ import annotations

import logging
from typing import Any

from apilane.logs import RequestIds, request_id
from apilane.plugin.observers import SeenRequest

__all__ = ["RequestLog"]

log = logging.getLogger("apilane.access")


class RequestLog:
    """Sees each request first and last."""

    def __init__(self, *, writes: bool) -> None:
        self._ids = RequestIds()
        self.ended = self._ended if writes else None
        """None when no lines are written."""

    def started(self, seen: SeenRequest) -> None:
        """Give the request its ID, and repeat it in the answer."""
        id = seen.request_id = self._ids.of(seen.scope["headers"])
        request_id.set(id)
        seen.answer_headers = (*seen.answer_headers, (b"x-request-id", id.encode()))

    def _ended(self, seen: SeenRequest) -> None:
        call: Any = seen.call
        method, path = seen.scope["method"], seen.path or "(unknown path)"
        actor = getattr(call, "actor", None)
        application = getattr(call, "application", None)
        client = seen.scope.get("client")
        if call is not None and path.endswith("/"):
            endpoint = getattr(call, "endpoint", None)
            path += "{name}" if endpoint is None else endpoint[0].name
        fields = {
            "client": call.client_address if call is not None else client[0] if client else None,
            "method": method if method.isalpha() else "(other)",
            "path": path,
            "status": seen.status or None,
            "code": None if seen.code is None else seen.code.value,
            "duration_ms": round((seen.ended - seen.started) * 1000, 3),
            "application": None if application is None else application.token,
            "entity": None if call is None else call.entity_name,
            "caller": None if actor is None else actor.kind,
            "credential_id": None if actor is None else actor.credential,
        }
        log.info("request", extra={name: value for name, value in fields.items() if value is not None})
