"""The outbox: messages that are stored with the change that causes them, and delivered at least once
(``apilane_register_outbox_handlers``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec import Struct

from apilane.storage.protocol import Result, Step

if TYPE_CHECKING:
    from apilane.plugin.identity import ApplicationView
    from apilane.plugin.records import RecordEvents

__all__ = [
    "Outbox",
    "OutboxHandler",
    "OutboxMessage",
    "OutboxUnit",
    "PermanentFailure",
    "RetryLater",
    "outbox_handler_problem",
]

NAME_MAX: Final = 100


class PermanentFailure(Exception):
    """Raised by ``deliver``: another attempt would fail too. The message is kept for the operator, with this text."""


class RetryLater(Exception):
    """Raised by ``deliver``: try again after ``after_s`` seconds, as the other side asked. It counts as an attempt."""

    def __init__(self, after_s: float, text: str = "") -> None:
        super().__init__(text or f"the other side asked to try again after {after_s:.0f} s")
        self.after_s = after_s


class OutboxMessage(Struct, frozen=True, kw_only=True):
    """One message for ``deliver``."""

    id: int
    """Row of the outbox, as ``apilane outbox list`` shows it."""
    key: str
    """Unique among all messages, and the same in every attempt: the other side may use it to detect repetitions."""
    kind: str
    payload: Any
    """Of the type that the handler declares."""
    attempt: int
    """1 for the first attempt."""
    created: int
    """Unix milliseconds."""

    def __repr__(self) -> str:
        return f"OutboxMessage(id={self.id}, kind={self.kind!r}, attempt={self.attempt})"


Deliver = Callable[[OutboxMessage, "ApplicationView"], Awaitable[None]]


class OutboxHandler(Struct, frozen=True, kw_only=True):
    """Delivers the messages of one kind.

    ``deliver`` is an asynchronous function of a message and its application. When it returns, the message is delivered
    and deleted. ``PermanentFailure`` ends the attempts. After any other error, and after ``timeout_s`` seconds, the
    message is tried again: first after ``first_retry_s`` seconds, then after about twice as long each time, at most
    ``longest_retry_s``. After ``attempts_max`` attempts it is kept for the operator.

    A message is delivered at least once: it comes again when the process ends during the delivery. Messages have no
    order. The application may be delivering several messages at a time.
    """

    kind: str
    """100 characters at most, unique among all plugins."""
    deliver: Deliver
    payload: Any = Any
    """The type of payloads: anything that msgspec decodes from JSON, such as a Struct."""
    events: tuple[RecordEvents, ...] = ()
    """Changes of records that the core writes to the outbox as such messages; ``payload`` is ``RecordEvent``."""
    timeout_s: float = 60.0
    attempts_max: int = 20
    first_retry_s: float = 10.0
    longest_retry_s: float = 3600.0

    @property
    def name(self) -> str:
        """The kind."""
        return self.kind


class OutboxUnit(Protocol):
    """Adds messages within a unit."""

    def add(self, kind: str, payload: object) -> Generator[Step, Result, None]:
        """The steps that store a message; a unit yields them: ``yield from outbox.add("mail", letter)``.

        ``payload``: anything that msgspec encodes to JSON, at most 1 MB; it is stored encrypted. Raises LookupError
        for a kind without a handler, and ValueError for a payload that cannot be stored.
        """
        ...


class Outbox(Protocol):
    """The outbox of one application."""

    def adding(self) -> AbstractAsyncContextManager[OutboxUnit]:
        """``async with application.outbox.adding() as outbox``: run a unit inside that adds messages.

        It marks the application in the control store, so that messages are delivered also when this process ends, and
        starts the delivery at the end. The unit must begin within ten minutes. Raises StorageError.
        """
        ...

    async def send(self, kind: str, payload: object) -> None:
        """Store one message in a unit of its own, and start its delivery. Raises like ``OutboxUnit.add``."""
        ...


def outbox_handler_problem(handler: OutboxHandler) -> str | None:
    """The error of a handler, as the end of a sentence; None when it is valid."""
    if not is_name(handler.kind):
        return f"has the kind {handler.kind!r}; expected a text of 1 to {NAME_MAX} characters"
    if not is_asynchronous(handler.deliver):
        return "has a deliver that is not an asynchronous function; write it with 'async def'"
    return number_problem(handler, "timeout_s", "attempts_max", "first_retry_s", "longest_retry_s")


def is_name(value: object) -> bool:
    """Whether the value is a text that fits the columns of names."""
    return isinstance(value, str) and 0 < len(value) <= NAME_MAX and value.isprintable()


def number_problem(item: object, *fields: str) -> str | None:
    """The first of these fields that is no number above 0, as the end of a sentence."""
    for name in fields:
        value = getattr(item, name)
        if not isinstance(value, (int, float)) or not value > 0:
            return f"has {name} {value!r}; expected a number above 0"
    return None


def is_asynchronous(function: object) -> bool:
    """Whether a function, or an object that is called, is written with ``async def``."""
    return iscoroutinefunction(function) or iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
