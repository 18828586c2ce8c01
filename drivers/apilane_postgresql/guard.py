"""Decides which custom SQL may run in PostgreSQL, from its tokens, before any of it is sent. Pure.

PostgreSQL cannot remove rights from the connected user, and a hosted server may not allow a second user. So every
statement is cut into tokens exactly as PostgreSQL's lexer does, and everything not known to be harmless is refused:

- Only SELECT, VALUES, TABLE, INSERT, UPDATE, DELETE and WITH: no DDL, DO, COPY, CALL, SET, EXPLAIN, MERGE, SELECT INTO,
  nothing that begins or ends a transaction.
- Only the functions of ``FUNCTIONS``, and those that were made in the schema of the tables. No name begins with
  ``pg_`` and no schema stands before a name, so catalogs and tables of other programs cannot be reached.
- Writes only where ``apilane.model.privileges`` allows them.
- Tables with secrets are read through a common table expression of the same name, put before each statement, in which
  the secrets are null: ``*``, whole rows and functions on them see only nulls. If a statement writes such a table, its
  secret columns, whole rows and RETURNING * are refused.

Not checked here: whether tables and columns exist. Harmless uses of a forbidden word are refused too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Final, NamedTuple

from apilane.plugin.storage import (
    HELPER_TABLES,
    HIDDEN_COLUMNS,
    Script,
    StorageError,
    is_private,
    may_delete,
    may_insert,
    may_update,
    reads_as_null,
)
from apilane_postgresql.functions import CALLABLE_KEYWORDS, FUNCTIONS

__all__ = [
    "COMMENT",
    "QUOTED",
    "SECRET_TABLES",
    "Checked",
    "Surroundings",
    "check",
    "problems_of",
    "renumbered",
    "statements_of",
]

_IDENTIFIER: Final = r"[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*+"
_NO_WORD_BEFORE: Final = r"(?<![A-Za-z0-9_$\x80-\U0010ffff])"
_DOLLAR: Final = rf"{_NO_WORD_BEFORE}\$(?P<tag>(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*+)?)\$.*?"
_ESCAPED: Final = rf"{_NO_WORD_BEFORE}[eE]'(?:[^'\\]|''|\\.)*+"

QUOTED: Final = rf"{_ESCAPED}(?:'|\Z)|'(?:[^']|'')*+(?:'|\Z)|\"(?:[^\"]|\"\")*+(?:\"|\Z)|{_DOLLAR}(?:\$(?P=tag)\$|\Z)"
COMMENT: Final = r"--[^\n\r]*+|/\*.*?(?:\*/|\Z)"

_WORD: Final = rf"""(?P<space>[ \t\n\r\f\v]+|--[^\n\r]*+)
    |(?P<comment>/\*.*?\*/)
    |(?P<text>{_ESCAPED}'|'(?:[^']|'')*+'|{_DOLLAR}\$(?P=tag)\$)
    |(?P<quoted>"(?:[^"]|"")++")
    |(?P<name>{_IDENTIFIER})
    |(?P<number>(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][-+]?[0-9]++)?+(?![A-Za-z0-9_$'"\x80-\U0010ffff]))
    |(?P<parameter>\$[0-9]++(?![A-Za-z_$'"\x80-\U0010ffff]))
    |(?P<sign>[-+*/<>=~!@\#%^&|`?:.,;()\[\]])"""


@cache
def _word() -> re.Pattern[str]:
    """Compiled on first use: it takes 26 ms, which start-up should not pay."""
    return re.compile(_WORD, re.DOTALL | re.VERBOSE)


SECRET_TABLES: Final = frozenset(
    {
        "Users",
        *(name for name, columns in HIDDEN_COLUMNS.items() if any(column.source == "hash" for column in columns)),
        *(table.name for table in HELPER_TABLES if table.property("Token") is not None),
    }
)
_ACCOUNTS: Final = frozenset({"current_role", "current_user", "session_user", "system_user", "user"})
"""Keywords that return the server's accounts without brackets. A column of such a name needs quotes or a dot."""
_FIRST: Final = frozenset({"select", "values", "table", "insert", "update", "delete", "with"})
_WRITES: Final = frozenset({"insert", "update", "delete", "share"})


class Word(NamedTuple):
    """One token. ``text``: a name in PostgreSQL's case, other tokens as written; ``kind``: the group of ``_WORD``."""

    kind: str
    text: str

    @property
    def is_name(self) -> bool:
        return self.kind in {"name", "quoted"}

    def is_keyword(self, *texts: str) -> bool:
        return self.kind == "name" and self.text in texts

    def is_sign(self, text: str) -> bool:
        return self.kind == "sign" and self.text == text


_NOTHING: Final = Word("end", "")


class Surroundings(NamedTuple):
    """Facts that the database reports before a script runs."""

    schema: str
    """The schema of the tables."""
    schemas: frozenset[str]
    functions: frozenset[str]
    """Names of functions that exist in ``schema`` and in no other schema of the database."""
    columns: Mapping[str, Sequence[tuple[str, str]]]
    """Names and types of the columns of the tables with secrets."""


class Checked(NamedTuple):
    """A statement that passed the checks that need no database."""

    text: str
    words: tuple[Word, ...]
    qualifiers: frozenset[str]
    """Names before a dot."""
    calls: frozenset[str]
    """Functions that are not known to be harmless."""
    secrets: frozenset[str]
    """Mentioned tables with secrets, and mentioned names that a private table may have."""
    guarded: tuple[tuple[int, str, str], ...]
    """Written tables with secrets: position of the name, name, alias or ''."""

    @property
    def writes(self) -> bool:
        return any(word.is_keyword(*_WRITES) for word in self.words)

    def secured(self, around: Surroundings) -> str:
        """The text to run. Raises StorageError for refusals that depend on the database."""
        foreign = sorted(name for name in self.qualifiers if name in around.schemas)
        if foreign:
            raise _refused(f"naming the schema {foreign[0]}; write tables and functions without a schema")
        unknown = sorted(self.calls - around.functions)
        if unknown:
            raise _refused(f"the function {unknown[0]}")
        private = sorted(name for name in self.secrets if is_private(name) and name in around.columns)
        if private:
            raise _refused(f"using {private[0]}")
        for place, table, alias in self.guarded:
            _check_target(self.words, place, table, alias, [name for name, _ in around.columns.get(table, ())])
        shadows = ", ".join(_shadow(table, around) for table in sorted(self.secrets) if table in around.columns)
        if not shadows:
            return self.text
        if not self.words[0].is_keyword("with"):
            return f"WITH {shadows} {self.text}"
        recursive = self.words[1].is_keyword("recursive")
        opening = re.compile(r"recursive" if recursive else r"with", re.IGNORECASE)
        start = next(found.end() for found in _word().finditer(self.text) if opening.fullmatch(found[0]))
        return f"{self.text[:start]} {shadows}, {self.text[start:]}"


def renumbered(text: str) -> tuple[str, list[int]]:
    """A statement with its parameters numbered from 1 without gaps, and their original numbers."""
    numbers: dict[str, int] = {}
    parts = []
    for found in _word().finditer(text):
        parameter = found["parameter"]
        parts.append(found[0] if parameter is None else f"${numbers.setdefault(parameter, len(numbers) + 1)}")
    return "".join(parts), [int(parameter[1:]) for parameter in numbers]


def _refused(what: str) -> StorageError:
    return StorageError(f"Custom SQL may not do this: {what}.")


def problems_of(script: Script) -> list[str]:
    """Why a script would be refused, as far as this is known without its database."""
    text = script.text(dict.fromkeys(script.names, 1), lambda _name: " 1 ")
    found = []
    try:
        for statement in statements_of(text):
            try:
                check(statement)
            except StorageError as error:
                found.append(str(error))
    except StorageError as error:
        found.append(str(error))
    return found


def statements_of(text: str) -> Iterator[str]:
    """The statements of a script without their semicolons; empty ones are left out."""
    start = end = 0
    empty = True
    for word, end in _words(text):  # used after the loop
        if word.is_sign(";"):
            if not empty:
                yield text[start : end - 1]
            start, empty = end, True
        else:
            empty = False
    if not empty:
        yield text[start:end]


def _words(text: str) -> Iterator[tuple[Word, int]]:
    """Tokens and their end positions. Raises StorageError for text that this lexer does not know."""
    position = 0
    before = _NOTHING
    match = _word().match
    while position < len(text):
        found = match(text, position)
        if found is None:  # also a number followed by letters, which PostgreSQL's versions read differently
            raise StorageError(f"This cannot be read: {text[position : position + 20]!r}.")
        kind, position = str(found.lastgroup if found.lastgroup != "tag" else "text"), found.end()
        if kind == "space":
            continue
        written = found[0]
        if kind == "comment":
            if "/*" in written[2:-2]:
                raise _refused("a comment within a comment")
            continue
        if kind in {"text", "quoted"} and before.is_keyword("u") and text[found.start() - 2 : found.start()] == "&":
            raise _refused("text with U& before it")
        word = Word(kind, _seen(kind, written))
        if kind == "text" and before.kind == "text":
            raise _refused("a text behind a text")  # PostgreSQL would read it by the rules of the first one
        before = word
        yield word, position


def _seen(kind: str, written: str) -> str:
    if kind == "quoted":
        return written[1:-1].replace('""', '"')
    if kind == "name":
        return "".join(letter.lower() if letter.isascii() else letter for letter in written)
    return written


def check(text: str) -> Checked:
    """Check one statement, as far as this is possible without the database. Raises StorageError for a refusal."""
    words = tuple(word for word, _ in _words(text))
    for at, word in enumerate(words):
        after = words[at + 1] if at + 1 < len(words) else _NOTHING
        if word.is_sign("&") and at and words[at - 1].is_keyword("u") and after.kind in {"text", "quoted"}:
            raise _refused("text with U& before it")
        if word.is_name and word.text.lower().startswith(("pg_", "regrole")):
            raise _refused(f"the name {word.text}")
        before = words[at - 1] if at else _NOTHING
        if word.is_keyword(*_ACCOUNTS) and not before.is_sign(".") and not before.is_keyword("as"):
            raise _refused(word.text)
    first = next((word for word in words if not word.is_sign("(")), _NOTHING)
    if not first.is_keyword(*_FIRST):
        raise _refused(first.text.upper() or "nothing")
    if first.is_keyword("with") and not words[0].is_keyword("with"):
        raise _refused("WITH in brackets")
    return Checked(
        text,
        words,
        frozenset(_qualifiers(words)),
        frozenset(_calls(words)),
        frozenset(
            word.text for word in words if word.is_name and (word.text in SECRET_TABLES or is_private(word.text))
        ),
        tuple(_targets(words)),
    )


def _qualifiers(words: Sequence[Word]) -> Iterator[str]:
    for word, after in pairwise(words):
        if word.is_name and after.is_sign("."):
            if word.text == "information_schema":
                raise _refused("reading information_schema")
            yield word.text


def _calls(words: Sequence[Word]) -> Iterator[str]:
    """Unknown functions: names before a bracket, except at places where only an alias can stand."""
    for at, (word, after) in enumerate(pairwise(words)):
        if not after.is_sign("(") or not word.is_name:
            continue
        before = words[at - 1] if at else _NOTHING
        if before.is_keyword("as", "into", "with", "recursive"):
            continue
        if word.text in FUNCTIONS or (word.kind == "name" and word.text in CALLABLE_KEYWORDS):
            continue
        yield word.text


def _targets(words: Sequence[Word]) -> Iterator[tuple[int, str, str]]:
    """Check what every INSERT, UPDATE and DELETE writes, also within WITH; yields the written tables with secrets."""
    for at, word in enumerate(words):
        before = [previous.text for previous in words[max(at - 3, 0) : at]]
        if word.is_keyword("into"):
            if before[-1:] != ["insert"]:
                raise _refused("INTO without INSERT")
            name = _target(words, at + 1)[1]
            if not may_insert(name):
                raise _refused(f"INSERT INTO {name}")
        elif word.is_keyword("delete") and at + 1 < len(words) and words[at + 1].is_keyword("from"):
            place, name = _target(words, at + 2)
            if not may_delete(name):
                raise _refused(f"DELETE FROM {name}")  # noqa: S608
            if name in SECRET_TABLES:
                yield place, name, _alias(words, place, {"where", "using", "returning"})
        elif word.is_keyword("update") and before[-1:] not in (["for"], ["do"]) and before != ["for", "no", "key"]:
            place, name = _target(words, at + 1)
            for column in _assigned(words, place):
                if not may_update(name, column):
                    raise _refused(f"UPDATE {name}.{column}")
            if name in SECRET_TABLES:
                yield place, name, _alias(words, place, {"set"})
        elif word.is_keyword("merge") and at + 1 < len(words) and words[at + 1].is_keyword("into"):
            raise _refused("MERGE")


def _target(words: Sequence[Word], at: int) -> tuple[int, str]:
    if at < len(words) and words[at].is_keyword("only"):
        at += 1
    if at >= len(words) or not words[at].is_name or (at + 1 < len(words) and words[at + 1].is_sign(".")):
        raise _refused("writing to anything but a table named without a schema")
    return at, words[at].text


def _alias(words: Sequence[Word], place: int, ends: Collection[str]) -> str:
    """The alias of the table at ``place``; ``ends``: keywords that may follow it."""
    following = [word for word in words[place + 1 : place + 4] if not word.is_sign("*")]
    if following and following[0].is_keyword("as"):
        following = following[1:]
    elif not following or following[0].is_keyword(*ends):
        return ""
    return following[0].text if following and following[0].is_name else ""


def _assigned(words: Sequence[Word], place: int) -> Iterator[str]:
    """The columns that an UPDATE of the table at ``place`` sets. Raises StorageError if they cannot be determined."""
    at = place + 1
    if at < len(words) and words[at].is_sign("*"):
        at += 1
    if at < len(words) and not words[at].is_keyword("set"):
        at += 2 if words[at].is_keyword("as") else 1
    if at >= len(words) or not words[at].is_keyword("set"):
        raise _refused("UPDATE without SET behind the table")
    more = True
    while more:
        at += 1
        several = at < len(words) and words[at].is_sign("(")
        end = at + 1
        while several and end < len(words) and not words[end].is_sign(")"):
            end += 1
        names = [word.text for word in words[at:end] if word.is_name]
        if not names:
            raise _refused("SET without a column")
        yield from names
        at, more = _next_assignment(words, end)


def _next_assignment(words: Sequence[Word], at: int) -> tuple[int, bool]:
    """The position of the comma before the next assignment, and True; False if there is no other assignment."""
    if at < len(words) and words[at].is_sign(")"):
        at += 1
    depth = 0
    while at < len(words):
        word = words[at]
        depth += (word.is_sign("(") or word.is_sign("[")) - (word.is_sign(")") or word.is_sign("]"))
        if depth < 0:
            break
        if depth == 0 and word.is_sign(","):
            return at, True
        is_clause = word.is_keyword("from", "where", "returning") and not words[at - 1].is_keyword("distinct")
        if depth == 0 and is_clause:
            break
        at += 1
    return at, False


def _check_target(words: Sequence[Word], place: int, table: str, alias: str, columns: Collection[str]) -> None:
    """Refuse expressions that could read a secret of the written table, because that table is not masked."""
    names = {table, alias, "old", "new"} - {""}  # the last two in RETURNING, since PostgreSQL 18
    given = (n for n in range(place + 1, min(place + 4, len(words))) if words[n].text == alias)
    own = {place, next(given, place)}
    returning = False
    for at, word in enumerate(words):
        after = words[at + 1] if at + 1 < len(words) else _NOTHING
        returning = returning or word.is_keyword("returning")
        if word.is_keyword("returning") and after.is_keyword("with"):
            raise _refused("RETURNING WITH")
        if word.is_sign("*") and (returning or (at and words[at - 1].is_sign("."))):
            raise _refused(f"* in a statement that writes {table}")
        if not word.is_name:
            continue
        if reads_as_null(table, word.text):
            raise _refused(f"reading {table}.{word.text} in a statement that writes")
        if word.text in names and at not in own:
            column = words[at + 2] if at + 2 < len(words) else _NOTHING
            if not after.is_sign(".") or not column.is_name or column.text not in columns:
                raise _refused(f"reading {word.text} as a whole in a statement that writes it")


def _shadow(table: str, around: Surroundings) -> str:
    columns = ", ".join(
        f"CAST(NULL AS {type}) AS {_quoted(name)}" if reads_as_null(table, name) else _quoted(name)
        for name, type in around.columns[table]
    )
    place = f"{_quoted(around.schema)}.{_quoted(table)}"
    return f"{_quoted(table)} AS NOT MATERIALIZED (SELECT {columns} FROM {place})"  # noqa: S608  # names, quoted


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
