"""Wire calls: what a route declares, what its action sees, what it gives back (``apilane_register_calls``)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Generic, Literal, Protocol, TypeVar

from msgspec import Struct

from apilane.model.definition import Endpoint
from apilane.model.json import encode_json
from apilane.plugin.access import Access
from apilane.plugin.endpoints import EndpointAction
from apilane.plugin.identity import Actor, ApplicationView, RequestView
from apilane.plugin.replies import Reply

__all__ = ["BodyKind", "CallAction", "CallView", "WireCall", "Write"]

T = TypeVar("T")

BodyKind = Literal["none", "json", "multipart", "stream"]
"""``json``: a body must call itself JSON, else HTTP 415. ``multipart``: ``multipart/form-data``, read by ``stream``.
``stream``: any content type, read by ``stream``. ``none``: a body is not looked at."""


class CallView(RequestView, Protocol):
    """An admitted call: the request, its application, its caller, and what the declared access gave."""

    application: ApplicationView
    actor: Actor
    query: Mapping[str, str]
    """Query parameters by name in lower case."""
    endpoint: tuple[Endpoint, EndpointAction]
    """Of a route that declares ``CustomEndpoint``: its definition, and what runs it."""

    @property
    def last_part(self) -> str:
        """What stands behind the last slash of the path, a trailing one aside."""
        ...

    def typed_query(self) -> Mapping[str, str]:
        """Query parameters by name as typed."""
        ...

    async def json(self) -> object | None:
        """The decoded body; None when it is missing, empty, ``null`` or not JSON."""
        ...

    def stream(self, max_bytes: int) -> AsyncIterator[bytes]:
        """The body as it arrives, once. Raises ``ApilaneError`` beyond ``max_bytes`` or when it comes too slowly."""
        ...


def _encoded(result: object) -> Reply:
    return Reply(encode_json(result))


class Write(Struct, Generic[T], kw_only=True):
    """A change that was checked and has not begun; the core runs it, for an operator with a record in the audit.

    The record exists before ``run`` is called: its first line is ``what``, and ``outcome`` adds the second one. Neither
    may hold a value of a record. ``what`` None: there is nothing to do, so nothing goes on record. ``reply`` makes the
    answer of the result; by default it is the result's JSON.
    """

    run: Callable[[], Awaitable[T]]
    what: Callable[[], str] | None
    outcome: Callable[[T], str]
    reply: Callable[[T], Reply] = _encoded

    @classmethod
    def nothing(cls, result: T) -> Write[T]:
        """No change at all, with its result."""

        async def run() -> T:
            return result

        return cls(run=run, what=None, outcome=str)


CallAction = Callable[[Any], Awaitable["Reply | Write[Any]"]]
"""From an admitted ``CallView`` to the answer. Raises ``ApilaneError`` for what the caller did wrong."""


class WireCall(Struct, frozen=True, kw_only=True):
    """One route: a path and a method with what it asks for.

    ``path``: such as ``/api/Data/Get``, in any letter case; with a slash at the end it stands for every path with one
    more part. ``audited``: whether operators' calls are put on record; every route of POST, PUT or DELETE says so.
    ``entity``: the one that errors of the database name. ``refuses_files``: ``entity=Files`` is refused.
    """

    path: str
    method: Literal["GET", "POST", "PUT", "DELETE"]
    action: CallAction
    access: Access
    body: BodyKind = "none"
    audited: bool | None = None
    entity: str | None = None
    refuses_files: bool = False
