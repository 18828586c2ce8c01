"""Apilane for Python: a self-hosted, plugin-based application backend platform.

Plugins and embedding applications import the names in ``__all__`` from here. Each is loaded on first use, so that
``apilane.client`` does not import the server.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apilane.app import create_app
    from apilane.errors import ApilaneError, Code, ConfigurationError
    from apilane.litestar import Apilane, ApilanePlugin, UnknownApplication
    from apilane.plugin import Actor, hookimpl
    from apilane.settings import Settings, load_settings

__all__ = [
    "Actor",
    "Apilane",
    "ApilaneError",
    "ApilanePlugin",
    "Code",
    "ConfigurationError",
    "Settings",
    "UnknownApplication",
    "create_app",
    "hookimpl",
    "load_settings",
]

_HOMES = {
    "Actor": "apilane.plugin",
    "Apilane": "apilane.litestar",
    "ApilaneError": "apilane.errors",
    "ApilanePlugin": "apilane.litestar",
    "Code": "apilane.errors",
    "ConfigurationError": "apilane.errors",
    "Settings": "apilane.settings",
    "UnknownApplication": "apilane.litestar",
    "create_app": "apilane.app",
    "hookimpl": "apilane.plugin",
    "load_settings": "apilane.settings",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("apilane")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
