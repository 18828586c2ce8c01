"""A storage driver on Python's own ``sqlite3`` module, as a start for one of your own.

Registers the driver; everything else is in the modules beside.
"""

from __future__ import annotations

from apilane.plugin import hookimpl
from apilane_template_driver.driver import TemplateDriver

__all__ = ["TemplateDriver", "apilane_register_drivers"]


@hookimpl
def apilane_register_drivers() -> list[TemplateDriver]:
    """One driver; a hook's arguments may be left out."""
    return [TemplateDriver()]
