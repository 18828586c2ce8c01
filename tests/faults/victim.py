"""A server whose processes can be killed and limited one by one."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from apilane.testing.server import CHEAP_PASSWORDS, PATIENT, Server

__all__ = ["SETTINGS", "Victim", "wait_until"]

SETTINGS = {**CHEAP_PASSWORDS, **PATIENT, "definition_poll_s": 0.05}
ALIVE_TIMEOUT_S = 20.0
READY = "Apilane API: "
PROBES = 12
"""Number of new connections; enough that every worker gets one."""


def wait_until(holds: Callable[[], bool], what: str, timeout_s: float = ALIVE_TIMEOUT_S) -> float:
    """Seconds until the condition holds; AssertionError naming ``what`` when it does not hold in time."""
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < timeout_s, f"not within {timeout_s} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - begun


def _parents() -> Iterator[tuple[int, int]]:
    """Every living process with its parent."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if state not in "ZX":
                yield int(stat.parent.name), int(parent)


class Victim(Server):
    """``apilane serve``. Workers whose parent was killed end, and the next start waits for that."""

    def start(self) -> None:
        """Start, and wait until the supervisor and every worker are ready."""
        started = self.output().count(READY)
        super().start()
        wait_until(lambda: self.output().count(READY) > started, "the server is ready")
        assert all(self.answers() for _ in range(PROBES))

    @property
    def pid(self) -> int:
        """The supervisor."""
        assert self._process is not None
        return self._process.pid

    def workers(self) -> list[int]:
        """The living processes below the supervisor."""
        return sorted(child for child, parent in _parents() if parent == self.pid)

    def answers(self) -> bool:
        """Whether a new connection gets an answer now."""
        return self._status("/health/liveness") == 200

    def kill(self, *processes: int) -> None:
        """``kill -9``, in the order given."""
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if self.pid in processes:
            assert self._process is not None
            self._process.wait()
            self._process = None

    @contextmanager
    def limited(self, kind: int, soft: int) -> Iterator[None]:
        """Set a lower soft limit (``resource.RLIMIT_*``) for every worker, and restore the old one afterwards."""
        before = [(worker, resource.prlimit(worker, kind)) for worker in self.workers()]
        try:
            for worker, (_, hard) in before:
                resource.prlimit(worker, kind, (soft, hard))
            yield
        finally:
            for worker, limits in before:
                with suppress(ProcessLookupError):
                    resource.prlimit(worker, kind, limits)
