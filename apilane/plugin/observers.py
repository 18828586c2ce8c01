"""Observers: functions that the core calls when a process opens or closes, and around requests, statements and
deliveries (``apilane_register_observers``).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from msgspec import Struct

from apilane.errors import Code
from apilane.plugin.calls import CallView, WireCall
from apilane.plugin.outbox import OutboxMessage, is_asynchronous
from apilane.plugin.replies import Header
from apilane.storage.protocol import Load

if TYPE_CHECKING:
    from apilane.plugin.identity import ApplicationView

__all__ = [
    "CacheUse",
    "Observer",
    "OutboxState",
    "ProcessView",
    "SeenDelivery",
    "SeenRequest",
    "SeenStatement",
    "entered",
    "observer_problem",
]


log = logging.getLogger("apilane.observers")


class SeenRequest(Struct):
    """One request while it is observed. Times are those of ``time.perf_counter``, in seconds."""

    scope: Any
    """The ASGI scope."""
    started: float
    route: WireCall | None = None
    """The wire call; None for a page, and for an unknown path or method."""
    call: CallView | None = None
    """None when the request was refused before it was read as a call. Parts that admission did not reach are not set:
    ``application``, ``entity``, ``access``, ``endpoint``."""
    status: int = 0
    """The status of the answer; 0 until it is known, and when the client left before it."""
    code: Code | None = None
    """The error code of the answer; None when it is no error of the wire."""
    ended: float = 0.0
    request_id: str | None = None
    """The ID of the request in the log; None when requests have no IDs."""
    answer_headers: tuple[Header, ...] = ()
    """Headers that an observer adds to the answer."""
    notes: dict[str, Any] = {}
    """For observers, by name of the plugin."""

    @property
    def path(self) -> str:
        """The declared path: of a wire call as in ``docs/reference/routes.md``, of a page with its parameters, empty
        for an unknown path."""
        route = self.route
        if route is not None:
            return route.path
        template = self.scope.get("path_template")
        return template if isinstance(template, str) else ""


class SeenStatement(NamedTuple):
    """A trip to the database of an application. ``kind``: read, stream, write or script; ``text``: the SQL of a read,
    without its values; a write has None, because a unit chooses its statements while it runs."""

    kind: str
    provider: str
    text: str | None


class SeenDelivery(NamedTuple):
    """An attempt to deliver a message of the outbox."""

    application: ApplicationView
    message: OutboxMessage


class CacheUse(NamedTuple):
    """The misses of a cache since the process began, and its hits; ``hits`` None: they are not counted."""

    name: str
    hits: int | None
    misses: int


class OutboxState(NamedTuple):
    """The outbox of an application: messages that wait, messages given up, and the age of the oldest waiting one."""

    application: str
    waiting: int
    dead: int
    oldest_s: float


class ProcessView(Protocol):
    """The process, for an observer. The methods are called in its event loop."""

    def loads(self) -> dict[str, Load]:
        """The use of connections and write queues now, by storage provider."""
        ...

    def caches(self) -> list[CacheUse]:
        """The use of the caches for applications, identities and query texts."""
        ...

    def applications(self) -> int:
        """How many applications are loaded."""
        ...

    async def outboxes(self, most: int) -> list[OutboxState]:
        """The outboxes with messages, of ``most`` applications at the most. It reads the databases of applications that
        had messages in the last minutes. An application whose database does not answer is left out."""
        ...


class Observer(Struct, frozen=True, kw_only=True):
    """Functions to call; None costs nothing. They must be fast and must not raise: a failure is logged, and the request
    goes on.

    ``opened`` and ``closed`` run in each serving process, when its instance opens and closes. ``request_started`` runs
    before the checks of a request, ``request_admitted`` after them, and ``request_ended`` when the answer is ready, for
    a page when it is sent. ``statement`` and ``delivery`` return a context manager that is entered around the work.
    """

    opened: Callable[[ProcessView], Awaitable[None]] | None = None
    closed: Callable[[], Awaitable[None]] | None = None
    request_started: Callable[[SeenRequest], None] | None = None
    request_admitted: Callable[[SeenRequest], None] | None = None
    request_ended: Callable[[SeenRequest], None] | None = None
    statement: Callable[[SeenStatement], AbstractContextManager[object]] | None = None
    delivery: Callable[[SeenDelivery], AbstractContextManager[object]] | None = None


def observer_problem(observer: Observer) -> str | None:
    """The error of an observer, as the end of a sentence; None when it is valid."""
    for name in Observer.__struct_fields__:
        function = getattr(observer, name)
        if function is None:
            continue
        if not callable(function):
            return f"has a {name} that is not a function"
        if is_asynchronous(function) is not (name in {"opened", "closed"}):
            wanted = "'async def'" if name in {"opened", "closed"} else "'def', without async"
            return f"has a {name} of the wrong kind; write it with {wanted}"
    return None


@contextmanager
def entered(functions: Sequence[Callable[[Any], AbstractContextManager[object]]], seen: object) -> Iterator[None]:
    """Enter the context managers of all observers; one that cannot be entered is logged and left out."""
    with ExitStack() as stack:
        for function in functions:
            try:
                stack.enter_context(function(seen))
            except Exception:  # an observer must not fail the work
                log.exception("an observer failed")
        yield
