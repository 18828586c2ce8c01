"""A plugin with helper tables, and a process that opens an application with it.

Run with ``python -m``; the arguments are the version of the table, the data folder and the token. The process opens the
application when it reads a line, and prints the columns of the table.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from apilane.instance import open_instance
from apilane.plugin import HelperTable, PropertyType, column, hookimpl
from apilane.settings import Settings

__all__ = ["Bringing", "table_at"]


class Bringing:
    """The plugin ``bringing`` with these tables."""

    __name__ = "bringing"

    def __init__(self, *tables: HelperTable) -> None:
        self._tables = tables

    @hookimpl
    def apilane_register_tables(self) -> tuple[HelperTable, ...]:
        return self._tables


def table_at(version: int) -> HelperTable:
    """The table of the processes; each version replaces its last column."""
    last = column("Even" if version % 2 == 0 else "Odd")
    columns = (column("Name", maximum=100), column("Calls", PropertyType.Number), last)
    return HelperTable(name="H_Counts", version=version, columns=columns)


async def main(version: int, data_dir: Path, token: str) -> None:
    """Open the application and print the columns; see the module."""
    async with open_instance(Settings(data_dir=data_dir, plugins=()), [Bringing(table_at(version))]) as instance:
        print("ready", flush=True)
        sys.stdin.readline()
        application = await instance.applications.find(token)
        assert application is not None
        print(*application.table("H_Counts").c.keys(), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
