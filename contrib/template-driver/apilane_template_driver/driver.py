"""The driver: its name, its features, and one session for each database."""

from __future__ import annotations

import os
import sqlite3

from apilane.plugin.storage import Features
from apilane_template_driver.dialect import TemplateDialect
from apilane_template_driver.session import TemplateSession

__all__ = ["TemplateDriver"]


class TemplateDriver:
    """Databases are files of this machine; their addresses are paths."""

    name = "Template"
    version = f"sqlite3 (SQLite {sqlite3.sqlite_version})"
    features = Features(
        embedded=True,  # Apilane chooses the path; without this flag addresses are connection strings
        exact_decimals=False,
        reads_after_failure=True,
        unique_folds_every_letter=False,
        names_foreign_keys=False,
        scripts=False,  # running custom SQL with least privileges needs too much code for a template
    )

    def __init__(self) -> None:
        self.dialect = TemplateDialect()
        self._sessions: dict[str, TemplateSession] = {}

    def session(self, address: str) -> TemplateSession:
        """The session of a file. The file is opened on first use."""
        path = os.path.realpath(address)
        return self._sessions.setdefault(path, TemplateSession(path))

    async def close(self) -> None:
        """Close every session."""
        for session in list(self._sessions.values()):
            await session.close()
