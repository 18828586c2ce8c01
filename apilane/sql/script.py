"""SQL written by an application's developer: finding its ``{Name}`` marks, and making the text for the database.

Pure, and no parser: only code, quoted text and comments are distinguished. Source:
``docs/reference/protocol/query-language.md`` section 8.2, B-Q8.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple, Protocol

from apilane.sql.statement import Value

__all__ = ["Mark", "Script", "ScriptNotes", "named_placeholder", "read_script"]


class Lexis(Protocol):
    """The patterns of a dialect that tell code from quoted text and comments."""

    quoted: ClassVar[str]
    comment: ClassVar[str]


class Mark(NamedTuple):
    """``{name}`` in a script. ``quoted``: it is inside a string or a quoted identifier."""

    name: str
    quoted: bool


class ScriptNotes:
    """The findings of a driver about a script. A driver may subclass it, and reads only its own notes.

    ``one_read``: the script is one SELECT without side effects, so it needs no transaction (``PooledSession``).
    """

    __slots__ = ("one_read", "writes")

    def __init__(self, *, writes: bool, one_read: bool = False) -> None:
        self.writes = writes
        self.one_read = one_read


class Script:
    """One or more statements: ``pieces`` of constant text, with a mark between each two pieces.

    ``notes``: None until a driver sees the script for the first time.
    """

    __slots__ = ("marks", "notes", "pieces")

    def __init__(self, pieces: tuple[str, ...], marks: tuple[Mark, ...] = ()) -> None:
        self.pieces = pieces
        self.marks = marks
        self.notes: ScriptNotes | None = None

    @property
    def names(self) -> frozenset[str]:
        """The names of the marks."""
        return frozenset(mark.name for mark in self.marks)

    def text(self, values: Mapping[str, Value], placeholder: Callable[[str], str]) -> str:
        """The SQL to run; ``placeholder`` returns the driver's parameter for a name. KeyError for a missing value.

        Values of marks inside quotes become part of the text, so they must be a number, a boolean or None (TypeError).
        """
        parts = [self.pieces[0]]
        for mark, piece in zip(self.marks, self.pieces[1:], strict=True):
            parts.append(_inlined(values[mark.name]) if mark.quoted else placeholder(mark.name))
            parts.append(piece)
        return "".join(parts)

    def __repr__(self) -> str:
        return f"Script({'{}'.join(self.pieces)!r})"


def named_placeholder(name: str) -> str:
    """``:v_name``, for databases with named parameters; the name of the value is then ``v_name``."""
    return f" :v_{name} "


def _inlined(value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, (str, bytes)):
        raise TypeError("text must be bound outside quotes")
    return str(value)


_mark = re.compile(r"\{([A-Za-z_]+)\}")


def read_script(text: str, dialect: Lexis) -> Script:
    """Find the marks of ``text``; marks in comments are ignored. A quote without an end continues to the end."""
    opaque = re.compile(f"(?P<comment>{dialect.comment})|(?P<quoted>{dialect.quoted})|{_mark.pattern}", re.DOTALL)
    pieces: list[str] = []
    marks: list[Mark] = []
    start = 0
    for token in opaque.finditer(text):
        if token["comment"] is not None:
            continue
        for mark in _mark.finditer(text, *token.span()):
            pieces.append(text[start : mark.start()])
            marks.append(Mark(mark[1], quoted=token["quoted"] is not None))
            start = mark.end()
    return Script((*pieces, text[start:]), tuple(marks))
