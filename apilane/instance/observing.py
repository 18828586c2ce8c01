"""Tells observers that a process opens and closes, and gives them the trips of sessions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager

from apilane.dispatch import Hooks
from apilane.plugin.observers import ProcessView, SeenStatement, entered
from apilane.storage.observed import ObservedSession
from apilane.storage.protocol import Session

__all__ = ["around_statements", "closed", "opened"]

log = logging.getLogger("apilane.observers")


async def opened(hooks: Hooks, process: ProcessView) -> None:
    """Tell every observer that this process serves. A failure stops the start."""
    for observer in hooks.observers:
        if observer.opened is not None:
            await observer.opened(process)


async def closed(hooks: Hooks) -> None:
    """Tell every observer that this process ends."""
    for observer in hooks.observers:
        if observer.closed is not None:
            try:
                await observer.closed()
            except Exception:  # the process must close its databases
                log.exception("an observer of plugin %r failed while it closed", hooks.plugin_of(observer))


def around_statements(hooks: Hooks) -> Callable[[str, Session], Session] | None:
    """Makes an observed session from a provider's name and a session; None when no plugin observes statements."""
    functions = [observer.statement for observer in hooks.observers if observer.statement is not None]
    if not functions:
        return None

    def wrap(provider: str, session: Session) -> Session:
        def around(kind: str, text: str | None) -> AbstractContextManager[object]:
            return entered(functions, SeenStatement(kind, provider, text))

        return ObservedSession(session, around)

    return wrap
