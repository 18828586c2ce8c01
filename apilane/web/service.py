"""Service endpoints on Litestar: banner, version, health (wire-api.md section 8). They need no application token."""

from __future__ import annotations

import logging
import socket
from typing import Any

from litestar import Litestar, Request, Response, get
from litestar.config.cors import CORSConfig
from litestar.exceptions import HTTPException
from litestar.plugins import PluginProtocol

from apilane.errors import ApilaneError, Code
from apilane.instance import Instance
from apilane.storage.errors import StorageError

__all__ = ["PATHS", "WIRE_VERSION", "service_app"]

WIRE_VERSION = "8.7.0"
"""The protocol this server speaks, which is what clients ask for."""
APPLICATION = "Apilane.Api"
log = logging.getLogger("apilane.web")
PATHS = frozenset({"/", "/version", "/health/liveness", "/health/readiness"})


def _on_error(_request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status >= 500:
        log.error("unexpected failure behind the wire calls", exc_info=error)
    answer = ApilaneError(Code.NOT_FOUND if status == 404 else Code.ERROR, status=status)
    return Response(answer.body(), status_code=status, media_type="application/json; charset=utf-8")


class _Service(Litestar):
    """Without the plugins that Litestar adds where pydantic is installed: they cost each worker 0.2 s and 9 MB."""

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        return plugins


def service_app(instance: Instance) -> Litestar:
    """What stands behind the wire calls."""

    def health(status: str, entries: list[dict[str, str]]) -> dict[str, Any]:
        return {
            "Status": status,
            "Application": APPLICATION,
            "Version": WIRE_VERSION,
            "Source": socket.gethostname(),
            "Entries": entries,
        }

    @get("/", media_type="text/plain", sync_to_thread=False)
    def banner() -> str:
        return f"Apilane API {WIRE_VERSION}"

    @get("/version", sync_to_thread=False)
    def version() -> dict[str, str]:
        return {"Version": WIRE_VERSION}

    @get("/health/liveness", sync_to_thread=False)
    def liveness() -> dict[str, Any]:
        return health("Healthy", [])

    @get("/health/readiness")
    async def readiness() -> Response[dict[str, Any]]:
        # The control store is what the Portal was to the original: the place definitions come from.
        try:
            await instance.store.ping()
        except StorageError:
            entry = {"key": "Portal", "value": "Unhealthy", "details": "The control store does not answer"}
            return Response(health("Unhealthy", [entry]), status_code=503)
        entry = {"key": "Portal", "value": "Healthy", "details": "The control store answers"}
        return Response(health("Healthy", [entry]))

    return _Service(
        [banner, version, liveness, readiness],
        cors_config=CORSConfig(),  # any origin: browsers ask for liveness too
        openapi_config=None,
        logging_config=None,
        exception_handlers={Exception: _on_error, HTTPException: _on_error},
    )
