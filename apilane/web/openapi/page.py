"""``GET /openapi.json``: the document of the application that the request names, for its caller.

A document is made once for each version of an application and each set of roles, in a thread; after that a request
costs a lookup. Documents in memory are bounded.
"""

from __future__ import annotations

import asyncio
import hashlib
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from apilane.model.json import encode_json
from apilane.plugin.access import Account
from apilane.plugin.calls import WireCall
from apilane.plugin.identity import Actor
from apilane.plugin.pages import Page, PageCall
from apilane.runtime.application import ApplicationRuntime
from apilane.web.openapi.document import application_document

__all__ = ["PATHS", "Documents", "openapi_page"]

PATHS: Final = ("/openapi.json", "/swagger/v1/swagger.json")
"""The second one is the address of Apilane 8.7."""
DOCUMENTS_KEPT = 64
BYTES_KEPT = 32_000_000
NAMES_MAX = 50
"""Entities that the parameter ``entities`` may name; such documents are not kept."""
HEADERS: Final = {
    "Cache-Control": "private, no-cache",
    "Vary": "authorization, x-application-token, x-client-id, x-auth-keyid",
    "X-Content-Type-Options": "nosniff",
}


class Document:
    """A document as it is sent."""

    def __init__(self, application: ApplicationRuntime, content: bytes) -> None:
        self.application = weakref.ref(application)
        self.content = content
        self.etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'


class Documents:
    """The documents in memory. ``calls``: the wire calls of the server."""

    def __init__(self, calls: Sequence[WireCall]) -> None:
        self._calls = calls
        self._kept: OrderedDict[Any, Document] = OrderedDict()
        self._bytes = 0
        self._making = asyncio.Lock()

    async def find(
        self, application: ApplicationRuntime, actor: Actor, base_path: str, only: Sequence[str] = ()
    ) -> Document:
        """The document for a caller. Requests for the same new document wait until it is made."""
        has_user = actor.user_id is not None
        key = application.token, actor.kind, has_user, actor.roles, actor.scopes, base_path
        document = None if only else self._find(key, application)
        if document is None:
            async with self._making:  # one at a time, so that documents take at most one core
                document = None if only else self._find(key, application)
                if document is None:
                    document = await asyncio.to_thread(self._make, application, actor, base_path, only)
                    if not only:
                        self._keep(key, document)
        return document

    def _find(self, key: Any, application: ApplicationRuntime) -> Document | None:
        document = self._kept.get(key)
        if document is None or document.application() is not application:
            return None
        self._kept.move_to_end(key)
        return document

    def _keep(self, key: Any, document: Document) -> None:
        old = self._kept.pop(key, None)
        self._bytes += len(document.content) - (len(old.content) if old else 0)
        self._kept[key] = document
        while len(self._kept) > DOCUMENTS_KEPT or (self._bytes > BYTES_KEPT and len(self._kept) > 1):
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= len(dropped.content)

    def _make(self, application: ApplicationRuntime, actor: Actor, base_path: str, only: Sequence[str]) -> Document:
        found = application_document(application, self._calls, actor, only=only, base_path=base_path)
        return Document(application, encode_json(found))


def openapi_page(calls: Sequence[WireCall]) -> Page:
    """The page. It is admitted like a call without a rule: the application must be known, online and admit the
    address, and a credential must be right.
    """
    documents = Documents(calls)

    @get([*PATHS])
    async def openapi(request: Request[Any, Any, Any], call: PageCall) -> Response[bytes]:
        application: Any = call.application
        names = [name for name in (call.query.get("entities") or "").split(",") if name.strip()][:NAMES_MAX]
        base_path = str(request.scope.get("root_path") or "").rstrip("/")
        document = await documents.find(application, call.actor, base_path, names)
        headers = {**HEADERS, "ETag": document.etag}
        sent = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
        if document.etag in sent or "*" in sent:
            return Response(b"", status_code=304, headers=headers, media_type="application/json")
        return Response(document.content, headers=headers, media_type="application/json; charset=utf-8")

    handler: HTTPRouteHandler = openapi
    return Page(handler, Account())
