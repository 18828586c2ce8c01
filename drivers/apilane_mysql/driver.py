"""The MySQL driver: sessions by connection string, and the limit that their pools share."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib import metadata
from typing import Any, Final

from apilane.storage.pool import PoolGroup
from apilane.storage.protocol import Features
from apilane_mysql.address import read_address
from apilane_mysql.dialect import MySQLDialect
from apilane_mysql.session import MySQLSession

__all__ = ["MySQLDriver"]

FEATURES: Final = Features(
    embedded=False,
    exact_decimals=True,
    transactional_ddl=False,
    reads_after_failure=True,
    names_foreign_keys=True,
)


class MySQLDriver:
    """Addresses are connection strings. ``connections``: of all sessions together, in this process."""

    name = "MySQL"
    features = FEATURES

    def __init__(
        self, *, connections: int = 40, idle_s: float = 60.0, statement_timeout_s: float = 20.0, wait_s: float = 20.0
    ) -> None:
        self.dialect = MySQLDialect()
        self.statement_timeout_s = statement_timeout_s
        self._limits = (connections, wait_s, idle_s)
        self.group = PoolGroup(connections, wait_s=wait_s, idle_s=idle_s)
        self._sessions: weakref.WeakValueDictionary[str, MySQLSession] = weakref.WeakValueDictionary()
        self._inherited: list[object] = []
        os.register_at_fork(after_in_child=_forgetting(weakref.ref(self)))

    @cached_property
    def version(self) -> str:
        """Of the client library, or what installs it."""
        try:
            return f"asyncmy {metadata.version('asyncmy')}"
        except metadata.PackageNotFoundError:
            return "needs apilane[mysql]"

    def session(self, address: str, *, options: Mapping[str, Any] | None = None) -> MySQLSession:
        """The session of a connection string; there is one for each. ``options``: none."""
        if options:
            raise TypeError(f"MySQL sessions have no options, got {sorted(options)}")
        session = self._sessions.get(address)
        if session is None:
            session = self._sessions[address] = MySQLSession(self, read_address(address))
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
        self._inherited += [session.forget() for session in self._sessions.values()]


def _forgetting(driver: weakref.ref[MySQLDriver]) -> Callable[[], None]:
    """Hooks into fork stay for good, so this one must not keep the driver."""

    def forget() -> None:
        if (alive := driver()) is not None:
            alive.forget()

    return forget
