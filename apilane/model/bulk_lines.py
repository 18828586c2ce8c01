"""Lines of bulk data as they arrive: records of CSV (RFC 4180) and JSON lines, with the numbers of their lines. Pure.

Memory is bounded by ``RECORD_MAX_BYTES``. A line that cannot be read is given with a reason, and reading goes on with
the next one.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from apilane.model.json import MalformedJson, decode_json

__all__ = ["RECORD_MAX_BYTES", "CsvLines", "JsonLines", "Line", "Lines", "UnreadableLines"]

RECORD_MAX_BYTES: Final = 4_194_304
"""The largest record, in CSV with all its lines."""

_UTF8_MARK: Final = b"\xef\xbb\xbf"
_OTHER_MARKS: Final = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x00\x00\xfe\xff": "UTF-32"}
_CELL: Final = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"|([^",\r\n]*))(,|\Z)')
_NOT_UTF8: Final = "it is not UTF-8"


class UnreadableLines(ValueError):
    """The text cannot be read at all; the message says why."""


class Line(NamedTuple):
    """One record: cells of CSV (None for an empty cell without quotes) or an object of JSON.

    ``number``: of its first line, from 1. ``problem``: why there is no ``value``.
    """

    number: int
    value: Any = None
    problem: str | None = None


class Lines:
    """Splits arriving bytes into lines, and lets a subclass make records of them."""

    def __init__(self) -> None:
        self._pending = b""
        self._begun = False

    def feed(self, part: bytes) -> Iterator[Line]:
        """The records that are complete after these bytes. Raises UnreadableLines."""
        text = self._pending + part
        if not self._begun:
            if len(text) < len(_UTF8_MARK):
                self._pending = text
                return
            text = _unmarked(text)
            self._begun = True
        *lines, self._pending = text.split(b"\n")
        if len(self._pending) > RECORD_MAX_BYTES:
            raise UnreadableLines(f"a line is longer than {RECORD_MAX_BYTES} bytes; lines end with a line break")
        yield from self.records(lines)

    def end(self) -> Iterator[Line]:
        """The records of the rest."""
        text = self._pending if self._begun else _unmarked(self._pending)
        self._pending = b""
        yield from self.records([text] if text else [])

    def records(self, lines: list[bytes]) -> Iterator[Line]:
        """The records of whole lines, which follow those of the last call."""
        raise NotImplementedError


def _unmarked(text: bytes) -> bytes:
    for mark, name in _OTHER_MARKS.items():
        if text.startswith(mark):
            raise UnreadableLines(f"the text is {name}; send UTF-8")
    return text.removeprefix(_UTF8_MARK)


class JsonLines(Lines):
    """One JSON object a line; empty lines are left out."""

    def __init__(self) -> None:
        super().__init__()
        self._number = 0

    def records(self, lines: list[bytes]) -> Iterator[Line]:
        """See ``Lines``."""
        for line in lines:
            self._number += 1
            if not line.strip():
                continue
            try:
                value = decode_json(line)
            except MalformedJson as error:
                yield Line(self._number, None, f"it is not JSON: {error}")
                continue
            is_object = type(value) is dict
            yield Line(self._number, value if is_object else None, None if is_object else "expected a JSON object")


class CsvLines(Lines):
    """Cells separated by commas. A cell in quotes may have commas, line breaks, and quotes written twice.

    When a record of several lines cannot be read, only its first line is refused, and reading goes on with the second:
    one missing quote does not swallow the rest.
    """

    def __init__(self) -> None:
        super().__init__()
        self._next = 1
        self._open: list[bytes] = []
        self._size = 0
        self._is_quoted = False

    def records(self, lines: list[bytes]) -> Iterator[Line]:
        """See ``Lines``."""
        return self._records(deque(lines), is_last=False)

    def end(self) -> Iterator[Line]:
        """See ``Lines``."""
        yield from super().end()
        yield from self._records(deque(), is_last=True)

    def _records(self, waiting: deque[bytes], *, is_last: bool) -> Iterator[Line]:
        while waiting or (is_last and self._open):
            if waiting:
                line = waiting.popleft()
                self._open.append(line)
                self._size += len(line) + 1
                self._is_quoted ^= line.count(b'"') % 2 == 1
                self._next += 1
                if self._is_quoted and self._size <= RECORD_MAX_BYTES and (waiting or not is_last):
                    continue
            lines, self._open = self._open, []
            number = self._next - len(lines)
            problem = "a quote is not closed" if self._is_quoted else None
            self._size, self._is_quoted = 0, False
            record = b"\n".join(lines).removesuffix(b"\r")
            if problem is None:
                if not record:
                    continue
                try:
                    cells = _cells(record)
                except ValueError as error:
                    problem = str(error)
                else:
                    yield Line(number, cells)
                    continue
            waiting.extendleft(reversed(lines[1:]))
            self._next = number + 1
            yield Line(number, None, problem)


def _cells(record: bytes) -> list[str | None]:
    try:
        text = record.decode()
    except UnicodeDecodeError:
        raise ValueError(_NOT_UTF8) from None
    if '"' not in text:
        return [cell or None for cell in text.split(",")]
    cells: list[str | None] = []
    at = 0
    while True:
        found = _CELL.match(text, at)
        if found is None:
            raise ValueError("a cell with a quote must be in quotes, and quotes in it are written twice")
        quoted, plain, more = found.groups()
        cells.append(quoted.replace('""', '"') if quoted is not None else plain or None)
        if not more:
            return cells
        at = found.end()
