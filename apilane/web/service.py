"""Service endpoints on Litestar: banner, version, health (docs/reference/protocol/wire-api.md section 8). They need no
application token.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

from litestar import Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.types import Method

from apilane.instance import Instance
from apilane.instance.health import Part
from apilane.instance.places import why_not_writable
from apilane.storage.errors import StorageError

__all__ = ["PATHS", "WIRE_VERSION", "service_pages"]

WIRE_VERSION = "8.7.0"
"""The version of the wire protocol that this server implements; clients check it."""
APPLICATION = "Apilane.Api"
READS: Sequence[Method] = ["GET", "HEAD"]
PATHS = frozenset({"/", "/version", "/health/liveness", "/health/readiness"})


def service_pages(instance: Instance) -> list[HTTPRouteHandler]:
    """Banner, version and health."""

    def health(status: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "Status": status,
            "Application": APPLICATION,
            "Version": WIRE_VERSION,
            "Source": socket.gethostname(),
            "Entries": entries,
        }

    @route("/", http_method=READS, media_type="text/plain", sync_to_thread=False)
    def banner() -> str:
        return f"Apilane API {WIRE_VERSION}"

    @route("/version", http_method=READS, sync_to_thread=False)
    def version() -> dict[str, str]:
        return {"Version": WIRE_VERSION}

    @route("/health/liveness", http_method=READS, sync_to_thread=False)
    def liveness() -> dict[str, Any]:
        return health("Healthy", [])

    @route("/health/readiness", http_method=READS)
    async def readiness() -> Response[dict[str, Any]]:
        # Clients expect the key "Portal"; it stands for the control store, where the definitions are stored.
        parts = [await control_store()]
        reason = await asyncio.to_thread(why_not_writable, instance.settings.data_dir)
        if reason is not None:
            parts.append(Part("DataFolder", "Unhealthy", f"The data folder cannot be written: {reason}"))
        if instance.health is not None and instance.is_open:
            parts += await instance.health.parts()
        states = {part.state for part in parts}
        entries = [
            {"key": part.key, "value": part.state, "details": part.details, "age_s": round(part.age_s, 1)}
            for part in parts
        ]
        if "Unhealthy" in states:
            return Response(health("Unhealthy", entries), status_code=503)
        return Response(health("Degraded" if "Degraded" in states else "Healthy", entries))

    async def control_store() -> Part:
        if not instance.check_place():
            return Part("Portal", "Unhealthy", "The control store is not in its place")
        try:
            await instance.store.ping()
        except StorageError:
            return Part("Portal", "Unhealthy", "The control store does not answer")
        return Part("Portal", "Healthy", "The control store answers")

    return [banner, version, liveness, readiness]
