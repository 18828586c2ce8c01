"""Custom endpoints of kind ``sql``: ``GET /api/Custom/{name}`` runs the SQL statements of a developer.

Values of callers are bound as parameters and not inserted into the text. The driver runs the text with least
privileges, a time limit and a row limit. ``calls.py`` answers the calls, ``parameters.py`` reads the callers' values,
``sql.py`` checks and runs the statements. Source: ``docs/reference/protocol/query-language.md`` section 8.
"""

from __future__ import annotations

from apilane.plugin import WireCall, hookimpl
from apilane_custom_endpoints.calls import custom_calls
from apilane_custom_endpoints.sql import SqlKind

__all__ = ["apilane_register_calls", "apilane_register_endpoint_kinds"]


@hookimpl
def apilane_register_calls() -> list[WireCall]:
    """``GET`` and ``POST /api/Custom/{name}``, for endpoints of every kind."""
    return custom_calls()


@hookimpl
def apilane_register_endpoint_kinds() -> list[SqlKind]:
    """The kinds of this plugin."""
    return [SqlKind()]
