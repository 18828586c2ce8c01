"""Compiled parts of definitions: statements, readers and makers of entities, and access plans of rules.

Applications with equal entities or rules share these parts, so that thousands of copies of one application use little
memory and time. Parts that depend on an application's key are not shared.

All caches are bounded. Their keys are shapes and role sets, never users or addresses. A few hundred short texts of
``filter``, ``sort`` and ``properties`` are cached with their parsed form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from typing import Any
from weakref import WeakValueDictionary

from msgspec.structs import replace

from apilane.model.defaults import default_maker
from apilane.model.definition import (
    Action,
    ApplicationDefinition,
    Entity,
    Property,
    PropertyType,
    RateLimit,
    Rule,
    RuleKind,
    SortKey,
)
from apilane.model.filter import parse_filter
from apilane.model.scopes import Scopes, in_scope
from apilane.model.sort import parse_properties, parse_sort
from apilane.model.values import value_reader
from apilane.runtime.access import (
    AccessPlan,
    access_of,
    effective_limit,
    effective_rules,
    operator_access,
)
from apilane.runtime.conditions import OtherTables
from apilane.runtime.records import RecordMaker, record_maker
from apilane.runtime.shapes import SHAPES_KEPT, Shapes
from apilane.runtime.statistics import CompiledStatistics
from apilane.security.encryption import Cipher
from apilane.sql.dialect import Dialect
from apilane.sql.filter import FilterShape, bind_filter
from apilane.sql.select import Mask, ReadShape, count_records, select_records
from apilane.sql.statement import Statement, Value
from apilane.sql.tables import table_of
from apilane.sql.write import BY_ID, Restriction
from apilane.storage.protocol import Driver

__all__ = ["AccessPlans", "BoundFilter", "Compilations", "CompiledEntity", "ValueReader"]

PLANS_KEPT = 1024
TEXTS_KEPT = 512
"""Texts of ``sort`` and ``properties`` cached per entity, because clients repeat the same few texts."""

TEXT_LENGTH_KEPT = 300
"""Largest length of a filter that is cached with its values; an entry takes at most about 8 KB, usually one."""

BoundFilter = tuple[FilterShape | None, Mapping[str, Value]]
ValueReader = Callable[[object], Value]
ValueStore = Callable[[Any], Value]


class CompiledEntity:
    """One entity on one provider: its table and all its compiled parts.

    ``cipher``: of the only application that uses this object; not needed for an entity without encrypted properties.
    """

    def __init__(self, entity: Entity, driver: Driver, cipher: Cipher | None = None) -> None:
        self.entity = entity
        self.key = entity.name.lower()
        self.dialect = driver.dialect
        self._cipher = cipher
        self.table = table_of(entity, driver.dialect)
        self.properties: dict[str, Property] = {p.name.lower(): p for p in entity.properties}
        self.readers: dict[str, ValueReader] = {
            p.name: value_reader(entity.name, p, exact_decimals=driver.features.exact_decimals)
            for p in entity.properties
        }
        self.stores: dict[str, ValueStore | None] = {p.name: self._store(p) for p in entity.properties}
        """By property: the function from a read value to its stored form; None if both are the same."""
        self.writers: dict[str, ValueReader] = {
            name: _stored(read, self.stores[name]) for name, read in self.readers.items()
        }
        """By property: the function from a sent value to its stored form."""
        self.defaults: tuple[tuple[str, Callable[[], Value]], ...] = tuple(
            (p.name, default_maker(p, self.writers[p.name])) for p in entity.properties if p.default is not None
        )
        """By property: the function that makes its default in the stored form."""
        # functools.lru_cache is bounded, and a hit costs one C call.
        self.writers_of = lru_cache(SHAPES_KEPT)(self._writers_of)
        self.read = Shapes(self._read)
        self.count = Shapes(self._count)
        self.maker = lru_cache(SHAPES_KEPT)(self._maker)
        self.by_id = lru_cache(SHAPES_KEPT)(self._by_id)
        self.statement = lru_cache(SHAPES_KEPT)(self._statement)
        self.select = lru_cache(TEXTS_KEPT)(parse_properties)
        self.sort = lru_cache(TEXTS_KEPT)(self._sort)
        self._short_filter = lru_cache(TEXTS_KEPT)(self._filter)

    @cached_property
    def statistics(self) -> CompiledStatistics:
        """The compiled parts of statistics, made on first use."""
        return CompiledStatistics(self.entity, self.table, self.dialect)

    def _read(self, shape: ReadShape) -> Statement:
        return select_records(self.entity, self.table, shape, self.dialect)

    def _count(self, restrictions: tuple[Restriction, ...], filter: FilterShape | None) -> Statement:
        return count_records(self.entity, self.table, restrictions, filter, self.dialect)

    def _writers_of(self, names: tuple[str, ...]) -> tuple[tuple[str, ValueReader], ...]:
        return tuple((name, self.writers[name]) for name in names)

    def _maker(self, columns: tuple[str, ...], *, expandable: bool = False) -> RecordMaker:
        return record_maker(self.entity, columns, self.dialect, self._cipher, expandable=expandable)

    def _sort(self, text: str | None, readable: frozenset[str]) -> tuple[SortKey, ...] | None:
        return parse_sort(text, self.entity, readable)

    def _filter(self, text: str, readable: frozenset[str]) -> BoundFilter:
        node = parse_filter(text, self.entity, readable)
        if node is None:
            return None, {}
        shape, values = bind_filter(node, self.dialect)
        return shape, {f"f{position}": value for position, value in enumerate(values)}

    def filter(self, text: str, readable: frozenset[str]) -> BoundFilter:
        """The shape of a ``filter`` parameter, and its values by name; None and no values when it sets no condition.

        Raises the errors of ``parse_filter``. Clients send the same texts again and again: a cached text costs 0.5 us
        instead of the 6 us of parsing it; a new text costs 0.5 us more.
        """
        return (self._short_filter if len(text) <= TEXT_LENGTH_KEPT else self._filter)(text, readable)

    def _by_id(
        self, columns: tuple[str, ...], restrictions: tuple[Restriction, ...], masks: tuple[Mask, ...] = ()
    ) -> tuple[Statement, RecordMaker]:
        shape = ReadShape(columns, (BY_ID, *restrictions), None, (), False, masks=masks)
        return self._read(shape), self._maker(columns)

    def _statement(self, build: Callable[..., Statement], *arguments: Any) -> Statement:
        return build(self.table, *arguments, dialect=self.dialect)

    def _store(self, property: Property) -> ValueStore | None:
        """The function from a read value to its stored form: for Booleans and encrypted text."""
        if property.encrypted:
            if self._cipher is None:
                raise ValueError(f"{self.entity.name}.{property.name} is encrypted, and there is no key")
            encrypt = self._cipher.encrypt
            return lambda value: encrypt(str(value))
        return self.dialect.encode_boolean if property.type is PropertyType.Boolean else None


def _stored(read: ValueReader, store: ValueStore | None) -> ValueReader:
    if store is None:
        return read
    return lambda sent: None if (value := read(sent)) is None else store(value)


class AccessPlans:
    """The access plans of role sets, compiled on first use. ``definition``: has only entities and rules."""

    def __init__(self, definition: ApplicationDefinition, dialect: Dialect) -> None:
        self.definition = definition
        self._others = OtherTables(definition, dialect)
        self.plan = lru_cache(PLANS_KEPT)(self._plan)
        self.operator_plan = lru_cache(PLANS_KEPT)(self._operator_plan)
        self.permit = lru_cache(PLANS_KEPT)(self._permit)

    def _plan(
        self, entity: str, action: Action, authenticated: bool, roles: frozenset[str], scopes: Scopes
    ) -> AccessPlan | None:
        """The plan for an entity; None when no rule grants the action."""
        return access_of(
            self.definition,
            self._entity(entity),
            action,
            authenticated=authenticated,
            roles=roles,
            others=self._others,
            scopes=scopes,
        )

    def _operator_plan(self, entity: str, action: Action) -> AccessPlan:
        return operator_access(self.definition, self._entity(entity), action)

    def _permit(
        self, kind: RuleKind, name: str, authenticated: bool, roles: frozenset[str], scopes: Scopes
    ) -> tuple[RateLimit | None] | None:
        """The rate limit of a Schema or endpoint call; None when no rule grants it."""
        rules = self.definition.rules
        found = effective_rules(rules, kind, name, Action.get, authenticated=authenticated, roles=roles)
        return (effective_limit(found),) if found and in_scope(scopes, kind, name, Action.get) else None

    def _entity(self, name: str) -> Entity:
        found = self.definition.entity(name)
        if found is None:
            raise KeyError(name)
        return found


class Compilations:
    """The compiled parts in memory, each kept as long as an application uses it."""

    def __init__(self) -> None:
        self._entities: WeakValueDictionary[tuple[str, Entity], CompiledEntity] = WeakValueDictionary()
        self._plans: WeakValueDictionary[tuple[str, tuple[Entity, ...], tuple[Rule, ...], str | None], AccessPlans] = (
            WeakValueDictionary()
        )

    def entity(self, entity: Entity, driver: Driver, cipher: Cipher) -> CompiledEntity:
        """The compiled entity for the application with ``cipher``."""
        if any(p.encrypted for p in entity.properties):
            return CompiledEntity(entity, driver, cipher)
        key = driver.name, entity
        compiled = self._entities.get(key)
        if compiled is None:
            compiled = self._entities[key] = CompiledEntity(entity, driver)
        return compiled

    def plans(self, definition: ApplicationDefinition, driver: Driver) -> AccessPlans:
        """The access plans of a definition, which depend on its provider, its entities, its rules and its
        differentiation entity.
        """
        _, entities, rules, tenant = key = (
            driver.name,
            definition.entities,
            definition.rules,
            definition.differentiation_entity,
        )
        plans = self._plans.get(key)
        if plans is None:
            alone = ApplicationDefinition(
                token="", name="", entities=entities, rules=rules, differentiation_entity=tenant
            )
            plans = self._plans[key] = AccessPlans(alone, driver.dialect)
        return plans

    def share(self, definition: ApplicationDefinition, driver: Driver) -> ApplicationDefinition:
        """The same definition, with equal entities and rules replaced by the objects that are in memory already."""
        known = self.plans(definition, driver).definition
        return replace(definition, entities=known.entities, rules=known.rules)
