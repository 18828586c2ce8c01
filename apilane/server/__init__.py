"""``apilane serve``: one supervised server of worker processes under granian.

The parent opens no database and imports no plugin: workers are forked from it before Python 3.14, and on SIGHUP they
must read plugins anew. A new version of the core needs a restart. The application itself is plain ASGI and runs under
any other server too (``apilane.asgi``).
"""

from __future__ import annotations

import resource
from importlib import import_module

from apilane.errors import ConfigurationError
from apilane.server.claims import claim_data_dir, free_port, resolve
from apilane.server.workers import check, preload
from apilane.settings import Settings

__all__ = ["serve"]

FILES_WANTED = 65_536


def serve(settings: Settings, *, application: str = "apilane.app") -> None:
    """Run the API server of this data dir until SIGTERM or SIGINT.

    ``application``: the module that offers ``create_app(settings)`` and ``async initialise(settings) -> lines``. Raises
    ``ConfigurationError`` when it cannot start or its workers keep failing.
    """
    if settings.role == "portal":
        raise ConfigurationError(
            "The Portal is not part of this release; use '--role api' (or 'all'), which serves the API."
        )
    _raise_file_limit()
    address = resolve(settings.host)
    with claim_data_dir(settings.data_dir, "api"):
        port = free_port(address, settings.port)
        preload(application)
        lines = check(settings, application, meanwhile=lambda: import_module("apilane.server.supervisor"))
        for line in lines:
            print(line, flush=True)  # noqa: T201  shown once to the operator, never logged
        from apilane.server.supervisor import Supervisor

        Supervisor(settings, application, address, port).run()


def _raise_file_limit() -> None:
    """Connections and databases are files, and the usual soft limit of 1024 is soon reached; the hard one is higher."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, FILES_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
