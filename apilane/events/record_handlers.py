"""Record handlers at work: which of them an entity has, their time limits, and their failures."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from msgspec import Struct

from apilane.dispatch import Hooks
from apilane.errors import ApilaneError, Code
from apilane.events.outbox import ApplicationOutbox
from apilane.model.definition import Entity
from apilane.plugin.identity import Actor, ApplicationView
from apilane.plugin.outbox import OutboxHandler
from apilane.plugin.records import RecordAction, RecordEvents, RecordHandler
from apilane.storage.errors import MissingObject, Unavailable
from apilane.storage.protocol import Step

__all__ = ["ApplicationHandlers", "Change", "HandlerPlan", "RecordHandlers"]

AFTER_AT_ONCE: Final = 32
"""After-handlers that a process runs at a time."""
END_S: Final = 5.0
"""Time that after-handlers have to end when the process ends."""

log = logging.getLogger("apilane.records")


class HandlerPlan(Struct, frozen=True):
    """The handlers of one action on one entity. ``kinds``: of messages about each changed record."""

    before: tuple[RecordHandler, ...]
    after: tuple[RecordHandler, ...]
    kinds: tuple[str, ...]


class Change:
    """An ``apilane.plugin.RecordChange``. ``steps``: the messages that handlers have added. ``is_stored``: it is
    committed, so that no message can be added to its unit.
    """

    def __init__(
        self,
        application: ApplicationView,
        outbox: ApplicationOutbox,
        actor: Actor,
        entity: str,
        action: RecordAction,
        *,
        records: list[dict[str, Any]],
        is_stored: bool = False,
    ) -> None:
        self.application = application
        self.actor = actor
        self.entity = entity
        self.action: RecordAction = action
        self.records = records
        self.steps: list[Step] = []
        self._is_stored = is_stored
        self._outbox = outbox

    def add_message(self, kind: str, payload: object) -> None:
        """Store a message in the unit of the change."""
        if self._is_stored:
            raise RuntimeError("the change is stored already; use application.outbox.send, or add the message before")
        self.steps.append(self._outbox.adding_step(kind, payload))


class RecordHandlers:
    """The handlers of all plugins, in plugin order, and the outbox handlers that want to know of changes."""

    def __init__(self, hooks: Hooks) -> None:
        self.handlers = hooks.record_handlers
        self.listeners: tuple[tuple[OutboxHandler, RecordEvents], ...] = tuple(
            (handler, events) for handler in hooks.outbox_handlers for events in handler.events
        )
        self._plugin_of = hooks.plugin_of
        self._after: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(AFTER_AT_ONCE)

    def of(self, application: ApplicationView) -> ApplicationHandlers | None:
        """The handlers of one version of an application; None when no entity has any."""
        if not self.handlers and not self.listeners:
            return None
        made = ApplicationHandlers(self, application)
        return made if made.has_any() else None

    async def run_before(self, plan: HandlerPlan, change: Change, check: Callable[[], str | None]) -> None:
        """Run the before-handlers. ``check``: what is wrong with the records, asked after each handler.

        Raises the handler's ApilaneError, or ERROR with a reference to the log when a handler fails.
        """
        for handler in plan.before:
            assert handler.before is not None  # noqa: S101 - the plan has checked it
            limit = asyncio.timeout(handler.timeout_s)
            try:
                async with limit:
                    returned: object = await handler.before(change)  # type: ignore[func-returns-value]
            except (ApilaneError, Unavailable, MissingObject):
                raise
            except (Exception, SystemExit) as error:
                what = f"did not end within {handler.timeout_s:g} s" if limit.expired() else "failed"
                raise self._refusal(handler, change, what, error) from error
            if returned is not None:
                what = f"returned {type(returned).__name__}; expected None, and changes made in the records"
                raise self._refusal(handler, change, what)
            problem = check()
            if problem is not None:
                raise self._refusal(handler, change, problem)

    def _refusal(
        self, handler: RecordHandler, change: Change, what: str, error: BaseException | None = None
    ) -> ApilaneError:
        reference = secrets.token_hex(4)
        log.error(
            "failure %s in application %s: the record handler of plugin %r before %s of %s %s",
            *(reference, change.application.token, self._plugin_of(handler), change.action, change.entity, what),
            exc_info=error,
        )
        text = f"Something went wrong: a plugin could not handle the change (reference {reference})"
        return ApilaneError(Code.ERROR, text, entity=change.entity)

    def run_after(self, plan: HandlerPlan, change: Change) -> None:
        """Start the after-handlers; the caller does not wait for them."""
        if plan.after and change.records:
            task = asyncio.get_running_loop().create_task(self._run_after(plan, change), name="apilane-after")
            self._after.add(task)
            task.add_done_callback(self._after.discard)

    async def _run_after(self, plan: HandlerPlan, change: Change) -> None:
        for handler in plan.after:
            assert handler.after is not None  # noqa: S101 - the plan has checked it
            limit = asyncio.timeout(handler.timeout_s)
            try:
                async with self._slots, limit:
                    await handler.after(change)
            except (Exception, SystemExit) as error:
                what = f"did not end within {handler.timeout_s:g} s" if limit.expired() else "failed"
                log.error(  # noqa: TRY400 - the traceback is given
                    "application %s: the record handler of plugin %r after %s of %s %s",
                    *(change.application.token, self._plugin_of(handler), change.action, change.entity, what),
                    exc_info=error,
                )

    async def end(self) -> None:
        """Wait for the after-handlers, a few seconds at most."""
        if self._after:
            _, late = await asyncio.wait(self._after, timeout=END_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


class ApplicationHandlers:
    """The handlers of one version of an application."""

    def __init__(self, all: RecordHandlers, application: ApplicationView) -> None:
        self.all = all
        self._application = application
        self._plans: dict[tuple[str, RecordAction], HandlerPlan | None] = {}

    def plan(self, entity: Entity, action: RecordAction) -> HandlerPlan | None:
        """The handlers of an action on an entity; None when there are none."""
        key = entity.name, action
        if key not in self._plans:
            self._plans[key] = self._make(entity, action)
        return self._plans[key]

    def has_any(self) -> bool:
        """Whether any entity has a handler."""
        entities = self._application.definition.entities
        actions: tuple[RecordAction, ...] = ("create", "update", "delete")
        return any(self.plan(entity, action) is not None for entity in entities for action in actions)

    def _make(self, entity: Entity, action: RecordAction) -> HandlerPlan | None:
        concerns = partial(self._concerns, entity, action)
        handlers = tuple(each for each in self.all.handlers if concerns(each))
        kinds = [handler.kind for handler, events in self.all.listeners if concerns(events)]
        if not handlers and not kinds:
            return None
        return HandlerPlan(
            tuple(each for each in handlers if each.before is not None),
            tuple(each for each in handlers if each.after is not None),
            tuple(dict.fromkeys(kinds)),
        )

    def _concerns(self, entity: Entity, action: RecordAction, of: RecordHandler | RecordEvents) -> bool:
        if action not in of.actions or (of.entities is not None and not _has(of.entities, entity.name)):
            return False
        return of.used_by is None or of.used_by(self._application, entity)


def _has(names: Sequence[str] | frozenset[str], name: str) -> bool:
    return any(each.lower() == name.lower() for each in names)
