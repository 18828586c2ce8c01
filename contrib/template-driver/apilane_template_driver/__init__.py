"""A storage driver on Python's ``sqlite3`` module, as a starting point for your driver.

This module registers the driver; the other modules implement it.
"""

from __future__ import annotations

from apilane.plugin import hookimpl
from apilane_template_driver.driver import TemplateDriver

__all__ = ["TemplateDriver", "apilane_register_drivers"]


@hookimpl
def apilane_register_drivers() -> list[TemplateDriver]:
    """Register one driver. Arguments of a hook may be left out."""
    return [TemplateDriver()]
