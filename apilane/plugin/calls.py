"""Wire calls: the declaration of a route, and the input and the result of its action (``apilane_register_calls``)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Generic, Literal, Protocol, TypeVar

from msgspec import Struct

from apilane.model.definition import Endpoint
from apilane.model.json import encode_json
from apilane.plugin.access import Access
from apilane.plugin.call_records import RecordsView
from apilane.plugin.descriptions import CallDescription
from apilane.plugin.endpoints import EndpointAction
from apilane.plugin.identity import Actor, ApplicationView, RequestView
from apilane.plugin.replies import Reply

__all__ = ["AccessView", "BodyKind", "CallAction", "CallView", "EntityView", "WireCall", "Write"]

T = TypeVar("T")

BodyKind = Literal["none", "json", "multipart", "stream"]
"""``json``: the content type of a body must be JSON, else HTTP 415. ``multipart``: ``multipart/form-data``, read with
``stream``. ``stream``: any content type, read with ``stream``. ``none``: a body is ignored."""


class EntityView(Protocol):
    """The entity that an admitted call is about."""

    name: str
    """Schema name."""


class AccessView(Protocol):
    """The rights that the rules grant to the caller of an admitted call."""

    properties: tuple[str, ...]
    """Schema names in schema order: the properties that a get may show, or a post or put may write."""


class CallView(RequestView, Protocol):
    """An admitted call: the request, its application, its caller, and the results of the declared access."""

    application: ApplicationView
    actor: Actor
    query: Mapping[str, str]
    """Query parameters by name in lower case."""
    entity: EntityView
    """Of a route that declares ``Data``."""
    access: AccessView
    """Of a route that declares ``Data``."""
    endpoint: tuple[Endpoint, EndpointAction]
    """Set for a route that declares ``CustomEndpoint``: the endpoint's definition, and the action that runs it."""

    @property
    def records(self) -> RecordsView:
        """The records of ``entity``, of a route that declares ``Data``."""
        ...

    @property
    def last_part(self) -> str:
        """The last part of the path, without a trailing slash."""
        ...

    def typed_query(self) -> Mapping[str, str]:
        """Query parameters by name, in the letter case of the request."""
        ...

    async def json(self) -> object | None:
        """The decoded body; None when it is missing, empty, ``null`` or not JSON."""
        ...

    def stream(self, max_bytes: int) -> AsyncIterator[bytes]:
        """The body as it arrives, once. Raises ``ApilaneError`` beyond ``max_bytes`` or when it arrives too slowly."""
        ...


def _encoded(result: object) -> Reply:
    return Reply(encode_json(result))


class Write(Struct, Generic[T], kw_only=True):
    """A write that is checked and has not begun. The core runs it; for an operator it adds an audit record.

    The audit record is stored before ``run`` is called. Its first line is ``what``, its second line is ``outcome``.
    Neither may contain a value of a record. ``what`` None: there is nothing to write and to record. ``reply`` makes the
    answer from the result; by default it is the result as JSON.
    """

    run: Callable[[], Awaitable[T]]
    what: Callable[[], str] | None
    outcome: Callable[[T], str]
    reply: Callable[[T], Reply] = _encoded

    @classmethod
    def nothing(cls, result: T) -> Write[T]:
        """A write that changes nothing and has this result."""

        async def run() -> T:
            return result

        return cls(run=run, what=None, outcome=str)


CallAction = Callable[[Any], Awaitable["Reply | Write[Any]"]]
"""Takes an admitted ``CallView`` and returns the answer. Raises ``ApilaneError`` for errors of the caller."""


class WireCall(Struct, frozen=True, kw_only=True):
    """One route: a path and a method, with their declarations.

    ``path``: such as ``/api/Data/Get``, matched in any letter case. With a slash at the end it matches every path with
    one more part. ``audited``: whether operators' calls are recorded; required for POST, PUT and DELETE. ``entity``:
    the entity that errors of the database name. ``refuses_files``: ``entity=Files`` is refused. ``description``: for
    the OpenAPI document of an application.
    """

    path: str
    method: Literal["GET", "POST", "PUT", "DELETE"]
    action: CallAction
    access: Access
    body: BodyKind = "none"
    audited: bool | None = None
    entity: str | None = None
    refuses_files: bool = False
    description: CallDescription | None = None
