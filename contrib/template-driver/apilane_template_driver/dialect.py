"""The SQL of this database. Here it is the same as that of Apilane's SQLite driver.

A dialect for another database derives from ``apilane.sql.dialect.Dialect``, names a dialect of SQLAlchemy, and defines
how tables are created (``migrate``), the types of columns and how text is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from apilane.plugin.storage import Entity, Script
from apilane_sqlite import SQLiteDialect

__all__ = ["TemplateDialect"]


class TemplateDialect(SQLiteDialect):
    name: ClassVar[str] = "Template"

    def script_problems(self, script: Script, entities: Sequence[Entity]) -> list[str]:
        """Refuse custom SQL when a manifest is applied, before any call."""
        return ["the driver Template runs no custom SQL"]
