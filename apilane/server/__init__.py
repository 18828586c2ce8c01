"""``apilane serve``: a parent process that supervises worker processes, based on granian.

The parent opens no database and imports no plugin: before Python 3.14 workers are forked from it, and on SIGHUP new
workers must import the current plugins. A new version of the core needs a restart. The application is plain ASGI and
runs under other servers too (``apilane.asgi``).
"""

from __future__ import annotations

import resource
import signal
import sys
import threading
from contextlib import ExitStack
from importlib import import_module

from apilane.server.claims import claim_data_dir, free_port, resolve
from apilane.server.portal import PortalProcess, serve_portal
from apilane.server.workers import RETIRE_SIGNAL, check, preload
from apilane.settings import Settings, portal_port

__all__ = ["serve"]

FILES_WANTED = 65_536


def serve(settings: Settings, *, application: str = "apilane.app", portal: str | None = "apilane.manage.app") -> None:
    """Run the servers of this data dir that ``settings.role`` names, until SIGTERM or SIGINT.

    ``portal``: the module of the Portal's process; None: it is not started.

    ``application``: the module with ``create_app(settings, instance_id=...)`` and ``async initialise(settings,
    instance_id)``, which returns lines for the operator and the identity of the instance. Raises
    ``ConfigurationError`` when the server cannot start or its workers keep failing.
    """
    _set_first_signals()
    _raise_file_limit()
    address = resolve(settings.host)
    with ExitStack() as claims:
        beside = port = None
        if settings.role != "portal":
            claims.enter_context(claim_data_dir(settings.data_dir, "api"))
            port = free_port(address, settings.port)
        if settings.role != "api" and portal is not None:
            claims.enter_context(claim_data_dir(settings.data_dir, "portal"))
            beside = free_port(address, portal_port(settings), option="--portal-port")
        if port is None:
            if portal is not None and beside is not None:
                serve_portal(settings, portal, address, beside)
            return
        preload(application)
        lines, instance_id = check(settings, application, meanwhile=lambda: import_module("apilane.server.supervisor"))
        for line in lines:
            print(line, flush=True)  # noqa: T201  shown once to the operator, never logged
        from apilane.server.supervisor import Supervisor

        if portal is None or beside is None:
            Supervisor(settings, application, address, port, instance_id).run()
            return
        process = PortalProcess(settings, portal, address, beside, instance_id)
        process.start()
        try:
            Supervisor(settings, application, address, port, instance_id, restarted=process.restart_workers).run()
        finally:
            process.stop()


def _set_first_signals() -> None:
    """Handle signals until granian does: SIGHUP has nothing to restart yet, and a stop also ends the child that checks.

    The signal that retires a worker is ignored from the start, because a worker inherits that until it handles it.
    """
    if threading.current_thread() is not threading.main_thread():
        return  # signals can be handled in the main thread only
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(RETIRE_SIGNAL, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def _raise_file_limit() -> None:
    """Raise the soft limit of open files, usually 1024, towards the hard limit: connections and databases are files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, FILES_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
