"""SQL written by an application's developer: where the ``{Name}`` marks stand, and which text the database gets.

Pure, and no parser: all that is told apart is code, quoted text and comments. Source:
``docs/reference/protocol/query-language.md`` section 8.2, B-Q8.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple, Protocol

from apilane.sql.statement import Value

__all__ = ["Mark", "Script", "ScriptNotes", "named_placeholder", "read_script"]


class Lexis(Protocol):
    """Of a dialect: patterns that tell code from quoted text and comments."""

    quoted: ClassVar[str]
    comment: ClassVar[str]


class Mark(NamedTuple):
    """``{name}`` in a script. ``quoted``: it stands inside a string or a quoted identifier."""

    name: str
    quoted: bool


class ScriptNotes:
    """What a driver learned about a script. A driver may derive its own, and looks at no other's."""

    __slots__ = ("writes",)

    def __init__(self, *, writes: bool) -> None:
        self.writes = writes


class Script:
    """One or more statements: ``pieces`` of constant text with a mark between each two.

    ``notes``: what a driver learned when it met the script first; None before.
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
        """The SQL to run; ``placeholder`` gives the driver's parameter of a name. KeyError for a missing value.

        What stands inside quotes becomes part of the text and must be a number, a boolean or None (TypeError).
        """
        parts = [self.pieces[0]]
        for mark, piece in zip(self.marks, self.pieces[1:], strict=True):
            parts.append(_inlined(values[mark.name]) if mark.quoted else placeholder(mark.name))
            parts.append(piece)
        return "".join(parts)

    def __repr__(self) -> str:
        return f"Script({'{}'.join(self.pieces)!r})"


def named_placeholder(name: str) -> str:
    """``:v_name``, for databases whose parameters have names; the value then goes by ``v_name``."""
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
    """Find the marks of ``text``; comments have none. A quote that never ends reaches to the end."""
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
