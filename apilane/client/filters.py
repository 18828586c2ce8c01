"""Builds filters and sort orders for the wire protocol (``docs/reference/protocol/query-language.md`` sections 1 and
2).

The result is JSON that is not checked against a schema; the server checks the properties and reports errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

__all__ = ["F", "Filter", "Sort", "sort_keys"]

SortKey = str | tuple[str, str]
Sort = SortKey | list[str] | list[tuple[str, str]] | list[SortKey]
"""``"Name"``, ``"-Price"``, ``("Price", "DESC")``, or a list of these, the most important first."""


class Filter:
    """A condition, made with ``F`` and joined with ``&`` and ``|``; ``wire`` is its JSON object."""

    __slots__ = ("wire",)

    def __init__(self, wire: Mapping[str, Any]) -> None:
        self.wire = dict(wire)

    def __and__(self, other: Filter) -> Filter:
        return _group("AND", self, other)

    def __or__(self, other: Filter) -> Filter:
        return _group("OR", self, other)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Filter) and self.wire == other.wire

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> NoReturn:
        raise TypeError("Join filters with & and | in parentheses; `and`, `or`, `not` and a < b < c cannot build one")

    def __repr__(self) -> str:
        return f"Filter({self.wire})"


def _group(logic: str, left: Filter, right: Filter) -> Filter:
    """Both conditions as one flat group, so that a long chain of ``&`` is not deeply nested."""
    items: list[Any] = []
    for part in (left, right):
        items += part.wire["Filters"] if part.wire.get("Logic") == logic else [part.wire]
    return Filter({"Logic": logic, "Filters": items})


class F:
    """A property to compare: ``F("Price") >= 10``, ``F("Name").contains("cup")``.

    Values: text, numbers, booleans, ``datetime`` with a time zone, ``date``, None. Text is compared without letter
    case.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def _compare(self, operator: str, value: object) -> Filter:
        return Filter({"Property": self.name, "Operator": operator, "Value": value})

    def __eq__(self, value: object) -> Filter:  # type: ignore[override]
        return self._compare("equal", value)

    def __ne__(self, value: object) -> Filter:  # type: ignore[override]
        """Records without a value do not match."""
        return self._compare("notequal", value)

    __hash__ = None  # type: ignore[assignment]

    def __gt__(self, value: object) -> Filter:
        return self._compare("greater", value)

    def __ge__(self, value: object) -> Filter:
        return self._compare("greaterorequal", value)

    def __lt__(self, value: object) -> Filter:
        return self._compare("less", value)

    def __le__(self, value: object) -> Filter:
        return self._compare("lessorequal", value)

    def starts_with(self, text: str) -> Filter:
        """The value begins with ``text``."""
        return self._compare("startswith", text)

    def ends_with(self, text: str) -> Filter:
        """The value ends with ``text``."""
        return self._compare("endswith", text)

    def contains(self, text: str) -> Filter:
        """The value contains ``text``."""
        return self._compare("contains", text)

    def not_contains(self, text: str) -> Filter:
        """The value does not contain ``text``."""
        return self._compare("notcontains", text)

    def one_of(self, values: Iterable[object]) -> Filter:
        """The value, a number or a text, is one of ``values``. An empty list matches no record."""
        return self._compare("contains", list(values))

    def not_one_of(self, values: Iterable[object]) -> Filter:
        """The value, a number or a text, is not one of ``values``."""
        return self._compare("notcontains", list(values))

    def is_null(self) -> Filter:
        """The property has no value."""
        return self._compare("equal", None)

    def is_not_null(self) -> Filter:
        """The property has a value."""
        return self._compare("notequal", None)

    def __repr__(self) -> str:
        return f"F({self.name!r})"


def sort_keys(sort: Sort) -> list[dict[str, str]]:
    """A sort order as the wire protocol has it. Raises ValueError for a direction other than ASC and DESC."""
    return [_sort_key(key) for key in (sort if isinstance(sort, list) else [sort])]


def _sort_key(key: SortKey) -> dict[str, str]:
    if isinstance(key, str):
        return {"Property": key.removeprefix("-"), "Direction": "DESC" if key.startswith("-") else "ASC"}
    name, direction = key
    if direction.upper() not in {"ASC", "DESC"}:
        raise ValueError(f"A sort key is a name and ASC or DESC, not {key!r}; several keys go into a list")
    return {"Property": name, "Direction": direction.upper()}
