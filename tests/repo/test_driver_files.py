"""The four drivers have the same layout, and none of them parses SQL text to find out what a statement does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

COMMON = {
    "__init__",
    "address",
    "connection",
    "diagnosis",
    "dialect",
    "driver",
    "errors",
    "guard",
    "limits",
    "provision",
    "schema",
    "script",
    "session",
}

MORE = {
    "apilane_mysql": {
        "functions": "which functions custom SQL may call: the guard has a parser and needs a list",
        "insert_row": "the server numbers rows of one INSERT, so that several callers share it",
        "letters": "the letters that the servers fold in another way",
        "progress": "schema statements commit one by one, so what is done is written down",
        "values": "types of custom SQL without a JSON form",
    },
    "apilane_postgresql": {
        "functions": "which functions custom SQL may call: no privilege can forbid them",
        "values": "types that asyncpg reads in part, or that have no JSON form",
        "letters": "the letters outside ASCII, which the server leaves as they are",
    },
    "apilane_sqlite": {
        "reader": "long reads take place in threads of this process",
        "short_script": "short custom SQL runs on the event loop",
        "transaction": "units of several callers share a transaction",
        "unreadable": "only SQLite stores texts that are not UTF-8",
        "writer": "one thread writes to a file",
    },
    "apilane_sqlserver": {
        "binding": "pyodbc is told the type of each parameter",
        "naming": "T-SQL quotes names in brackets",
        "odbc": "which ODBC driver, and how it is told where to connect",
        "privileges": "custom SQL runs as a database user of its own",
        "text": "conditions on text take two halves",
        "values": "types that pyodbc does not read",
    },
}
"""Files of one driver besides the common ones, with the reason."""


@pytest.mark.parametrize("driver", sorted(MORE))
def test_drivers_have_the_same_files(repository: Path, driver: str) -> None:
    """Each driver has the common files, and other files only with a listed reason."""
    files = {path.stem for path in (repository / "drivers" / driver).glob("*.py")}
    assert files == COMMON | MORE[driver].keys()


def test_every_driver_is_known(repository: Path) -> None:
    """Every package in ``drivers/`` is checked."""
    packages = {path.name for path in (repository / "drivers").iterdir() if (path / "__init__.py").exists()}
    assert packages == MORE.keys()


def test_no_driver_reads_what_a_statement_does(repository: Path) -> None:
    """Drivers use ``Statement.kind``; none looks for the kind of a statement in its text."""
    looks = re.compile(r"statement\.text\.(?:startswith|lower|upper|lstrip|strip|split)|\bin statement\.text\b")
    wrong = [
        f"{path.relative_to(repository)}:{number}: {line.strip()}"
        for room in ("drivers", "contrib", "apilane/storage")
        for path in sorted((repository / room).rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if looks.search(line)
    ]
    assert not wrong, "\n".join(wrong)
