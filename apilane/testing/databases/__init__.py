"""Database servers for tests: one for each kind and test run, found, started and stopped automatically.

The order of the search: a URL in ``APILANE_TEST_<KIND>_URL``; a container, where Docker runs; a server binary of this
machine in a temporary folder (``local``).

The drivers create databases on these servers (``provision.py``).
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

__all__ = ["KINDS", "NoServerError", "SharedServers"]

KINDS: Final = ("mysql", "mariadb", "postgresql", "sqlserver")
"""Kinds of servers. ``mysql`` is MySQL or MariaDB, the first that is found."""


class NoServerError(Exception):
    """There is no such server. The message says what was tried and what to do."""


class SharedServers:
    """The servers of one test run, shared by its processes through ``folder``, which exists.

    The first process that needs a server starts it. It stops when the last process that uses it ends, even after a
    kill. ``environ`` may name servers that run already.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str] = os.environ) -> None:
        self._folder = folder
        self._environ = environ
        self._known: dict[str, str | NoServerError] = {}
        self._locks: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the servers; this process does not use them afterwards."""
        for lock in self._locks:
            os.close(lock)
        self._locks.clear()
        self._known.clear()

    def url(self, kind: str) -> str:
        """``scheme://user:password@host:port/database`` of an account that creates databases. Raises NoServerError."""
        if kind not in KINDS:
            raise ValueError(f"no kind of server: {kind!r} (there are {', '.join(KINDS)})")
        if kind not in self._known:
            try:
                self._known[kind] = self._environ.get(f"APILANE_TEST_{kind.upper()}_URL") or self._shared(kind)
            except NoServerError as error:
                self._known[kind] = error
        known = self._known[kind]
        if isinstance(known, NoServerError):
            raise known
        return known

    def _shared(self, kind: str) -> str:
        """The URL that another process of the run has stored, or that of a server started now."""
        turn = _lock(self._folder / f"{kind}.turn", fcntl.LOCK_EX)
        try:
            use = _lock(self._folder / f"{kind}.users", fcntl.LOCK_SH)  # waits until a stopping server has stopped
            self._locks.append(use)
            place = self._folder / f"{kind}.url"
            if not place.exists():
                place.write_text(_started(kind, self._folder))
            return place.read_text()
        finally:
            os.close(turn)


def _lock(path: Path, how: int) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, how)
    return descriptor


def _started(kind: str, folder: Path) -> str:
    """Start a server in a keeper, a separate process, because this process may end before other users of the server."""
    with (folder / f"{kind}.log").open("ab") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "apilane.testing.databases.keeper", kind, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    assert keeper.stdout is not None
    with keeper.stdout as answers:
        line = answers.readline()
    keeper.returncode = 0  # it runs longer than this process, which does not wait for it
    answer: dict[str, str] = json.loads(line) if line else {"reason": f"its keeper died, see {folder / f'{kind}.log'}"}
    if "reason" in answer:
        raise NoServerError(f"no {kind} server: {answer['reason']}")
    return answer["url"]
