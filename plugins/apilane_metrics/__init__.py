"""Metrics for Prometheus (``docs/reference/metrics.md``), on a port of their own or behind a token (B-O1).

``recorder.py`` counts what the core shows to its observer, ``slots.py`` keeps the numbers of all workers in files, and
``exposition.py`` writes them as text. Without the settings ``listen`` and ``token`` nothing is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct

from apilane.plugin import ConfigurationError, Observer, Page, PluginSettings, Secret, Settings, hookimpl

__all__ = ["apilane_register_observers", "apilane_register_routes", "apilane_register_settings"]


class MetricsSettings(Struct, frozen=True, kw_only=True):
    """The settings of the plugin."""

    listen: Annotated[
        str,
        Meta(description="Address and port that answer `/metrics` without a credential, such as `127.0.0.1:9464`."),
    ] = ""
    token: Annotated[
        Secret | None,
        Meta(
            description="Bearer token for `/metrics` on the port of the API, at least 16 characters; unset: the path "
            "does not exist there."
        ),
    ] = None
    series_max: Annotated[
        int,
        Meta(
            ge=100,
            le=100_000,
            description="Largest number of series of a worker; further label values are counted as `_other`. A series "
            "takes 512 bytes of a file in data_dir.",
        ),
    ] = 2000


@hookimpl
def apilane_register_settings() -> list[PluginSettings]:
    """Where metrics are read, and their bound."""
    return [PluginSettings(instance=MetricsSettings)]


@hookimpl
def apilane_register_observers(settings: Settings, options: MetricsSettings) -> list[Observer]:
    """Counts requests, if metrics can be read."""
    if not options.listen and options.token is None:
        return []
    try:
        from apilane_metrics.observer import make_observer
    except ImportError as error:
        raise ConfigurationError(f"Metrics need another package: install apilane[metrics] ({error}).") from error
    return [make_observer(settings.data_dir / "metrics", options.listen, options.series_max)]


@hookimpl
def apilane_register_routes(options: MetricsSettings, observers: Sequence[Observer]) -> list[Page]:
    """The page for callers with the token."""
    if options.token is None:
        return []
    from apilane_metrics.page import make_page

    return [make_page(options.token, observers)]
