"""The parent of the workers: granian's server with Apilane's rules for failed workers, restarts and readiness."""

from __future__ import annotations

import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import wait
from typing import Any

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server
from granian.server.mp import WorkerProcess

from apilane.errors import ConfigurationError
from apilane.server.workers import RETIRE_SIGNAL, check, load
from apilane.settings import Settings

__all__ = ["Supervisor"]

FAILURES = 5
FAILURES_WINDOW_S = 60.0
"""More failed workers than this within the window end the server, because new workers do not solve the problem."""

FILES_OF_A_DATABASE = 6
"""Open files of one SQLite database that is read and written."""

RESTART_OVERLAP_S = 2.0
"""How long an old worker runs in parallel to its replacement. The replacement must answer by then."""

logger = logging.getLogger("apilane.server")


class SupervisedWorker(WorkerProcess):
    """A worker whose end is read from its sentinel.

    granian joins a process in two threads at once. For a moment the second thread is told that it
    runs, and granian then reports and kills a worker that has ended in time.
    """

    def start(self) -> None:
        """Start with SIGTERM blocked until ``load``; before that the child has the parent's handler and loses it."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            super().start()  # type: ignore[no-untyped-call]
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def is_alive(self) -> bool:
        """Whether the process has not ended."""
        return not wait([self.inner.sentinel], 0)

    def join(self, timeout: float | None = None) -> None:
        """Return when the process has ended, or after ``timeout`` seconds."""
        wait([self.inner.sentinel], timeout)


class Supervisor(Server):  # type: ignore[misc, valid-type]
    """A server on one address. It overrides three private methods of granian; ``tests/cli`` tests the calls.

    ``name``: in the line that is printed when it answers. ``restarted``: called before running workers are replaced.
    """

    def __init__(
        self,
        settings: Settings,
        application: str,
        address: str,
        port: int,
        instance_id: str,
        *,
        name: str = "API",
        restarted: Callable[[], object] | None = None,
    ) -> None:
        super().__init__(
            application,
            address=address,
            port=port,
            interface=Interfaces.ASGI,
            workers=settings.workers,
            loop=Loops.auto if sys.platform == "win32" else Loops.uvloop,
            http=HTTPModes.http1,
            websockets=False,
            backlog=settings.backlog,
            # This counts connections, not requests. With granian's default (backlog / workers), idle ones block new
            # clients.
            backpressure=held_connections(settings),
            http1_settings=HTTP1Settings(
                header_read_timeout=settings.idle_timeout_s * 1000, max_buffer_size=settings.head_max_bytes
            ),
            log_level=LogLevels.debug if settings.log_level == "debug" else LogLevels.warning,
            log_dictconfig=log_config(settings.log_level, settings.log_format),
            respawn_failed_workers=True,
            respawn_interval=RESTART_OVERLAP_S,
            workers_kill_timeout=settings.shutdown_timeout_s,
        )
        self._settings = settings
        self._instance_id = instance_id
        self._is_ready = False
        self._failures: deque[float] = deque()
        self._refusal: str | None = None
        self._name = name
        self._restarted = restarted

    def run(self) -> None:
        """Serve until a signal ends it; raises ``ConfigurationError`` when the workers cannot be kept alive."""
        loader = partial(load, self._settings, self.target, os.getpid(), self._instance_id)
        self.serve(target_loader=loader, wrap_loader=False)
        if self._refusal:
            raise ConfigurationError(self._refusal)

    def _spawn_workers(self, spawn_target: Callable[..., None], target_loader: Callable[..., Any]) -> None:
        super()._spawn_workers(spawn_target, target_loader)
        threading.Thread(target=self._announce, daemon=True).start()

    def _spawn_worker(self, *arguments: Any, **options: Any) -> WorkerProcess:
        worker: WorkerProcess = super()._spawn_worker(*arguments, **options)
        worker.__class__ = SupervisedWorker  # granian has no parameter for the class
        return worker

    def _respawn_workers(
        self,
        workers: Sequence[int],
        spawn_target: Callable[..., None],
        target_loader: Callable[..., Any],
        delay: float = 0,
    ) -> None:
        """Replace workers: failed ones up to ``FAILURES``, running ones (SIGHUP) only if new ones can start."""
        try:
            self._replace(workers, spawn_target, target_loader, delay)
        finally:
            if self.interrupt_signal or self.interrupt_children or self.reload_signal:
                # granian clears the event after reading the flags, so a signal in between would be lost.
                self.main_loop_interrupt.set()

    def _replace(
        self,
        workers: Sequence[int],
        spawn_target: Callable[..., None],
        target_loader: Callable[..., Any],
        delay: float,
    ) -> None:
        if any(not self.wrks[index].is_alive() for index in workers):
            self._refusal = self._beyond_repair(len(workers))
        else:
            logger.info("Restarting the workers one by one")
            try:
                check(self._settings, self.target, instance_id=self._instance_id)
            except ConfigurationError as error:
                logger.error("The workers are not restarted: %s", error)  # noqa: TRY400  the text is for the operator
                return
        if self._refusal:
            self.signal_handler_interrupt()
            return
        if self._restarted is not None and all(self.wrks[index].is_alive() for index in workers):
            self._restarted()
        for index in workers:
            if not self.interrupt_signal:
                if self.wrks[index].is_alive():
                    os.kill(self.wrks[index].inner.pid, RETIRE_SIGNAL)
                super()._respawn_workers([index], spawn_target, target_loader, delay)
        self.respawned_wrks.clear()  # granian's rule would end the server after two failures within 5.5 s
        logger.info("Workers running: %d", len(self.wrks))

    def _beyond_repair(self, failed: int) -> str | None:
        now = time.monotonic()
        self._failures.extend([now] * failed)
        while self._failures[0] < now - FAILURES_WINDOW_S:
            self._failures.popleft()
        if not self._is_ready:
            return "A worker ended before it could answer; the reason is above."
        if len(self._failures) > FAILURES:
            return f"{len(self._failures)} workers failed within {FAILURES_WINDOW_S:.0f} s; the reasons are above."
        logger.warning("Replacing a failed worker")
        return None

    def _announce(self) -> None:
        """Print the URL once a request is answered."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.bind_addr, self.bind_addr)  # noqa: S104  reads only
        while not self.interrupt_signal:
            try:
                with socket.create_connection((host, self.bind_port), timeout=5) as connection:
                    connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    if connection.recv(5) == b"HTTP/":
                        break
            except OSError:
                pass
            time.sleep(0.05)
        else:
            return
        self._is_ready = True
        print(f"Apilane {self._name}: http://{self._bind_addr_fmt}", flush=True)  # noqa: T201  the answer of the command


def held_connections(settings: Settings) -> int:
    """The most connections of a worker: the setting, reduced so that enough open files are left for databases."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return settings.connections
    held = min(settings.connections, max(files // 2, files - FILES_OF_A_DATABASE * settings.open_databases - 100))
    if held < settings.connections:
        logger.warning(
            "Workers hold %d connections instead of %d, as a process may open only %d files (RLIMIT_NOFILE)",
            *(held, settings.connections, files),
        )
    return held


def log_config(level: str, form: str) -> dict[str, Any]:
    """Logging of parent and workers: every line goes to stderr, lines of granian only from level WARNING."""
    formatter = {"text": "apilane.logs.TextFormatter", "json": "apilane.logs.JsonFormatter"}[form]
    return {
        "formatters": {"line": {"()": formatter}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "formatter": "line"},
        },
        "loggers": {
            "": {"handlers": ["stderr"], "level": "WARNING"},
            "apilane": {"level": level.upper()},
            "apilane.access": {"level": "INFO"},
            "_granian": {"level": "WARNING"},
        },
    }
