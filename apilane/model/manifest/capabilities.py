"""What the running instance can do, as far as manifests must know it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

__all__ = ["Capabilities"]


class Capabilities(Struct, frozen=True, kw_only=True):
    """Made from the loaded drivers and plugins."""

    providers: frozenset[str]
    """Names of the installed drivers, as they spell them."""
    embedded: frozenset[str] = frozenset()
    """Those of ``providers`` whose database is a file that the house places."""
    enforces: frozenset[str] = frozenset()
    """Which of ``IPPolicy`` and ``RateLimit`` a loaded plugin enforces."""
    plugin_sections: Mapping[str, type[Any]] = {}
    """The Struct of each plugin's section under ``Plugins``, by plugin name."""
