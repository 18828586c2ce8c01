"""The columns of an import: from the names in a header, or the keys of JSON lines, to properties."""

from __future__ import annotations

import re
from typing import Any

from apilane.errors import ApilaneError, Code
from apilane.model.bulk_lines import Line
from apilane.model.definition import PropertyType
from apilane.model.formats import JSON
from apilane.model.hints import near, shown
from apilane.model.json import MalformedJson, decode_json
from apilane.runtime.access import AccessPlan
from apilane.runtime.application import EntityRuntime

__all__ = ["Columns"]

_is_integer = re.compile(r"-?[0-9]{1,18}", re.ASCII).fullmatch
_was_made_safe = re.compile(r"'[=+\-@\t\r]").match


class Columns:
    """Makes records of lines. ``by_header``: the first line of CSV names the columns. ``safe``: see ``ImportOptions``.

    Unknown names are refused, because their values would be lost without notice. Properties that the caller may not
    write, such as ``ID``, are left out and listed in ``ignored``.
    """

    def __init__(self, entity: EntityRuntime, access: AccessPlan, safe: bool, *, by_header: bool) -> None:
        self.entity = entity
        self.is_missing = by_header
        """Whether the header is still to come."""
        self.ignored: list[str] = []
        self._writable = frozenset(access.properties)
        self._by_header = by_header
        self._count = 0
        self._kept: list[tuple[int, str]] = []
        self._json = {p.name for p in entity.entity.properties if p.format == JSON}
        self._dates = {p.name for p in entity.entity.properties if p.type is PropertyType.Date}
        self._texts = {p.name for p in entity.entity.properties if p.type is PropertyType.String} if safe else set()

    def read_header(self, line: Line) -> None:
        """Take the first line of CSV. Raises VALIDATION with the mistake."""
        cells: list[str | None] = line.value or []
        if line.problem is not None:
            raise self._wrong(f"the header: {line.problem}")
        names = [None if cell is None else self._property(cell.strip()) for cell in cells]
        for cell, name, place in zip(cells, names, range(1, len(cells) + 1), strict=True):
            if cell is None:
                raise self._wrong(f"the header: column {place} has no name")
            if name is None:
                raise self._wrong(f"the header: {self._unknown(cell.strip())}{_separator(cells)}")
            if name in names[: place - 1]:
                raise self._wrong(f"the header: {name} stands there twice")
        self._count = len(cells)
        self._kept = [(place, name) for place, name in enumerate(names) if name is not None and self._is_written(name)]
        if not self._kept:
            raise self._wrong("the header: it has no property that the caller may write")
        self.is_missing = False

    def record(self, line: Line) -> dict[str, object]:
        """The record of a line, as a body of Data/Post. Raises VALIDATION."""
        if line.problem is not None:
            raise self._wrong(line.problem)
        return self._of_cells(line.value) if self._by_header else self._of_object(line.value)

    def _of_cells(self, cells: list[str | None]) -> dict[str, object]:
        if len(cells) != self._count:
            raise self._wrong(f"expected {self._count} cells as in the header, found {len(cells)}")
        record: dict[str, object] = {name: cells[place] for place, name in self._kept}
        for name in self._texts.intersection(record):
            value = record[name]
            if type(value) is str and _was_made_safe(value):
                record[name] = value[1:]
        for name in self._dates.intersection(record):
            value = record[name]
            if type(value) is str and _is_integer(value):  # unix milliseconds, as an export has them
                record[name] = int(value)
        for name in self._json.intersection(record):
            value = record[name]
            if value is not None:
                record[name] = self._json_value(name, str(value))
        return record

    def _json_value(self, name: str, text: str) -> object:
        try:
            return decode_json(text.encode())
        except (MalformedJson, UnicodeEncodeError) as error:
            text = f"Validation error: the cell is not JSON: {error}"
            raise ApilaneError(Code.VALIDATION, text, property=name, entity=self.entity.name) from None

    def _of_object(self, given: dict[str, Any]) -> dict[str, object]:
        record: dict[str, object] = {}
        for key, value in given.items():
            name = self._property(key)
            if name is None:
                raise self._wrong(self._unknown(key))
            if self._is_written(name):
                record[name] = value
        return record

    def _property(self, typed: str) -> str | None:
        """The property that a text names, ignoring letter case; None: there is none."""
        property = self.entity.properties.get(typed.lower())
        return None if property is None else property.name

    def _is_written(self, name: str) -> bool:
        if name in self._writable:
            return True
        if name not in self.ignored:
            self.ignored.append(name)
        return False

    def _unknown(self, typed: str) -> str:
        return f"{self.entity.name} has no property {shown(typed)}{near(typed, self.entity.readers)}"

    def _wrong(self, text: str) -> ApilaneError:
        return ApilaneError(Code.VALIDATION, f"Validation error: {text}", entity=self.entity.name)


def _separator(cells: list[str | None]) -> str:
    """A hint for a header whose columns have another separator."""
    only = cells[0] or ""
    other = next((name for mark, name in ((";", "semicolons"), ("\t", "tabs")) if mark in only), None)
    return f"; separate the cells with commas, not {other}" if other and len(cells) == 1 else ""
