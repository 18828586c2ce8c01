"""The compiled parts of statistics of one entity: parsed parameters, statements, and makers of the answer's objects.

Made on the first call of statistics, so that entities without such calls do not pay for it. All caches are bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import sqlalchemy as sa

from apilane.errors import ApilaneError, Code
from apilane.model.definition import Entity, Property
from apilane.model.statistics import GroupKey, Measure, parse_groups, parse_measures
from apilane.runtime.records import RecordMaker, row_maker
from apilane.runtime.shapes import SHAPES_KEPT, Shapes
from apilane.sql.aggregate import AggregateShape, DistinctShape, select_aggregates, select_distinct
from apilane.sql.dialect import Dialect
from apilane.sql.statement import Statement

__all__ = ["CompiledStatistics"]

T = TypeVar("T")
Readable = frozenset[str]

TEXTS_KEPT = 256
TEXT_LENGTH_KEPT = 300
"""Largest length of a parameter that is cached with its parsed form."""


class CompiledStatistics:
    """See the module. ``measures`` and ``groups`` raise the errors of ``parse_measures`` and ``parse_groups``."""

    def __init__(self, entity: Entity, table: sa.Table, dialect: Dialect) -> None:
        self._entity = entity
        self._table = table
        self._dialect = dialect
        self._properties = {p.name: p for p in entity.properties}
        self.measures = _short_texts(self._measures)
        """The aggregates of a ``properties`` parameter, and the names that the caller may read."""
        self.groups = _short_texts(self._groups)
        """The same for a ``groupBy`` parameter."""
        self.aggregates = Shapes(self._aggregates)
        self.distinct = Shapes(self._distinct)
        self.maker = lru_cache(SHAPES_KEPT)(self._maker)
        self.value_maker = lru_cache(SHAPES_KEPT)(self._value_maker)

    def _measures(self, text: str | None, readable: Readable) -> tuple[Measure, ...]:
        return parse_measures(text, self._entity, readable)

    def _groups(self, text: str | None, readable: Readable) -> tuple[GroupKey, ...]:
        return parse_groups(text, self._entity, readable)

    def _aggregates(self, shape: AggregateShape) -> Statement:
        return select_aggregates(self._entity, self._table, shape, self._dialect)

    def _distinct(self, shape: DistinctShape) -> Statement:
        return select_distinct(self._entity, self._table, shape, self._dialect)

    def _maker(self, measures: tuple[Measure, ...], groups: tuple[GroupKey, ...]) -> RecordMaker:
        """The maker of the objects of an aggregate. Raises INVALID_GROUPBY_PARAMETER when two values have one key."""
        keys = [*(each.key for each in measures), *(each.key for each in groups)]
        twice = next((key for position, key in enumerate(keys) if key in keys[:position]), None)
        if twice is not None:
            message = f"Invalid group by parameter: two values of the answer have the name '{twice}'; leave one out"
            raise ApilaneError(Code.INVALID_GROUPBY_PARAMETER, message, entity=self._entity.name)
        dialect = self._dialect
        converters = [dialect.aggregate_decoder(each.function, self._property(each.name)) for each in measures]
        converters += [
            dialect.decoder(self._property(name)) if part is None else dialect.date_part_decoder(part)
            for name, part in groups
        ]
        return row_maker(f"{self._entity.name}Statistics", keys, converters)

    def _value_maker(self, name: str) -> RecordMaker:
        return row_maker(f"{self._entity.name}Value", [name], [self._dialect.decoder(self._property(name))])

    def _property(self, name: str) -> Property:
        return self._properties[name]


def _short_texts(parse: Callable[[str | None, Readable], T]) -> Callable[[str | None, Readable], T]:
    """The parser with a cache for short texts: clients repeat the same few texts."""
    kept = lru_cache(TEXTS_KEPT)(parse)

    def read(text: str | None, readable: Readable) -> T:
        return (kept if text is None or len(text) <= TEXT_LENGTH_KEPT else parse)(text, readable)

    return read
