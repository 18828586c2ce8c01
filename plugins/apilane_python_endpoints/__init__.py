"""Custom endpoints of the kind ``python``: functions of plugins, named by the manifest.

It uses the hooks ``apilane_register_functions`` (of other plugins) and ``apilane_register_endpoint_kinds``.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from apilane.plugin import EndpointFunction, PluginSettings, hookimpl
from apilane_python_endpoints.kind import PythonKind

__all__ = ["apilane_register_endpoint_kinds", "apilane_register_settings"]


class PythonEndpoints(Struct, frozen=True, kw_only=True):
    """Settings of the plugin."""

    threads: int = 4
    """Functions without ``async`` that run at the same time in one worker."""


@hookimpl
def apilane_register_settings() -> list[PluginSettings]:
    """The number of threads."""
    return [PluginSettings(instance=PythonEndpoints)]


@hookimpl
def apilane_register_endpoint_kinds(
    functions: Sequence[EndpointFunction], options: PythonEndpoints
) -> list[PythonKind]:
    """The kind ``python`` with the functions of every plugin."""
    return [PythonKind(functions, max(1, options.threads))]
