"""What the loaded drivers and plugins can do, in the form manifests are checked against."""

from __future__ import annotations

from apilane.dispatch import Hooks
from apilane.model.manifest.capabilities import Capabilities

__all__ = ["capabilities_of"]


def capabilities_of(hooks: Hooks) -> Capabilities:
    """The capabilities of an instance with these hooks."""
    return Capabilities(
        providers=frozenset(driver.name for driver in hooks.drivers.values()),
        embedded=frozenset(driver.name for driver in hooks.drivers.values() if driver.features.embedded),
        enforces=hooks.gates.enforced,
    )
