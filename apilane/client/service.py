"""Calls to the server itself, not to an application (``docs/reference/protocol/wire-api.md`` section 8)."""

from __future__ import annotations

from typing import Any

import httpx

from apilane.client.call import Call, read_json

__all__ = ["health", "version"]


def version() -> Call[str]:
    """The version of the server's wire protocol, such as ``8.7.0``."""
    return Call("GET", "/Version", _read_version, repeatable=True)


def _read_version(response: httpx.Response) -> str:
    text: str = read_json(dict)(response)["Version"]
    return text


def health() -> Call[dict[str, Any]]:
    """``Status``, ``Version`` and other values of a running server."""
    return Call("GET", "/Health/Liveness", read_json(dict), repeatable=True)
