"""Code that runs in child processes of the server: the check before the start, and the start of each worker."""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from apilane.errors import ConfigurationError
from apilane.settings import Settings
from apilane.storage.errors import StorageError

__all__ = ["EXPECTED_FAILURES", "RETIRE_SIGNAL", "check", "load", "preload"]

Application = Callable[[Any, Any, Any], Awaitable[None]]

EXPECTED_FAILURES = (ConfigurationError, StorageError)
"""Failures whose text is for the operator. Any other failure is a defect and shows its traceback."""

RETIRE_SIGNAL = signal.SIGUSR1
"""Tells a worker that it will be replaced."""

_STOPS = (signal.SIGINT, signal.SIGTERM)
PARENT_POLL_S = 0.5
TURNS_UNTIL_SERVING = 10
"""Turns of the event loop until it serves: its run for the start ends three turns after the application is ready."""

CHECK_END_S = 5.0
YOUNG_OBJECTS = 10_000
"""New objects between two collections of garbage. With the default of 700, collections took 6 % of a transaction of 10
Posts: dozens of requests that wait for the database hold thousands of objects."""

logger = logging.getLogger("apilane.server")


def preload(application: str) -> None:
    """Import the application in the parent when children are forked from it, so that each starts 0.6 s sooner.

    Only the core is imported: no plugin and no driver, and nothing is opened. ``check`` reports failures.
    """
    if multiprocessing.get_start_method() != "fork":
        return
    gc.disable()  # the import creates no garbage; saves a tenth of the time
    with suppress(Exception):
        importlib.import_module(application)
    gc.enable()
    gc.freeze()  # also avoids copies of memory pages in children, which a collection would write to


def check(
    settings: Settings,
    application: str,
    *,
    instance_id: str | None = None,
    meanwhile: Callable[[], object] | None = None,
) -> tuple[list[str], str]:
    """Initialise the instance in a separate child process; return the lines to show the operator, and its identity.

    ``instance_id``: the instance that must be there; the first start gives none and may create it.

    The child loads every plugin and driver and opens the control store, so that errors are reported before a worker
    starts. ``meanwhile`` runs in this process at the same time. Raises ``ConfigurationError``.
    """
    receiving, sending = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context().Process(
        target=_check, args=(settings, application, instance_id, sending), daemon=True
    )
    # A stop in the middle of the fork would leave a child that the parent does not know. The child unblocks them.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    try:
        child.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    sending.close()
    if meanwhile is not None:
        meanwhile()
    with receiving:
        try:
            lines, found, refusal = receiving.recv()
        except EOFError:
            child.join(CHECK_END_S)  # it is still printing the reason
            raise ConfigurationError("The instance cannot be initialised; the reason is above.") from None
    child.join()
    if refusal is not None:
        raise ConfigurationError(refusal)
    return list(lines), str(found)


def _check(settings: Settings, application: str, instance_id: str | None, sending: Connection) -> None:
    for signal_number in _STOPS:
        signal.signal(signal_number, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
    with sending:
        try:
            lines, found = asyncio.run(importlib.import_module(application).initialise(settings, instance_id))
        except EXPECTED_FAILURES as error:
            sending.send(([], "", str(error)))
        else:
            sending.send((lines, found, None))


def load(settings: Settings, application: str, parent: int, instance_id: str) -> Application:
    """The ASGI application of a worker of the process ``parent``. It is the first call in each worker.

    ``instance_id``: the instance to serve. A worker never creates one, because its folder may be gone for a while.
    """
    signal.signal(RETIRE_SIGNAL, signal.SIG_IGN)  # until the worker exists
    # The fork inherits the parent's handlers, which would ignore a SIGTERM until granian sets its own. SIGINT of a
    # terminal reaches the whole process group, but only the parent handles it.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP, signal.SIGTERM})
    threading.Thread(
        target=_follow_parent, args=(parent, settings.shutdown_timeout_s), name="parent-watch", daemon=True
    ).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # blocked by SupervisedWorker.start
    sys.setswitchinterval(0.0005)  # at the default of 5 ms, a second busy thread cost 10 ms per SQLite read
    try:
        worker = _Worker(importlib.import_module(application).create_app(settings, instance_id=instance_id))
    except EXPECTED_FAILURES as error:
        logger.error("%s", error)  # noqa: TRY400  the text is for the operator; a traceback does not help
        sys.exit(1)
    # All objects created up to here live as long as the worker. If they are collected, a full collection takes 100 ms:
    # p99 of Post with 32 connections was 113 ms.
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    signal.signal(RETIRE_SIGNAL, worker.retire)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # until the event loop serves
    return worker


class _Worker:
    """An application that can be retired: it then closes each connection with its next answer.

    A worker that ends closes kept-alive connections even while a request arrives. A client that got "connection: close"
    sends no further request on that connection. Measured with six workers replaced under full load (32 connections):
    without this class 56 requests failed, with it none of 171,898. It costs one Python call per request.
    """

    __slots__ = ("_application",)

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        if scope["type"] == "lifespan":
            return self._live(scope, receive, send)
        return self._application(scope, receive, send)

    async def _live(self, scope: Any, receive: Any, send: Any) -> None:
        """Run the lifespan, and let SIGTERM through when the event loop serves.

        granian runs the loop once for the start and once to serve; uvloop loses a signal that arrives in between.
        """

        async def send_answer(message: dict[str, Any]) -> None:
            await send(message)
            serving.append(asyncio.create_task(_unblock_stop()))

        serving: list[asyncio.Task[None]] = []
        await self._application(scope, receive, send_answer)

    def retire(self, *_signal: object) -> None:
        application = self._application

        async def closing(scope: Any, receive: Any, send: Any) -> None:
            async def send_closing(message: dict[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
                await send(message)

            await application(scope, receive, send_closing)

        self._application = closing


async def _unblock_stop() -> None:
    for _ in range(TURNS_UNTIL_SERVING):
        await asyncio.sleep(0)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _follow_parent(parent: int, grace_s: int) -> None:
    """End this worker when its parent has ended for any reason."""
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_s)
    os._exit(1)
