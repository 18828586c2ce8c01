"""Record handlers: functions of a plugin that run before and after changes of records
(``apilane_register_record_handlers``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from msgspec import Struct

from apilane.model.definition import Entity
from apilane.plugin.outbox import is_asynchronous, number_problem

if TYPE_CHECKING:
    from apilane.plugin.identity import Actor, ApplicationView

__all__ = [
    "ALL_ACTIONS",
    "RecordAction",
    "RecordChange",
    "RecordEvent",
    "RecordEvents",
    "RecordHandler",
    "events_problem",
    "record_handler_problem",
]

RecordAction = Literal["create", "update", "delete"]
"""The registration of an account is the ``create`` of a record of Users. Account/Update and ChangePassword are an
``update`` of one."""

ALL_ACTIONS: Final[frozenset[RecordAction]] = frozenset(("create", "update", "delete"))

UsedBy = Callable[["ApplicationView", Entity], bool]


class RecordChange(Protocol):
    """A change of records of one entity, for a handler."""

    application: ApplicationView
    actor: Actor
    """The caller, whose rules grant the change."""
    entity: str
    """Schema name."""
    action: RecordAction
    records: list[dict[str, Any]]
    """One for each record of the call, by property.

    Before: the values that the caller sent and may write, read as their types (dates as Unix milliseconds), and the
    ``ID`` of an update or delete. ``before`` may set, replace and remove values of properties, also of those that the
    caller may not write; not the ``ID``, nor other system properties that the caller may not write. In a transaction a
    value, or an ID, may be a reference to an earlier operation: a text such as ``$ref:order``. A value of a handler for
    a property that the caller may write under a condition must meet the condition.

    After: the same with the IDs of new records, without passwords, and without records that were not changed because
    they do not exist or the caller may not change them.
    """

    def add_message(self, kind: str, payload: object) -> None:
        """Before: store a message of the outbox in the unit of the change. Raises like ``OutboxUnit.add``."""
        ...


HandlerFunction = Callable[[RecordChange], Awaitable[None]]


class RecordHandler(Struct, frozen=True, kw_only=True):
    """Handles changes of records through the Data, Account and transaction calls; custom SQL has no handlers.

    ``before`` runs after the checks of the caller and of the values, and before the unit begins. It may change the
    records, whose values are then checked again; it may refuse with an ``ApilaneError``, which the caller gets. Any
    other error, and a time-out, refuses too. It should have no effect outside of the records and the messages, because
    the change may fail after it, and a call that is tried again runs it again. ``after`` runs after the commit, beside
    the answer: its failures are logged, and it does not run if the process ends; use the outbox for what must happen.
    Both are asynchronous, and may take ``timeout_s`` seconds.
    """

    entities: frozenset[str] | None = None
    """Schema names; None: every entity."""
    actions: frozenset[RecordAction] = ALL_ACTIONS
    used_by: UsedBy | None = None
    """Whether an entity of an application has this handler; asked once for each version of an application."""
    before: HandlerFunction | None = None
    after: HandlerFunction | None = None
    timeout_s: float = 5.0


class RecordEvent(Struct, frozen=True, kw_only=True):
    """The payload of a message about a changed record."""

    entity: str
    action: RecordAction
    id: int
    values: dict[str, Any] = {}
    """The written values by property, without passwords; empty for a delete."""


class RecordEvents(Struct, frozen=True, kw_only=True):
    """The changes that the core writes to the outbox for an ``OutboxHandler``: one ``RecordEvent`` for each record, in
    the unit of the change.
    """

    entities: frozenset[str] | None = None
    actions: frozenset[RecordAction] = ALL_ACTIONS
    used_by: UsedBy | None = None


def record_handler_problem(handler: RecordHandler) -> str | None:
    """The error of a handler, as the end of a sentence; None when it is valid."""
    for name in ("before", "after"):
        function = getattr(handler, name)
        if function is not None and not is_asynchronous(function):
            return f"has a {name} that is not an asynchronous function; write it with 'async def'"
    if handler.before is None and handler.after is None:
        return "has neither before nor after"
    return events_problem(handler) or number_problem(handler, "timeout_s")


def events_problem(events: RecordHandler | RecordEvents) -> str | None:
    """The error of the entities and actions of a handler; None when they are valid."""
    if events.entities is not None and not _are_texts(events.entities):
        return f"has the entities {events.entities!r}; expected a frozenset of names, or None for all"
    if not _are_texts(events.actions) or not events.actions or not events.actions <= ALL_ACTIONS:
        return f"has the actions {events.actions!r}; expected a frozenset of {', '.join(sorted(ALL_ACTIONS))}"
    return None


def _are_texts(value: object) -> bool:
    return isinstance(value, frozenset) and all(isinstance(each, str) for each in value)
