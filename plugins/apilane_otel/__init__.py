"""Traces for OpenTelemetry (``docs/howto/observe.md``): spans of requests, admission, statements and deliveries.

``spans.py`` makes the spans, ``observer.py`` sends them in batches from a thread. Without the setting ``endpoint``
nothing is observed and OpenTelemetry is not imported.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from apilane.plugin import ConfigurationError, Observer, PluginSettings, Secret, hookimpl

__all__ = ["apilane_register_observers", "apilane_register_settings"]


class OtelSettings(Struct, frozen=True, kw_only=True):
    """The settings of the plugin."""

    endpoint: Annotated[
        str,
        Meta(description="Address that takes spans as OTLP over HTTP, such as `http://127.0.0.1:4318/v1/traces`."),
    ] = ""
    service_name: Annotated[str, Meta(description="Name of this service in traces.")] = "apilane"
    sample_ratio: Annotated[
        float,
        Meta(ge=0, le=1, description="Part of the traces that is recorded, also of those that callers have begun."),
    ] = 1.0
    authorization: Annotated[
        Secret | None, Meta(description="Value of the header Authorization that is sent to the collector.")
    ] = None


@hookimpl
def apilane_register_settings() -> list[PluginSettings]:
    """Where spans are sent."""
    return [PluginSettings(instance=OtelSettings)]


@hookimpl
def apilane_register_observers(options: OtelSettings) -> list[Observer]:
    """Makes spans, if there is a collector."""
    if not options.endpoint:
        return []
    if not options.endpoint.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"[plugins.otel] endpoint is {options.endpoint!r}; expected an address such as http://127.0.0.1:4318/v1/traces."
        )
    try:
        from apilane_otel.observer import make_observer
    except ImportError as error:
        raise ConfigurationError(f"Traces need other packages: install apilane[otel] ({error}).") from error
    return [make_observer(options.endpoint, options.service_name, options.sample_ratio, options.authorization)]
