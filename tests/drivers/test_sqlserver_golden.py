"""Every statement for SQL Server as text with parameter types, compared with reviewed files.

``pytest tests/drivers/test_sqlserver_golden.py --update-golden`` writes them again; review the difference before you
commit it. Each statement is also parsed by sqlglot, an independent parser of T-SQL.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import sqlglot
from sqlglot import ErrorLevel

from apilane_sqlserver.binding import bind

_name = "sqlserver_statements"
_found = importlib.util.spec_from_file_location(_name, Path(__file__).with_name(f"{_name}.py"))
assert _found is not None
assert _found.loader is not None
statements = importlib.util.module_from_spec(_found)
sys.modules[_name] = statements
_found.loader.exec_module(statements)

FOLDER = Path(__file__).parent / "golden" / "sqlserver"
FILES = statements.files()
CASES = [(name, case) for name, cases in FILES.items() for case in cases if case.text]

UNKNOWN_TO_SQLGLOT = [
    (r"EXECUTE AS USER = N'apilane_script'; ", ""),
    (r"; REVERT$", ""),
    (r"OUTPUT INSERTED\.\[ID\] INTO @inserted DEFAULT VALUES", "DEFAULT VALUES"),
]
"""Syntax that sqlglot lacks, and its replacement (EXECUTE AS, REVERT and OUTPUT in the T-SQL reference)."""

LONG = re.compile(r"(x{40})x+")


def _written(cases: list[object]) -> str:
    blocks = []
    for title, text, values in cases:  # type: ignore[misc]  # cases are tuples
        bound = bind(text, values)
        types = [
            f"-- @P{at} {type.sql} = {_shown(value)}"
            for at, (type, value) in enumerate(zip(bound.types, bound.values, strict=True), 1)
        ]
        plain = "\n".join(line.rstrip() for line in bound.text.splitlines())
        blocks.append("\n".join([f"-- {title}", *types, *([f"{plain};"] if plain else [])]))
    return "\n\n".join(blocks) + "\n"


def _shown(value: object) -> str:
    return LONG.sub(r"\1...", ascii(value)) if isinstance(value, str) else str(value)


@pytest.mark.parametrize("name", FILES)
def test_statements_are_as_they_were_read(name: str, request: pytest.FixtureRequest) -> None:
    """The text and the parameter types of every statement equal those of the golden file."""
    written = _written(FILES[name])
    path = FOLDER / f"{name}.sql"
    if request.config.getoption("--update-golden"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(written, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == written


def test_no_golden_file_is_left_over() -> None:
    """Each file belongs to a kind of statement that is still issued."""
    assert {path.stem for path in FOLDER.glob("*.sql")} == set(FILES)


@pytest.mark.parametrize(
    ("name", "case"), CASES, ids=lambda value: value if isinstance(value, str) else value.title[:60]
)
def test_statements_are_t_sql(name: str, case: object) -> None:
    """An independent parser of T-SQL accepts each statement."""
    text = bind(case.text, case.values).text.replace("?", "@P1")  # type: ignore[attr-defined]
    for pattern, known in UNKNOWN_TO_SQLGLOT:
        text = re.sub(pattern, known, text)
    assert sqlglot.parse(text, read="tsql", error_level=ErrorLevel.RAISE)
