"""Custom SQL on a connection, inside a transaction that the caller began and will end. See ``guard``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from apilane.plugin.storage import (
    Result,
    ResultBudget,
    ResultSet,
    Row,
    Script,
    ScriptNotes,
    ScriptStep,
    StorageError,
    Value,
)
from apilane_postgresql.guard import SECRET_TABLES, Checked, Surroundings, check, renumbered, statements_of
from apilane_postgresql.values import plain

if TYPE_CHECKING:
    import asyncpg

__all__ = ["calls_own_functions", "note_writes", "read_script", "run_script", "writes"]

BATCH_ROWS: Final = 1000
READ_ROWS_MAX: Final = 1000
"""Rows of a script at which it does not fit into one trip, because they are in memory together."""
TEXTS_KEPT: Final = 64
"""Texts of one script: each has other types of values or other nulls."""

_SURROUNDINGS: Final = """
SELECT current_schema()::text,
  (SELECT array_agg(nspname::text) FROM pg_catalog.pg_namespace),
  (SELECT array_agg(f.name) FROM unnest($1::text[]) f (name)
    WHERE EXISTS (SELECT 1 FROM pg_catalog.pg_proc p WHERE p.proname = f.name
        AND p.pronamespace = to_regnamespace(quote_ident(current_schema())))
      AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_proc p WHERE p.proname = f.name
        AND (p.pronamespace <> to_regnamespace(quote_ident(current_schema()))
          OR EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::regclass
            AND d.objid = p.oid AND d.deptype = 'e')))),
  (SELECT array_agg(ARRAY[t.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod)] ORDER BY a.attnum)
    FROM pg_catalog.pg_class t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid
    WHERE t.relnamespace = to_regnamespace(quote_ident(current_schema())) AND t.relname = ANY($2::text[])
      AND a.attnum > 0 AND NOT a.attisdropped)"""

_CASTS: Final = {bool: "boolean", int: "bigint", str: "text", Decimal: "numeric", float: "double precision"}


_SEQUENCE_READS: Final = frozenset({"currval", "lastval"})

_FORGET: Final = """
CLOSE ALL; RESET ALL; UNLISTEN *; DISCARD TEMP; DISCARD SEQUENCES; SELECT pg_advisory_unlock_all();
DO $$ DECLARE kept name; BEGIN
  FOR kept IN SELECT name FROM pg_catalog.pg_prepared_statements WHERE from_sql LOOP
    EXECUTE 'DEALLOCATE ' || quote_ident(kept);
  END LOOP;
END $$"""
"""Ends what a function of the database's owner may leave on the connection: settings, temporary tables, cursors WITH
HOLD, prepared statements, locks. DISCARD ALL cannot run in a transaction, and would end asyncpg's statements.
"""


def calls_own_functions(script: Script) -> bool:
    """Whether a script calls functions that are stored in the database."""
    text = script.text(dict.fromkeys(script.names, 1), lambda _name: " 1 ")
    try:
        return any(check(statement).calls for statement in statements_of(text))
    except StorageError:
        return False


class _Notes(ScriptNotes):
    """``texts``: text and names of the values of one SELECT, by the types of the values; None: not such a script.
    ``columns``, ``booleans``: of its last run in a transaction.
    """

    __slots__ = ("booleans", "columns", "names", "texts")

    def __init__(self, script: Script) -> None:
        text = script.text(dict.fromkeys(script.names, 1), lambda _name: " 1 ")
        checked = [check(statement) for statement in statements_of(text)]
        # A function of the database's owner may write, which its call does not show.
        super().__init__(writes=any(statement.writes or statement.calls for statement in checked))
        self.texts: dict[tuple[type, ...], tuple[str, list[str]]] | None = None
        if len(checked) == 1 and _only_reads(checked[0]) and not any(mark.quoted for mark in script.marks):
            self.texts = {}
        self.names = tuple(script.names)
        self.columns: tuple[str, ...] = ()
        self.booleans: tuple[int, ...] = ()


def _only_reads(statement: Checked) -> bool:
    """Whether a statement reads, and its verdict does not depend on the database, whose schemas, functions and secret
    columns may change, nor on the connection."""
    depends = statement.qualifiers or statement.calls or statement.secrets or statement.guarded
    return not statement.writes and not depends and not any(word.text in _SEQUENCE_READS for word in statement.words)


def writes(script: Script) -> bool:
    """Whether a statement of the script writes or locks. False for a script that will be refused."""
    if script.notes is None:
        try:
            script.notes = _Notes(script)
        except StorageError:
            return False
    return script.notes.writes


def note_writes(script: Script) -> None:
    """Note that the server refused a script in a READ ONLY transaction: it always needs one that may write."""
    if isinstance(script.notes, _Notes):
        script.notes.writes, script.notes.texts = True, None


async def read_script(raw: asyncpg.Connection[Any], step: ScriptStep) -> Result | None:
    """Run a script of one SELECT, as ``run_script`` does. None: it has more rows than fit into one trip."""
    notes = step.script.notes
    if not isinstance(notes, _Notes) or notes.texts is None:
        return None
    types = tuple([type(step.values[name]) for name in notes.names])
    known = notes.texts.get(types)
    if known is None:
        known = _one_read(step)
        if known is None:
            return None
        if len(notes.texts) >= TEXTS_KEPT:
            notes.texts.clear()
        notes.texts[types] = known
    text, names = known
    values = [step.values[name] for name in names]
    # The only way to limit the rows of a statement outside of a transaction; ``fetchrow`` uses it with a limit of 1.
    found = await raw._execute(text, values, READ_ROWS_MAX, None)  # noqa: SLF001
    if len(found) == READ_ROWS_MAX:
        notes.texts = None  # the same script will have as many rows again
        return None
    if found and tuple(found[0].keys()) != notes.columns:  # the table has changed
        return None
    rows = ResultBudget().take([tuple(map(plain, row)) for row in found])
    return Result(sets=[ResultSet(notes.columns, notes.booleans, rows)])


def _one_read(step: ScriptStep) -> tuple[str, list[str]] | None:
    """The text for values of these types, and the names of its values in order. None: it needs more checks."""
    parameters = _Parameters(step.values)
    (statement,) = statements_of(step.script.text(step.values, parameters.place))
    if not _only_reads(check(statement)):
        return None
    text, numbers = renumbered(statement)
    return text, parameters.names_of(numbers)


async def run_script(raw: asyncpg.Connection[Any], step: ScriptStep) -> Result:
    """Run every statement in order and return the results.

    All statements are checked before the first one runs. Raises StorageError for a refusal, and asyncpg's errors.
    """
    parameters = _Parameters(step.values)
    text = step.script.text(step.values, parameters.place)
    checked = [check(statement) for statement in statements_of(text)]
    around = await _look_around(raw, checked)
    secured = [statement.secured(around) for statement in checked]
    if any(word.text in _SEQUENCE_READS for statement in checked for word in statement.words):
        await raw.execute("DISCARD SEQUENCES")  # otherwise they give the last IDs of the connection's other callers
    budget = ResultBudget()
    sets: list[ResultSet] = []
    matched = 0
    for statement, numbers in map(renumbered, secured):
        values = parameters.of(numbers)
        prepared = await raw.prepare(statement)
        attributes = prepared.get_attributes()
        if not attributes:
            await prepared.fetch(*values)
            number = (prepared.get_statusmsg() or "").rpartition(" ")[2]
            matched += int(number) if number.isdecimal() else 0
            continue
        cursor = await prepared.cursor(*values)
        rows = await _rows(cursor, budget)
        booleans = tuple(at for at, attribute in enumerate(attributes) if attribute.type.name == "bool")
        sets.append(ResultSet(tuple(attribute.name for attribute in attributes), booleans, rows))
    if any(statement.calls for statement in checked):
        await raw.execute(_FORGET)
    notes = step.script.notes
    if isinstance(notes, _Notes) and notes.texts is not None and len(sets) == 1:
        notes.columns, notes.booleans, notes.one_read = sets[0].columns, sets[0].booleans, True
    return Result(matched=matched, sets=sets)


class _Parameters:
    """The parameters of a script, numbered in order of first use. None is written as NULL, which fits every type."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = values
        self._numbers: dict[str, int] = {}

    def place(self, name: str) -> str:
        value = self._values[name]
        if value is None:
            return " NULL "
        number = self._numbers.setdefault(name, len(self._numbers) + 1)
        return f" CAST(${number} AS {_CASTS[type(value)]}) "

    def of(self, numbers: Sequence[int]) -> Sequence[Value]:
        """The values of these parameters."""
        return [self._values[name] for name in self.names_of(numbers)]

    def names_of(self, numbers: Sequence[int]) -> list[str]:
        """The names of these parameters."""
        names = list(self._numbers)
        if any(not 0 < number <= len(names) for number in numbers):
            raise StorageError("Callers' parameters are written {Name}, not $1.")
        return [names[number - 1] for number in numbers]


async def _look_around(raw: asyncpg.Connection[Any], checked: Sequence[Checked]) -> Surroundings:
    calls = sorted({name for statement in checked for name in statement.calls})
    tables = SECRET_TABLES.union(*(statement.secrets for statement in checked))
    row = await raw.fetchrow(_SURROUNDINGS, calls, sorted(tables))
    if row is None:
        raise StorageError("PostgreSQL: no answer from the catalog.")
    schema, schemas, functions, attributes = row
    columns: dict[str, list[tuple[str, str]]] = {}
    for table, name, type in attributes or ():
        columns.setdefault(table, []).append((name, type))
    return Surroundings(schema or "public", frozenset(schemas or ()), frozenset(functions or ()), columns)


async def _rows(cursor: Any, budget: ResultBudget) -> list[Row]:
    """The rows up to the budget. At least one batch is fetched, so the statement always runs."""
    taken: list[Row] = []
    while True:
        batch = await cursor.fetch(min(BATCH_ROWS, max(budget.rows, 1)))
        taken += budget.take(tuple(map(plain, row)) for row in batch)
        if budget.rows == 0 or len(batch) < BATCH_ROWS:
            return taken
