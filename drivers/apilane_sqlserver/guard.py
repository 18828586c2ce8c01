"""The words that custom SQL may not use, for all callers. Pure. It reads words outside quotes and comments, without a
parser.

The server's privileges limit what a script may read and write (``privileges``). This module refuses the words
whose effects privileges cannot prevent: they end the transaction, change the user, or run text that was not checked.
All of them are reserved words of T-SQL, so outside quotes they cannot be names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from apilane.plugin.storage import Script

__all__ = ["COMMENT", "QUOTED", "placeholder", "problems_of", "writes"]

QUOTED: Final = r"""'(?:[^']|'')*+(?:'|\Z)|"(?:[^"]|"")*+(?:"|\Z)|\[(?:[^\]]|\]\])*+(?:\]|\Z)"""
_FLAT: Final = r"/\*(?:(?!/\*|\*/).)*+(?:\*/|\Z)"
_NESTED: Final = rf"/\*(?:(?!/\*|\*/).|{_FLAT})*+(?:\*/|\Z)"
COMMENT: Final = rf"--[^\n]*+|/\*(?:(?!/\*|\*/).|{_NESTED})*+(?:\*/|\Z)"
"""Comments of T-SQL nest; three levels are allowed here."""
_DEPTH_MAX: Final = 3

_TOKEN: Final = re.compile(rf"(?P<quoted>{QUOTED})|(?P<word>[\w@#$]+)|(?P<line>--[^\n]*)|/\*|\S", re.DOTALL)
_BOUND: Final = re.compile(r"/\*|\*/")

_FORBIDDEN: Final = frozenset(
    {
        *("ALTER", "AUTHORIZATION", "BACKUP", "BULK", "CHECKPOINT", "COMMIT", "DBCC", "DENY", "DUMP", "GRANT", "KILL"),
        *("LOAD", "OPENDATASOURCE", "OPENQUERY", "OPENROWSET", "READTEXT", "RECONFIGURE", "RESTORE", "REVERT"),
        *("REVOKE", "ROLLBACK", "SAVE", "SETUSER", "SHUTDOWN", "TRAN", "TRANSACTION", "TRUNCATE", "UPDATETEXT", "USE"),
        *("WAITFOR", "WRITETEXT"),
    }
)
_OUTLIVING: Final = frozenset({"CONTEXT_INFO", "SESSION_CONTEXT"})
"""Functions that read values of the session, which another caller may have set."""
_SETTINGS: Final = frozenset(
    {
        "",
        *("ANSI_DEFAULTS", "ANSI_NULLS", "ANSI_NULL_DFLT_OFF", "ANSI_NULL_DFLT_ON", "ANSI_PADDING", "ANSI_WARNINGS"),
        *("ARITHABORT", "ARITHIGNORE", "CONCAT_NULL_YIELDS_NULL", "DATEFIRST", "DATEFORMAT", "DEADLOCK_PRIORITY"),
        *("LANGUAGE", "LOCK_TIMEOUT", "NOCOUNT", "NUMERIC_ROUNDABORT", "QUOTED_IDENTIFIER", "ROWCOUNT", "TEXTSIZE"),
        "XACT_ABORT",
    }
)
"""Options that end with the scope of ``sp_executesql``. CONTEXT_INFO does not, and others change the transaction."""
_BEGINNINGS: Final = frozenset(
    {
        *("BEGIN", "CREATE", "DECLARE", "DELETE", "DROP", "EXEC", "EXECUTE", "IF", "INSERT", "MERGE", "PRINT"),
        *("RAISERROR", "RETURN", "SELECT", "SET", "THROW", "UPDATE", "WHILE", "WITH"),
    }
)
"""Allowed first words. Other first words are refused, because T-SQL calls a procedure whose name begins a batch."""
_WRITING: Final = frozenset(["DELETE", "EXEC", "EXECUTE", "INSERT", "INTO", "MERGE", "UPDATE"])


def placeholder(name: str) -> str:
    """The variable that holds a mark's value."""
    return f" @v_{name} "


def problems_of(script: Script) -> list[str]:
    """Why a script is refused, one sentence each."""
    return list(dict.fromkeys(_problems(_text(script))))


def writes(script: Script) -> bool:
    """Whether a script may change records."""
    return any(word in _WRITING for _, word in _words(_text(script)))


def _text(script: Script) -> str:
    return script.text(dict.fromkeys(script.names), placeholder)


def _problems(text: str) -> Iterator[str]:
    words = list(_words(text))
    beginning = next((word for _, word in words if word not in {";", "("}), "SELECT")
    if beginning not in _BEGINNINGS:
        yield f"Custom SQL begins with a word such as SELECT or EXECUTE, not with {beginning[:40]}."
    for position, (is_quoted, word) in enumerate(words):
        if word.strip('["').startswith("##"):
            yield f"Custom SQL may not use temporary tables of all connections: {word[:40]}."
        if is_quoted:
            continue
        if word in _FORBIDDEN:
            yield f"Custom SQL may not do this: {word}."
        elif word == "SET" and (setting := _setting(words[position + 1 :])) not in _SETTINGS:
            yield f"Custom SQL may not do this: SET {setting}."
        elif word == "CURSOR" and not _is_local(words, position):
            yield "Custom SQL declares cursors as DECLARE name CURSOR LOCAL, because others outlive the script."
        elif word in _OUTLIVING and _is_call(words, position):
            yield f"Custom SQL may not do this: {word}, which outlives the script."
        elif word == "@@IDENTITY":
            yield "Custom SQL may not use @@IDENTITY, which tells of other callers; use SCOPE_IDENTITY()."
        elif word == "OPEN" and _next(words, position) in {"SYMMETRIC", "MASTER"}:
            yield "Custom SQL may not open keys."
        elif word in {"CREATE", "DROP"} and not _temporary(words[position + 1 :]):
            yield f"Custom SQL may not do this: {word}, but for temporary tables (#name)."
        elif word in {"EXEC", "EXECUTE"} and not _procedure(words[position + 1 :]):
            yield "Custom SQL may EXECUTE procedures by their name, not text and not what begins with sp_ or xp_."
        elif word == "/*":
            yield f"Custom SQL may nest comments {_DEPTH_MAX} levels deep and must end them."


def _next(words: Sequence[tuple[bool, str]], position: int) -> str:
    return words[position + 1][1] if position + 1 < len(words) else ""


def _setting(following: Sequence[tuple[bool, str]]) -> str:
    """The option of a SET statement; '' for an assignment to a variable or, in an UPDATE, to a column."""
    if len(following) < 2 or following[0][0] or following[0][1].startswith("@"):
        return ""
    if following[1][1] == ",":
        return f"{following[0][1]} with several options at once"
    is_option = following[1][0] or re.match(r"[\w@#$]", following[1][1]) is not None
    return following[0][1] if is_option else ""


def _is_local(words: Sequence[tuple[bool, str]], position: int) -> bool:
    """Whether the cursor at ``position`` ends with the script: a local one, or the value of a variable."""
    before = [word for _, word in words[max(position - 2, 0) : position]]
    if any(word.startswith("@") for word in before):
        return True  # DECLARE @name CURSOR, SET @name = CURSOR
    following = [word for _, word in words[position + 1 : position + 7]]
    options = following[: following.index("FOR")] if "FOR" in following else following
    return "LOCAL" in options


def _is_call(words: Sequence[tuple[bool, str]], position: int) -> bool:
    return _next(words, position) == "("


def _temporary(following: Sequence[tuple[bool, str]]) -> bool:
    """``TABLE #name``, also with ``IF EXISTS``."""
    words = [word for _, word in following[:4]]
    if words[:1] != ["TABLE"]:
        return False
    name = words[3:4] if words[1:3] == ["IF", "EXISTS"] else words[1:2]
    return bool(name) and name[0].startswith("#") and not name[0].startswith("##")


def _procedure(following: Sequence[tuple[bool, str]]) -> bool:
    """A name of one or more parts, with an optional ``@result =`` before it."""
    words = [word for _, word in following[:12]]
    if len(words) > 2 and words[0].startswith("@") and words[1] == "=":
        words = words[2:]
    parts = words[:1]
    while words[1:2] == ["."]:
        words = words[2:]
        parts += words[:1]
    names = [part.strip('[]"') for part in parts]
    if not names or not all(re.fullmatch(r"[\w#$ ]+", name) for name in names) or names == ["AS"]:
        return False
    return not any(name.startswith(("SP_", "XP_")) or name == "SYS" for name in names)


def _words(text: str) -> Iterator[tuple[bool, str]]:
    """Words and signs outside strings and comments, in capitals, and whether each is a quoted name.

    If a comment is nested too deeply or does not end, the last word is ``/*``.
    """
    position = 0
    while (found := _TOKEN.search(text, position)) is not None:
        position = found.end()
        if found[0] == "/*":
            end = _comment_end(text, position)
            if end is None:
                yield False, "/*"
                return
            position = end
        elif found["quoted"] is not None:
            if not found[0].startswith("'"):
                yield True, found[0].upper()
        elif found["line"] is None:
            yield False, found[0].upper()


def _comment_end(text: str, position: int) -> int | None:
    depth = 1
    for bound in _BOUND.finditer(text, position):
        depth += 1 if bound[0] == "/*" else -1
        if depth > _DEPTH_MAX:
            return None
        if depth == 0:
            return bound.end()
    return None
