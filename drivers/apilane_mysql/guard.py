"""Decides which custom SQL may run. Statements are parsed, checked and written again; the checked text is what runs.

Only SELECT, TABLE, INSERT, UPDATE, DELETE and SIGNAL pass, on tables of the application's own database, with functions
that are known to be harmless. A read of a table with secrets becomes a subquery that has null for them. Statements
that end the transaction, change the session or last longer than the script are refused. Pure; needs no server.

The parser writes some names unquoted (units, character sets, kinds of hints), whatever they contain. So its output is
parsed once more, and that is checked. Writing it a second time must give the same text.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import sqlglot
from sqlglot import exp

from apilane.plugin.storage import (
    HELPER_TABLES,
    Script,
    StorageError,
    is_private,
    may_delete,
    may_insert,
    may_update,
    named_placeholder,
    reads_as_null,
    stored_properties,
    system_entities,
)
from apilane_mysql.functions import HARMLESS

__all__ = ["SECRET_TABLES", "Columns", "Judged", "judge", "mentions_secrets", "problems_of"]

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it would warn of statements that are refused here

Columns = Mapping[str, Sequence[str]]
"""Columns of tables with secrets, by table name in lower case."""

SECRET_TABLES: Final = frozenset(
    entity.name.lower()
    for entity in (*system_entities(), *HELPER_TABLES)
    if any(reads_as_null(entity.name, property.name) for property in stored_properties(entity))
)

LIMIT: Final = "apilane_limit"
_TOKEN: Final = re.compile(
    r"""(?P<quoted>'(?:[^'\\]|''|\\.)*+'|"(?:[^"\\]|""|\\.)*+"|`(?:[^`]|``)*+`)|(?P<comment>--(?=\s|\Z)[^\n]*+|\#[^\n]*+|/\*.*?\*/)|(?P<end>;)""",
    re.DOTALL,
)
_PLACE: Final = re.compile(
    r"""(?P<quoted>'(?:[^'\\]|''|\\.)*+'|"(?:[^"\\]|""|\\.)*+"|`(?:[^`]|``)*+`)|:(?P<name>v_\w+|apilane_limit)""",
    re.DOTALL,
)
_SIGNAL: Final = re.compile(
    r"SIGNAL\s+SQLSTATE\s+(?:VALUE\s+)?'\w{5}'(?:\s+SET\s+MESSAGE_TEXT\s*=\s*'(?:[^'\\]|'')*')?", re.IGNORECASE
)
_CALL: Final = re.compile(r"([A-Za-z_]\w*)\s?\(")
_LIKE_CALLS: Final = frozenset({"all", "any", "cast", "exists", "match", "schema"})
_TAKEN_FOR_ASCII: Final = "\u0130\u212a"
"""Non-ASCII letters that MySQL reads as I and K in names. These are the only ones; MariaDB has none."""
_REFUSED: Final[dict[type[exp.Expression], str]] = {
    exp.Command: "this kind of statement",
    exp.Into: "SELECT INTO",
    exp.Parameter: "variables",
    exp.SessionParameter: "variables",
    exp.PropertyEQ: "assigning variables",
    exp.Hint: "optimizer hints",
    exp.Lateral: "LATERAL",
}
_ROOTS: Final = (exp.Select, exp.SetOperation, exp.Subquery, exp.Insert, exp.Update, exp.Delete)


class Judged(NamedTuple):
    """One statement to run. ``text`` has a ``%s`` for each of ``names``; ``limit``: its value or parameter name.

    ``only_reads``: it is a SELECT that locks nothing.
    """

    text: str
    names: tuple[str, ...]
    limit: int | str | None
    writes: bool
    only_reads: bool = False


def judge(text: str, columns: Columns) -> list[Judged]:
    """The statements of a script, with marks written ``:v_Name``. Raises StorageError for a refused statement."""
    return [judged for statement in _statements(text) if (judged := _judged(statement, columns)) is not None]


def problems_of(script: Script) -> list[str]:
    """Why a script would be refused."""
    try:
        judge(script.text(dict.fromkeys(script.names, 1), named_placeholder), {})
    except StorageError as error:
        return [str(error)]
    return []


def mentions_secrets(text: str) -> bool:
    """Whether the text may name a table with secrets."""
    lower = text.lower()
    return any(name in lower for name in SECRET_TABLES)


def _statements(text: str) -> Iterator[str]:
    start = 0
    for token in _TOKEN.finditer(text):
        if token["end"]:
            yield text[start : token.start()]
            start = token.end()
    yield text[start:]


def _refuse(what: str) -> StorageError:
    return StorageError(f"Custom SQL may not do this: {what}.")


def _judged(text: str, columns: Columns) -> Judged | None:
    if _SIGNAL.fullmatch(text.strip()):
        return Judged(text.strip().replace("%", "%%"), (), None, writes=False)
    first = _parsed(text)
    if first is None:
        return None
    written = _written(first)
    root = _parsed(written)
    if root is None or _written(root) != written:
        raise _refuse("what can be read in two ways")
    _check_nodes(root)
    targets = _check_writes(root)
    _mask(root, targets, columns)
    writes = isinstance(root, (exp.Insert, exp.Update, exp.Delete))
    limit = None if writes else _take_limit(root)
    return Judged(*_bound(_written(root)), limit, writes, only_reads=not writes and root.find(exp.Lock) is None)


def _parsed(text: str) -> Any:
    """The tree of one statement; None for an empty one."""
    try:
        parsed = [each for each in sqlglot.parse(text, read="mysql") if each is not None]
    except Exception as error:  # the parser's errors, and others such as TypeError from its defects
        raise StorageError(f"The SQL cannot be read: {_first_line(error)}") from error
    if len(parsed) > 1 or (parsed and not isinstance(parsed[0], _ROOTS)):
        raise _refuse(text.strip().split(None, 1)[0][:30].upper() if text.strip() else "nothing")
    return parsed[0] if parsed else None


def _written(root: exp.Expr) -> str:
    try:
        return root.sql(dialect="mysql", comments=False)
    except Exception as error:  # as above
        raise StorageError(f"The SQL cannot be written: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return re.sub(r"\x1b\[\d+m", "", str(error)).split("\n", 1)[0][:200]


def _check_nodes(root: exp.Expression) -> None:
    for node in root.walk():
        for kind, what in _REFUSED.items():
            if isinstance(node, kind):
                raise _refuse(what)
        if isinstance(node, (exp.Insert, exp.Update, exp.Delete)) and node != root:
            raise _refuse("a statement within a statement")
        if isinstance(node, exp.Table):
            if node.args.get("db") or node.args.get("catalog"):
                raise _refuse(f"using {node.sql(dialect='mysql')}, which is not a plain name")
            if not isinstance(node.this, exp.Identifier):
                raise _refuse(f"reading from {node.sql(dialect='mysql')[:50]}")
            if is_private(node.name):
                raise _refuse(f"using {node.name}")
        elif isinstance(node, (exp.Anonymous, exp.AnonymousAggFunc, exp.ParameterizedAgg)):
            name = str(node.this if isinstance(node.this, str) else node.name).lower()
            if name not in HARMLESS:
                raise _refuse(f"the function {name}")
        elif isinstance(node, exp.Func):
            _check_known(node)
        elif isinstance(node, exp.Identifier) and any(letter in node.name for letter in _TAKEN_FOR_ASCII):
            raise _refuse(f"the name {node.name[:50]!r}")
        elif isinstance(node, exp.Placeholder) and not node.args.get("this"):
            raise _refuse("a ? (callers' parameters are written {Name})")
        elif isinstance(node, exp.Dot):
            raise _refuse(f"using {node.sql(dialect='mysql')[:50]}")
        elif isinstance(node, exp.Column) and node.args.get("db"):
            raise _refuse(f"using {node.sql(dialect='mysql')}")


def _check_known(node: exp.Func) -> None:
    """The parser has built-in functions of many databases. In MySQL, their names may belong to stored functions."""
    called = _CALL.match(_written(node))
    if called is not None and called[1].lower() not in HARMLESS and called[1].lower() not in _LIKE_CALLS:
        raise _refuse(f"the function {called[1].lower()}")


# Statements that write.


def _check_writes(root: exp.Expression) -> set[int]:
    """Refuse writes that are not allowed; return the nodes of the written tables."""
    if isinstance(root, exp.Insert):
        return _check_insert(root)
    if isinstance(root, exp.Update):
        return _check_update(root)
    if isinstance(root, exp.Delete):
        return _check_delete(root)
    return set()


def _check_insert(root: exp.Insert) -> set[int]:
    into = root.this.this if isinstance(root.this, exp.Schema) else root.this
    if not isinstance(into, exp.Table):
        raise _refuse("inserting there")
    if not may_insert(into.name):
        raise _refuse(f"INSERT {into.name}")
    if root.args.get("overwrite") and not may_delete(into.name):
        raise _refuse(f"REPLACE {into.name}")
    if (conflict := root.args.get("conflict")) is not None:
        _check_assignments(conflict.expressions, [into.name])
    return {id(into)}


def _check_update(root: exp.Update) -> set[int]:
    tables = _named_tables(root)
    if not tables:
        raise _refuse("updating there")
    _check_assignments(root.expressions, [table.name for table in tables])
    written = tables[:1]
    _check_no_secret(root, written)
    return {id(table) for table in written}


def _check_assignments(assignments: Sequence[exp.Expression], tables: Sequence[str]) -> None:
    """With several tables, every table must allow the column, because a name may stand without its table."""
    for assignment in assignments:
        column = assignment.this if isinstance(assignment, exp.EQ) else assignment
        if not isinstance(column, exp.Column):
            raise _refuse(f"setting {assignment.sql(dialect='mysql')[:50]}")
        for table in tables:
            if not may_update(table, column.name):
                raise _refuse(f"UPDATE {table} {column.name}")


def _check_delete(root: exp.Delete) -> set[int]:
    tables = _named_tables(root)
    several = root.args.get("tables") or []
    if not tables or (several and any(table.name.lower() in SECRET_TABLES for table in tables)):
        raise _refuse("deleting there")
    for table in (*tables, *several):
        if not may_delete(table.name):
            raise _refuse(f"DELETE {table.name}")
    _check_no_secret(root, tables[:1])
    return {id(table) for table in (*tables[:1], *several, *(tables if several else ()))}


def _named_tables(root: exp.Update | exp.Delete) -> list[exp.Table]:
    """The tables before SET or WHERE: the first one and those joined to it, with or without brackets; no subqueries."""
    from_ = root.args.get("from") or root.args.get("from_")
    if root.args.get("using"):
        raise _refuse("USING")
    places = [root.this, *(root.args.get("joins") or []), *([from_.this] if from_ is not None else [])]
    found: list[exp.Table] = []
    for place in places:
        table = place.this if isinstance(place, exp.Join) else place
        if table is not None and not isinstance(table, (exp.Table, exp.Subquery)):
            raise _refuse(f"changing {table.sql(dialect='mysql')[:50]}")
        if table is not None:
            inner = place.walk(bfs=False, prune=lambda node: isinstance(node, (exp.Select, exp.SetOperation)))
            found += [node for node in inner if isinstance(node, exp.Table)]
    return found


def _check_no_secret(root: exp.Expression, written: Sequence[exp.Table]) -> None:
    """A written table cannot be masked, so the statement must not name its secrets or select them by a star."""
    for table in written:
        if table.name.lower() not in SECRET_TABLES:
            continue
        for node in root.walk():
            if isinstance(node, exp.Identifier) and reads_as_null(table.name, node.name):
                raise _refuse(f"reading {table.name}.{node.name} in a statement that writes")
            if isinstance(node, exp.Star) and not isinstance(node.parent, exp.Count):
                raise _refuse(f"* in a statement that writes {table.name}")
            if isinstance(node, exp.Join) and node.args.get("method"):
                raise _refuse("NATURAL JOIN in a statement that writes")


# Statements that read.


def _mask(root: exp.Expression, written: set[int], columns: Columns) -> None:
    """Replace each table with secrets that is read by a subquery."""
    for table in list(root.find_all(exp.Table)):
        name = table.name.lower()
        if name not in SECRET_TABLES or id(table) in written:
            continue
        listed = columns.get(name, ("ID",))
        selected = [
            exp.alias_(exp.Null(), column, quoted=True)
            if reads_as_null(name, column)
            else exp.column(column, quoted=True)
            for column in listed
        ]
        query = exp.select(*selected).from_(exp.Table(this=exp.to_identifier(table.name, quoted=True)))
        masked = query.subquery(exp.to_identifier(table.alias or table.name, quoted=True))
        for part in ("joins", "laterals"):
            if table.args.get(part):
                masked.set(part, table.args[part])
        table.replace(masked)


def _take_limit(root: exp.Expression) -> int | str | None:
    """Make the limit a parameter; return its value or name."""
    limit = root.args.get("limit")
    own: int | str | None = None
    if limit is not None:
        if not isinstance(limit, exp.Limit):
            raise _refuse("FETCH")
        value = limit.expression
        if isinstance(value, exp.Placeholder) and value.name:
            own = value.name
        elif isinstance(value, exp.Literal) and value.this.isdecimal():
            own = int(value.this)
        else:
            raise _refuse("this LIMIT")
    root.set("limit", exp.Limit(expression=exp.Placeholder(this=LIMIT)))
    return own


def _bound(text: str) -> tuple[str, tuple[str, ...]]:
    names: list[str] = []

    def place(found: re.Match[str]) -> str:
        if found["quoted"] is not None:
            return found[0]
        names.append(found["name"])
        return "%s"

    replace: Callable[[re.Match[str]], str] = place
    return _PLACE.sub(replace, text.replace("%", "%%")), tuple(names)
