"""How this database's SQL differs. Here it does not differ from that of the driver Apilane ships.

A dialect for another database derives from ``apilane.sql.dialect.Dialect``, names a dialect of SQLAlchemy and says how
tables are made (``migrate``), what types columns have and how text is compared.
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
        """Custom SQL is refused when it is applied, not when it is called."""
        return ["the driver Template runs no custom SQL"]
