"""The common part of drivers with pooled sessions: one session for each connection string, one limit, and forks.

A driver sets the name of its provider, ``features`` and ``dialect``, and makes sessions; see ``PooledDriver``.
"""

from __future__ import annotations

import weakref
from functools import cached_property, partial
from importlib import metadata
from typing import ClassVar, Generic, TypeVar

from apilane.storage.forks import forget_in_children
from apilane.storage.limits import TimeLimits, share_of
from apilane.storage.pool import PoolGroup
from apilane.storage.pooled import PooledSession
from apilane.storage.protocol import Features, Load

__all__ = ["PooledDriver"]

S = TypeVar("S", bound=PooledSession)


class PooledDriver(Generic[S]):
    """The base of a driver whose addresses are connection strings. See ``apilane.storage.protocol.Driver``; a driver
    sets the attributes declared here.

    It also needs a ``dialect``, preferably a ``cached_property`` that imports its modules.

    ``connections``: limit for all sessions of this process, of which one session may have three quarters; ``wait_s``:
    how long a caller waits for a connection; ``idle_s``: how long an unused one stays open; ``statement_timeout_s``:
    limit for a call with all its statements and attempts. A single statement ends a little earlier.
    """

    name: str
    features: Features
    client: ClassVar[str]
    """The distribution name of the client library."""
    extra: ClassVar[str]
    """The requirement that installs the client library: ``apilane[mysql]``."""

    def __init__(
        self, *, connections: int = 40, idle_s: float = 60.0, statement_timeout_s: float = 20.0, wait_s: float = 20.0
    ) -> None:
        self.limits = TimeLimits.of(statement_timeout_s)
        self._make_group = partial(PoolGroup, connections, share=share_of(connections), wait_s=wait_s, idle_s=idle_s)
        self.group = self._make_group()
        self._sessions: weakref.WeakValueDictionary[str, S] = weakref.WeakValueDictionary()
        self._inherited: list[object] = []
        forget_in_children(self)

    def make_session(self, address: str) -> S:
        """A new session. Raises ConnectionRefused for an unreadable connection string."""
        raise NotImplementedError

    @cached_property
    def version(self) -> str:
        """The version of the client library, or the requirement that installs it."""
        try:
            return f"{self.client} {metadata.version(self.client)}"
        except metadata.PackageNotFoundError:
            return f"needs {self.extra}"

    def session(self, address: str) -> S:
        """The session of a connection string; there is one for each string."""
        session = self._sessions.get(address)
        if session is None:
            session = self._sessions[address] = self.make_session(address)
        return session

    def load(self) -> Load:
        """The connections of all sessions."""
        return self.group.load()

    async def close(self) -> None:
        """Finish accepted work in every session and close all connections. Sessions may open again."""
        for session in list(self._sessions.values()):
            await session.close()

    def forget(self) -> None:
        """Called in a forked child: the connections of the parent are neither used nor closed, which would end them for
        the parent.
        """
        self._inherited.append(self.group)
        self.group = self._make_group()
        self._inherited += [session.forget(self.group) for session in self._sessions.values()]
