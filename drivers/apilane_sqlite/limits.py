"""SQLite's limits, checked before anything is changed (B-D8). Pure."""

from __future__ import annotations

from typing import Final

from apilane.plugin.storage import Limits

__all__ = ["LIMITS"]

LIMITS: Final = Limits(
    reserved_columns=r"(?i:rowid|_rowid_|oid)",
    reserved_tables=r"(?i:sqlite_.*)",
    columns_max=2000,
    key_columns_max=2000,
)
"""``ALTER TABLE`` refuses the names of the hidden key."""
