"""Checks whether the stored records fit a change of their tables, and counts those it affects. Nothing is changed.

``survey`` is a unit of reads, so that the same checks serve ``apilane apply --dry-run`` and, within the transaction
that changes the tables, the change itself. The database does the checks that it can do. Lengths in UTF-16 units,
decimals and encrypted texts are checked here, on the candidates that the database finds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from msgspec import Struct

from apilane.errors import ApilaneError
from apilane.model.definition import Entity, ForeignKey, Property, PropertyType
from apilane.model.formats import has_format, is_admitted
from apilane.model.migration import Migration, narrowings
from apilane.model.text import utf16_length
from apilane.model.values import value_reader
from apilane.security.encryption import Cipher
from apilane.sql.ddl import folded_columns, foreign_keys, tenant_key, unique_columns, visible_uniques
from apilane.sql.dialect import Dialect
from apilane.sql.fitting import (
    count_duplicates,
    count_where,
    duplicate_firsts,
    equal_ids,
    has_more_decimals,
    ids_where,
    is_longer,
    leads_nowhere,
    values_after,
)
from apilane.sql.statement import Statement, Value
from apilane.sql.tables import table_of
from apilane.storage.errors import StorageError
from apilane.storage.protocol import Result, Session, Step, Unit

__all__ = ["Misfit", "RecordsDoNotFit", "Survey", "survey", "survey_by_reads"]

IDS_SHOWN = 10
PAGE_ROWS = 1000


class Misfit(Struct, frozen=True):
    """Records that would not fit. ``path``: as in plan lines. ``ids``: the first ten; duplicates form groups."""

    path: str
    why: str
    records: int
    ids: tuple[tuple[int, ...], ...]

    def __str__(self) -> str:
        shown = "; ".join(", ".join(map(str, group)) for group in self.ids)
        more = " ..." if sum(map(len, self.ids)) < self.records else ""
        return f"{self.path}: {self.records:,} {_records(self.records)} {self.why} (ID {shown}{more})"


class Survey(Struct, frozen=True):
    """``concerned``: the number of records that the change deletes, or whose values it deletes or sets, by the path of
    the plan line.
    """

    concerned: dict[str, int]
    misfits: tuple[Misfit, ...]
    adopts: bool = False
    """The tables are taken over as they are, so nothing is lost."""


class RecordsDoNotFit(StorageError):
    """Records do not fit the change. Nothing was changed."""

    def __init__(self, misfits: Sequence[Misfit]) -> None:
        super().__init__("\n".join(f"  {each}" for each in misfits))
        self.misfits = tuple(misfits)


def _records(count: int) -> str:
    return "record" if count == 1 else "records"


def _default_problem(entity: Entity, property: Property) -> str | None:
    """Why a new required property refuses the value that existing records get. A default of its own always fits."""
    if property.default is not None:
        return None
    if property.type is PropertyType.String:
        default: object = ""
        shown = "an empty text"
    elif property.type is PropertyType.Number:
        default, shown = 0, "0"
    else:
        return None
    try:
        value_reader(entity.name, property, exact_decimals=True)(default)
    except ApilaneError as error:
        way = "add it without Required, give the records values, then require it"
        return f"would get {shown}, which the property refuses ({error.message}); {way}"
    return None


def survey(migration: Migration, dialect: Dialect, cipher: Cipher, *, counts: bool = True) -> Unit[Survey]:
    """Survey the tables before a change. ``cipher``: the application's. Without ``counts``: misfits only."""
    return _Surveyor(migration, dialect, cipher).survey(counts=counts)


async def survey_by_reads(unit: Unit[Survey], session: Session) -> Survey:
    """Run ``survey`` with separate reads, outside of a transaction, when no change follows."""
    try:
        step = unit.send(None)  # type: ignore[arg-type]  # how a generator starts
        while True:
            step = unit.send(Result(await session.fetch(step.statement, step.parameters)))
    except StopIteration as end:
        found: Survey = end.value
        return found


class _Surveyor:
    def __init__(self, migration: Migration, dialect: Dialect, cipher: Cipher) -> None:
        self._migration = migration
        self._dialect = dialect
        self._cipher = cipher
        self._kept = migration.kept_entities()
        self._old_by_new = {new.name: old for old, new in self._kept}
        self._new_by_old = {old.name: new.name for old, new in self._kept}
        self._misfits: list[Misfit] = []
        self._concerned: dict[str, int] = {}

    def survey(self, *, counts: bool) -> Unit[Survey]:
        for old, new in self._kept:
            if old != new or self._migration.exact_before:
                table = table_of(old, self._dialect)
                names = {was.name: now.name for was, now in self._migration.kept_properties(old, new)}
                if counts:
                    yield from self._count_property_changes(old, new, table, names)
                yield from self._narrowed(old, new, table)
                yield from self._wrong_defaults(new, table, names)
                yield from self._new_uniques(old, new, table, names)
                yield from self._new_references(old, new, table, names)
        if counts:
            for old in self._migration.before:
                if old.name not in self._new_by_old:
                    self._concerned[f"Entities[{old.name}]"] = yield from self._count(table_of(old, self._dialect))
        return Survey(self._concerned, tuple(self._misfits))

    # Queries

    def _ask(self, statement: Statement, values: Mapping[str, Value]) -> Generator[Step, Result, Sequence[Any]]:
        return (yield Step(statement, statement.parameters(values))).rows

    def _count(self, table: sa.Table, condition: sa.ColumnElement[bool] | None = None) -> Generator[Step, Result, int]:
        rows = yield from self._ask(count_where(table, condition, self._dialect), {})
        return int(rows[0][0])

    def _refuse_where(
        self, path: str, why: str, table: sa.Table, condition: sa.ColumnElement[bool] | None
    ) -> Generator[Step, Result, None]:
        """Every row that meets the condition is a misfit."""
        total = yield from self._count(table, condition)
        if total:
            rows = yield from self._ask(ids_where(table, condition, self._dialect), {"limit": IDS_SHOWN, "offset": 0})
            self._misfits.append(Misfit(path, why, total, (tuple(row[0] for row in rows),)))

    def _refuse_values(
        self, path: str, why: str, candidates: Statement, values: Mapping[str, Value], fits: Callable[[Any], bool]
    ) -> Generator[Step, Result, None]:
        """Every candidate (``values_after``) whose value does not fit is a misfit."""
        ids: list[int] = []
        total, after = 0, -(2**63)
        page = {**values, "limit": PAGE_ROWS, "offset": 0}
        while rows := (yield from self._ask(candidates, {**page, "after": after})):
            wrong = [row[0] for row in rows if not fits(row[1])]
            total += len(wrong)
            ids += wrong[: IDS_SHOWN - len(ids)]
            after = rows[-1][0]
        if total:
            self._misfits.append(Misfit(path, why, total, (tuple(ids),)))

    # Changes

    def _count_property_changes(
        self, old: Entity, new: Entity, table: sa.Table, names: Mapping[str, str]
    ) -> Generator[Step, Result, None]:
        for was in old.properties:
            if was.name not in names:
                path = f"Entities[{new.name}].Properties[{was.name}]"
                self._concerned[path] = yield from self._count(table, table.c[was.name].is_not(None))
        known = set(names.values())
        for now in new.properties:
            if now.name not in known and now.required:
                path = f"Entities[{new.name}].Properties[{now.name}]"
                self._concerned[path] = yield from self._count(table)

    def _narrowed(self, old: Entity, new: Entity, table: sa.Table) -> Generator[Step, Result, None]:
        for was, now in self._migration.kept_properties(old, new):
            column = table.c[was.name]
            path = f"Entities[{new.name}].Properties[{now.name}]"
            for key in narrowings(was, now):
                if key == "Required":
                    yield from self._refuse_where(f"{path}.Required", "without a value", table, column.is_(None))
                elif key == "Maximum":
                    yield from self._shortened(f"{path}.Maximum", table, was, now.maximum or 0)
                elif key in ("Values", "Format"):
                    yield from self._limited(f"{path}.{key}", table, was, now)
                else:
                    yield from self._rounded(f"{path}.DecimalPlaces", table, was, now.decimal_places or 0)

    def _wrong_defaults(self, new: Entity, table: sa.Table, names: Mapping[str, str]) -> Generator[Step, Result, None]:
        """Existing records get 0 or '' in a new required property, which its own rules may forbid."""
        for now in new.properties:
            if now.required and now.name not in names.values() and (problem := _default_problem(new, now)):
                path = f"Entities[{new.name}].Properties[{now.name}]"
                yield from self._refuse_where(path, problem, table, None)

    def _shortened(self, path: str, table: sa.Table, was: Property, maximum: int) -> Generator[Step, Result, None]:
        condition = table.c[was.name].is_not(None) if was.encrypted else is_longer(table.c[was.name], self._dialect)

        def fits(value: Any) -> bool:
            text = self._cipher.decrypt(value) if was.encrypted else value
            return text is None or utf16_length(text) <= maximum

        values = {} if was.encrypted else {"maximum": maximum}
        candidates = values_after(table, was.name, condition, self._dialect)
        yield from self._refuse_values(path, f"longer than {maximum}", candidates, values, fits)

    def _limited(self, path: str, table: sa.Table, was: Property, now: Property) -> Generator[Step, Result, None]:
        """Values that ``Values`` or ``Format`` does not admit."""
        why, format = "with a value that is not listed", now.format
        admits = is_admitted(now)
        if path.endswith(".Format") and format is not None:
            why, admits = f"without the format {format}", lambda value: has_format(format, str(value))

        def fits(value: Any) -> bool:
            text = self._cipher.decrypt(value) if was.encrypted else value
            return text is None or admits(text)

        candidates = values_after(table, was.name, table.c[was.name].is_not(None), self._dialect)
        yield from self._refuse_values(path, why, candidates, {}, fits)

    def _rounded(self, path: str, table: sa.Table, was: Property, decimals: int) -> Generator[Step, Result, None]:
        def fits(value: Any) -> bool:
            exponent = Decimal(str(value)).normalize().as_tuple().exponent
            return isinstance(exponent, int) and -exponent <= decimals

        why = f"with more than {decimals} decimal places" if decimals else "with decimal places"
        candidates = values_after(table, was.name, has_more_decimals(table.c[was.name]), self._dialect)
        yield from self._refuse_values(path, why, candidates, {"decimals": decimals}, fits)

    def _new_uniques(
        self, old: Entity, new: Entity, table: sa.Table, names: Mapping[str, str]
    ) -> Generator[Step, Result, None]:
        sources = {now: was for was, now in names.items()}
        before = {
            (frozenset(names.get(name, "") for name in properties), tenant_key(old, properties) is not None)
            for properties in visible_uniques(old)
        }
        listed = {frozenset(c.properties): c.properties for c in new.constraints if not isinstance(c, ForeignKey)}
        for properties in visible_uniques(new):
            texts = {sources.get(name, "") for name in folded_columns(new, properties)}
            tenant = tenant_key(new, properties)
            if (frozenset(properties), tenant is not None) in before and not (texts and self._migration.exact_before):
                continue
            named = frozenset(properties) - {tenant}
            path = f"Entities[{new.name}].Constraints[Unique {', '.join(listed[named])}]"
            fresh = [p for p in map(new.property, properties) if p is not None and p.name not in sources]
            if any(not p.required for p in fresh):
                continue  # null in every row; nulls are never equal
            columns = [sources[name] for name in properties if name in sources]
            if columns:
                carried = unique_columns(old, tuple(columns))
                yield from self._refuse_duplicates(path, table, carried, texts, tenant and sources[tenant])
            elif (yield from self._count(table)) > 1:  # every row gets the same default
                yield from self._refuse_where(path, "would have equal values", table, None)

    def _refuse_duplicates(
        self, path: str, table: sa.Table, columns: Sequence[str], folded: Collection[str], tenant: str | None
    ) -> Generator[Step, Result, None]:
        """``tenant``: the column where null equals null."""
        rows = yield from self._ask(count_duplicates(table, columns, self._dialect, folded, tenant), {})
        if not rows[0][0]:
            return
        page = {"limit": IDS_SHOWN, "offset": 0}
        firsts = yield from self._ask(duplicate_firsts(table, columns, self._dialect, folded, tenant), page)
        groups: list[tuple[int, ...]] = []
        left = IDS_SHOWN
        for (first,) in firsts:
            values = {"first": first, "limit": left, "offset": 0}
            group = yield from self._ask(equal_ids(table, columns, self._dialect, folded, tenant), values)
            groups.append(tuple(row[0] for row in group))
            left -= len(group)
            if left < 2:  # a group has two IDs or more
                break
        why = "with equal values in one tenant" if tenant else "with equal values"
        self._misfits.append(Misfit(path, why, int(rows[0][0]), tuple(groups)))

    def _new_references(
        self, old: Entity, new: Entity, table: sa.Table, names: Mapping[str, str]
    ) -> Generator[Step, Result, None]:
        sources = {now: was for was, now in names.items()}
        before = {(names.get(key.property), self._new_by_old.get(key.entity)) for key in foreign_keys(old)}
        for key in foreign_keys(new):
            if (key.property, key.entity) in before:
                continue
            path = f"Entities[{new.name}].Constraints[ForeignKey {key.property}]"
            why = f"with a reference to no record of {key.entity}"
            target = self._old_by_new.get(key.entity)
            if key.property in sources:
                to = table_of(target, self._dialect) if target is not None else None
                condition = leads_nowhere(table.c[sources[key.property]], to)
                yield from self._refuse_where(path, why, table, condition)
            elif (fresh := new.property(key.property)) is not None and fresh.required:
                yield from self._refuse_where(path, why, table, None)  # the default is 0, and no record has that ID
