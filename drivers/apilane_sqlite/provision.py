"""Fresh databases for tests."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

__all__ = ["fresh_database"]


def fresh_database(folder: Path) -> str:
    """The address of a database that does not exist yet, in the existing folder ``folder``."""
    return str(folder / f"{uuid4().hex}.db")
