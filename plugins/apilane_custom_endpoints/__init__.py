"""Custom endpoints of kind ``sql``: statements that a developer wrote, behind ``GET /api/Custom/{name}``.

Values of callers are bound as parameters, never pasted; the driver runs the text with least privileges, under a time
and a row limit. ``parameters.py`` reads what callers send, ``sql.py`` checks and runs. Source:
``spec/query-language.md`` section 8.
"""

from __future__ import annotations

from apilane.hookspecs import hookimpl
from apilane_custom_endpoints.sql import SqlKind

__all__ = ["apilane_register_endpoint_kinds"]


@hookimpl
def apilane_register_endpoint_kinds() -> list[SqlKind]:
    """The kinds of this plugin."""
    return [SqlKind()]
