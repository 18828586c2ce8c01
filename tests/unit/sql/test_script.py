"""Parameter marks of custom SQL: code, quoted text and comments are distinguished."""

from __future__ import annotations

import time

import pytest

from apilane.sql.dialect import Dialect
from apilane.sql.script import Mark, read_script
from apilane_sqlite.dialect import SQLiteDialect

SQLITE = SQLiteDialect()


def marks(text: str, dialect: Dialect = SQLITE) -> list[tuple[str, bool]]:
    """The marks, and whether they are quoted."""
    return [tuple(mark) for mark in read_script(text, dialect).marks]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{A}", [("A", False)]),
        ("{A}{b_}{_}", [("A", False), ("b_", False), ("_", False)]),
        ("'{A}' {A}", [("A", True), ("A", False)]),
        ("'it''s {A}' {B}", [("A", True), ("B", False)]),
        ("'\\' {A} ''", [("A", False)]),
        ('"a""{A}" `b``{B}` [c{C}] {D}', [("A", True), ("B", True), ("C", True), ("D", False)]),
        ("-- {A} '\n{B}", [("B", False)]),
        ("/* {A} ' -- */ {B}", [("B", False)]),
        ("/* /* {A} */ {B} */", [("B", False)]),
        ("'-- {A}' /* ' */ {B}", [("A", True), ("B", False)]),
        ("'open {A}", [("A", True)]),
        ("/* open {A}", []),
        ("-- {A}", []),
        ("{} {1} {A1} {A B} {{A}} { A }", [("A", False)]),
        ("{A};{B}", [("A", False), ("B", False)]),
        ("", []),
    ],
)
def test_marks(text: str, found: list[tuple[str, bool]]) -> None:
    """Marks in comments are ignored; those in strings and quoted identifiers are reported as quoted."""
    assert marks(text) == found


def test_brackets_are_sqlites() -> None:
    """The dialect decides which characters quote an identifier."""
    assert marks("[it's {A}] {B}", SQLITE) == [("A", True), ("B", False)]
    assert marks("a[1] {B}", Dialect()) == [("B", False)]


def test_text_is_put_together() -> None:
    """Placeholders are used outside quotes and values as text inside; the rest of the text is unchanged."""
    text = "SELECT {A}, '{A}{N}', {S} -- {A}"
    script = read_script(text, SQLITE)
    assert script.marks[0] == Mark("A", quoted=False)
    assert script.names == {"A", "N", "S"}
    values = {"A": 5, "N": None, "S": "text"}
    assert script.text(values, lambda name: f":{name}") == "SELECT :A, '5null', :S -- {A}"
    assert script.text({**values, "A": True}, "<{}>".format) == "SELECT <A>, '1null', <S> -- {A}"
    with pytest.raises(TypeError, match="outside quotes"):
        script.text({**values, "N": "'"}, str)


def cpu_seconds(text: str) -> float:
    """The CPU time to read a text: the minimum of three runs, because other load only adds time."""

    def once() -> float:
        start = time.process_time()
        read_script(text, SQLITE)
        return time.process_time() - start

    return min(once() for _ in range(3))


@pytest.mark.parametrize("piece", ["'", "''", "/*", "{A", "[", "--", "'{A}'", "'a", "`", "{A}", "/* '"])
def test_reading_time_grows_with_the_length(piece: str) -> None:
    """A text of 16 times the length takes about 16 times as long; a quadratic reader would take 256 times."""
    short, long = cpu_seconds(piece * 10_000), cpu_seconds(piece * 160_000)
    assert long < 100 * max(short, 0.0005)
