"""Service endpoints on Litestar: banner, version, health (docs/reference/protocol/wire-api.md section 8). They need no
application token.
"""

from __future__ import annotations

import socket
from typing import Any

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from apilane.instance import Instance
from apilane.storage.errors import StorageError

__all__ = ["PATHS", "WIRE_VERSION", "service_pages"]

WIRE_VERSION = "8.7.0"
"""The version of the wire protocol that this server implements; clients check it."""
APPLICATION = "Apilane.Api"
PATHS = frozenset({"/", "/version", "/health/liveness", "/health/readiness"})


def service_pages(instance: Instance) -> list[HTTPRouteHandler]:
    """Banner, version and health."""

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
        # Clients expect the key "Portal"; it means the control store, where the definitions are stored.
        try:
            await instance.store.ping()
        except StorageError:
            entry = {"key": "Portal", "value": "Unhealthy", "details": "The control store does not answer"}
            return Response(health("Unhealthy", [entry]), status_code=503)
        entry = {"key": "Portal", "value": "Healthy", "details": "The control store answers"}
        return Response(health("Healthy", [entry]))

    return [banner, version, liveness, readiness]
