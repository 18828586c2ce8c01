"""What drivers with pooled sessions share: one session for each connection string, one limit, and what a fork means.

A driver names its provider and brings ``features``, ``dialect``, and how to make a session; see ``PooledDriver``.
"""

from __future__ import annotations

import weakref
from functools import cached_property
from importlib import metadata
from typing import ClassVar, Generic, TypeVar

from apilane.storage.forks import forget_in_children
from apilane.storage.pool import PoolGroup
from apilane.storage.pooled import PooledSession
from apilane.storage.protocol import Features

__all__ = ["PooledDriver"]

S = TypeVar("S", bound=PooledSession)


class PooledDriver(Generic[S]):
    """Addresses are connection strings. See ``apilane.storage.protocol.Driver``; what is declared here a driver sets.

    It also needs a ``dialect``, best a ``cached_property`` that imports what it is made of.

    ``connections``: of all sessions together, in this process; ``wait_s``: how long a caller waits for one; ``idle_s``:
    how long an unused one stays open. ``statement_timeout_s``: for each statement.
    """

    name: str
    features: Features
    client: ClassVar[str]
    """The client library's distribution."""
    extra: ClassVar[str]
    """What installs it: ``apilane[mysql]``."""

    def __init__(
        self, *, connections: int = 40, idle_s: float = 60.0, statement_timeout_s: float = 20.0, wait_s: float = 20.0
    ) -> None:
        self.statement_timeout_s = statement_timeout_s
        self._limits = (connections, wait_s, idle_s)
        self.group = PoolGroup(connections, wait_s=wait_s, idle_s=idle_s)
        self._sessions: weakref.WeakValueDictionary[str, S] = weakref.WeakValueDictionary()
        self._inherited: list[object] = []
        forget_in_children(self)

    def make_session(self, address: str) -> S:
        """A session of its own. Raises ConnectionRefused for a connection string that cannot be read."""
        raise NotImplementedError

    @cached_property
    def version(self) -> str:
        """Of the client library, or what installs it."""
        try:
            return f"{self.client} {metadata.version(self.client)}"
        except metadata.PackageNotFoundError:
            return f"needs {self.extra}"

    def session(self, address: str) -> S:
        """The session of a connection string; there is one for each."""
        session = self._sessions.get(address)
        if session is None:
            session = self._sessions[address] = self.make_session(address)
        return session

    async def close(self) -> None:
        """Finish what was accepted in every session, close all connections. Sessions may open again."""
        for session in list(self._sessions.values()):
            await session.close()

    def forget(self) -> None:
        """In a forked child: nothing the parent opened is used, and nothing closed, which would end its connections."""
        connections, wait_s, idle_s = self._limits
        self._inherited.append(self.group)
        self.group = PoolGroup(connections, wait_s=wait_s, idle_s=idle_s)
        self._inherited += [session.forget(self.group) for session in self._sessions.values()]
