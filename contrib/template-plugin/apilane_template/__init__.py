"""A maintenance window for the whole instance, and custom endpoints of kind ``text``.

``pyproject.toml`` names this module under the entry point ``apilane.plugins``. Each function below is named like the
hook that it implements; it runs once, at start-up, and answers with objects that the core keeps.
"""

from __future__ import annotations

import os

from apilane.plugin import hookimpl
from apilane_template.text import TextKind
from apilane_template.window import MaintenanceWindow

__all__ = ["apilane_register_availability_checks", "apilane_register_endpoint_kinds"]


@hookimpl
def apilane_register_availability_checks() -> list[MaintenanceWindow]:
    """The window that the environment gives; without one nothing is registered."""
    window = os.environ.get("MAINTENANCE_WINDOW")
    return [MaintenanceWindow(window)] if window else []


@hookimpl
def apilane_register_endpoint_kinds() -> list[TextKind]:
    """A hook's arguments may be left out; these two need none."""
    return [TextKind()]
