"""The process of the Portal and the management API beside the workers of the API: started, watched, stopped."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from multiprocessing.process import BaseProcess
from typing import Any, Final

from msgspec.structs import replace

from apilane.errors import ConfigurationError
from apilane.server.workers import check
from apilane.settings import Settings

__all__ = ["PortalProcess", "serve_portal"]

RESTART_WAIT_S: Final = 2.0
FAILURES: Final = 5
PARENT_POLL_S: Final = 0.5

log = logging.getLogger("apilane.server")


def serve_portal(settings: Settings, application: str, address: str, port: int, instance_id: str | None = None) -> None:
    """Serve the Portal in this process until a signal ends it. ``instance_id``: the instance that must be there."""
    settings = replace(settings, workers=1, portal_port=port)
    lines, found = check(settings, application, instance_id=instance_id)
    for line in lines:
        print(line, flush=True)  # noqa: T201  shown once to the operator, never logged
    from apilane.server.supervisor import Supervisor

    Supervisor(settings, application, address, port, found, name="Portal").run()


class PortalProcess:
    """``serve_portal`` in a child process. When it ends, it is started again; the API goes on meanwhile."""

    def __init__(self, settings: Settings, application: str, address: str, port: int, instance_id: str) -> None:
        self._arguments = (settings, application, address, port, instance_id)
        self._process: BaseProcess | None = None
        self._is_stopping = threading.Event()
        self._stop_timeout_s = settings.shutdown_timeout_s + 2

    def start(self) -> None:
        """Start the process and the thread that watches it."""
        self._spawn()
        threading.Thread(target=self._watch, name="portal-watch", daemon=True).start()

    def restart_workers(self) -> None:
        """Let the process replace its worker, as SIGHUP does for the API."""
        with suppress(OSError, TypeError):
            os.kill(self._process.pid, signal.SIGHUP)  # type: ignore[union-attr, arg-type]

    def stop(self) -> None:
        """End the process; it is killed when it takes too long."""
        self._is_stopping.set()
        process = self._process
        if process is None:
            return
        with suppress(OSError):
            process.terminate()
        process.join(self._stop_timeout_s)
        if process.is_alive():
            process.kill()
            process.join()

    def _spawn(self) -> None:
        process = multiprocessing.get_context().Process(target=_child, args=(os.getpid(), *self._arguments))
        process.start()
        self._process = process

    def _watch(self) -> None:
        for _ in range(FAILURES):
            process = self._process
            if process is None:
                return
            while process.is_alive() and not self._is_stopping.is_set():
                process.join(PARENT_POLL_S)
            if self._is_stopping.wait(RESTART_WAIT_S):
                return
            log.warning("The process of the Portal ended; starting it again")
            self._spawn()
        log.error("The Portal failed %d times; only the API is served", FAILURES)


def _child(parent: int, *arguments: Any) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, args=(parent,), name="parent-watch", daemon=True).start()
    try:
        serve_portal(*arguments)
    except ConfigurationError as error:
        print(f"Error: the Portal is not served: {error}", file=sys.stderr, flush=True)  # noqa: T201
        sys.exit(1)


def _follow_parent(parent: int) -> None:
    """End this process when its parent has ended for any reason."""
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_S)
    os.kill(os.getpid(), signal.SIGTERM)
