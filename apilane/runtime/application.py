"""One application in memory, at one version: look-ups, access plans and compiled statements.

Built when the application is first called and again after every change of its definition; nothing here is written to.
All caches are bounded and keyed by shapes and role sets, never by user or address; a few hundred short texts of
``filter``, ``sort`` and ``properties`` are kept with what they mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from typing import Any

from apilane.control.store import ControlStore, StoredApplication
from apilane.errors import ApilaneError, Code, unauthorized
from apilane.model.definition import Action, Entity, Property, PropertyType, RateLimit, RuleKind, SortKey
from apilane.model.filter import parse_filter
from apilane.model.gates import Gates
from apilane.model.sort import parse_properties, parse_sort
from apilane.model.system import HELPER_TABLES
from apilane.model.values import value_reader
from apilane.runtime.access import Access, access_of, effective_limit, effective_rules, owner_access
from apilane.runtime.identities import Identities
from apilane.runtime.records import RecordMaker, record_maker
from apilane.security.encryption import Cipher
from apilane.security.identity import Actor
from apilane.sql.dialect import Dialect
from apilane.sql.filter import FilterShape, bind_filter
from apilane.sql.select import BY_ID, ReadShape, count_records, select_records
from apilane.sql.statement import Statement, Value
from apilane.sql.tables import table_of
from apilane.sql.write import Restriction
from apilane.storage.endpoints import EndpointAction, EndpointKind
from apilane.storage.protocol import Driver, Session

__all__ = ["ApplicationRuntime", "EntityRuntime", "enforcement_needs"]

SHAPES_KEPT = 256
"""Statement shapes kept per entity and kind; mostly a kilobyte each, 17 KB for a filter of 500 conditions."""
PLANS_KEPT = 1024
TEXTS_KEPT = 256
"""Texts of ``sort`` and ``properties`` kept per entity: clients send the same few."""

TEXT_LENGTH_KEPT = 300
"""Characters of a filter that is kept with its values: at most some 8 KB each, mostly one."""

BoundFilter = tuple[FilterShape | None, Mapping[str, Value]]
ValueReader = Callable[[object], Value]
ValueStore = Callable[[Any], Value]


def enforcement_needs(stored: StoredApplication) -> frozenset[str]:
    """What this application asks plugins to enforce (B-S13): ``IPPolicy``, ``RateLimit``."""
    definition = stored.definition
    needs = set()
    if definition.ip_policy is not None and definition.ip_policy.addresses:
        needs.add("IPPolicy")
    if any(rule.rate_limit is not None for rule in definition.rules):
        needs.add("RateLimit")
    return frozenset(needs)


class Shapes:
    """Statements by shape, built when first asked for; of ``SHAPES_KEPT`` the oldest is given up first."""

    __slots__ = ("_build", "_kept")

    def __init__(self, build: Callable[..., Statement]) -> None:
        self._build = build
        self._kept: dict[tuple[object, ...], Statement] = {}

    def __call__(self, *shape: Any) -> Statement:
        """The statement of a shape."""
        return self._kept.get(shape) or self._keep(shape, self._build(*shape))

    async def beside(self, *shape: Any) -> Statement:
        """The same for a shape that takes long to compile: in a thread, not on the event loop."""
        return self._kept.get(shape) or self._keep(shape, await asyncio.to_thread(self._build, *shape))

    def _keep(self, shape: tuple[object, ...], statement: Statement) -> Statement:
        if len(self._kept) >= SHAPES_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[shape] = statement
        return statement


class EntityRuntime:
    """One entity with its table and everything compiled for it."""

    def __init__(self, application: ApplicationRuntime, entity: Entity) -> None:
        self.entity = entity
        self.name = entity.name
        self.application = application
        self.dialect = application.dialect
        self.session = application.session
        self.table = table_of(entity, application.dialect)
        self.properties: dict[str, Property] = {p.name.lower(): p for p in entity.properties}
        self.readers: dict[str, ValueReader] = {
            p.name: value_reader(entity.name, p, exact_decimals=application.driver.features.exact_decimals)
            for p in entity.properties
        }
        self.stores: dict[str, ValueStore | None] = {p.name: self._store(p) for p in entity.properties}
        """By property: how a value is stored unless as it was read."""
        # functools.lru_cache around closures: bounded, and a hit costs one C call.
        self.read = Shapes(self._read)
        self.count = Shapes(self._count)
        self.maker = lru_cache(SHAPES_KEPT)(self._maker)
        self.by_id = lru_cache(SHAPES_KEPT)(self._by_id)
        self.statement = lru_cache(SHAPES_KEPT)(self._statement)
        self.select = lru_cache(TEXTS_KEPT)(parse_properties)
        self.sort = lru_cache(TEXTS_KEPT)(self._sort)
        self._short_filter = lru_cache(TEXTS_KEPT)(self._filter)

    def _read(self, shape: ReadShape) -> Statement:
        return select_records(self.entity, self.table, shape, self.application.dialect)

    def _count(self, restrictions: tuple[Restriction, ...], filter: FilterShape | None) -> Statement:
        return count_records(self.entity, self.table, restrictions, filter, self.application.dialect)

    def _maker(self, columns: tuple[str, ...]) -> RecordMaker:
        return record_maker(self.entity, columns, self.application.dialect, self.application.cipher)

    def _sort(self, text: str | None, readable: frozenset[str]) -> tuple[SortKey, ...] | None:
        return parse_sort(text, self.entity, readable)

    def _filter(self, text: str, readable: frozenset[str]) -> BoundFilter:
        node = parse_filter(text, self.entity, readable)
        if node is None:
            return None, {}
        shape, values = bind_filter(node, self.dialect)
        return shape, {f"f{position}": value for position, value in enumerate(values)}

    def filter(self, text: str, readable: frozenset[str]) -> BoundFilter:
        """The shape of a ``filter`` parameter and its values by name; None and none when it sets no condition.

        Raises what ``parse_filter`` does. Lists on a screen send the same texts again and again: found again they cost
        0.5 us and not the 6 us of reading them; one that is new costs 0.5 us more.
        """
        return (self._short_filter if len(text) <= TEXT_LENGTH_KEPT else self._filter)(text, readable)

    def _by_id(self, columns: tuple[str, ...], restrictions: tuple[Restriction, ...]) -> tuple[Statement, RecordMaker]:
        shape = ReadShape(columns, (BY_ID, *restrictions), None, (), False)
        return self._read(shape), self._maker(columns)

    def _statement(self, build: Callable[..., Statement], *arguments: Any) -> Statement:
        return build(self.table, *arguments, dialect=self.application.dialect)

    def _store(self, property: Property) -> ValueStore | None:
        """Booleans for the client library, encrypted text."""
        if property.encrypted:
            encrypt = self.application.cipher.encrypt
            return lambda value: encrypt(str(value))
        return self.dialect.encode_boolean if property.type is PropertyType.Boolean else None

    def encode(self, property: Property, value: Value) -> Value:
        """A portable value as it is stored."""
        store = self.stores[property.name]
        return value if store is None or value is None else store(value)


class EntityRuntimes(dict[str, EntityRuntime]):
    """By name, each made when ``[]`` first asks for it; what was not asked for is not in here. ``entities``: by name.

    Making all took 8 of the 9 ms that loading an application of five entities cost.
    """

    def __init__(self, application: ApplicationRuntime, entities: Mapping[str, Entity]) -> None:
        super().__init__()
        self._application = application
        self._entities = entities

    def __missing__(self, name: str) -> EntityRuntime:
        made = self[name] = EntityRuntime(self._application, self._entities[name])
        return made


class ApplicationRuntime:
    """One application at one version. ``needs``: enforcement it asks for that no plugin provides (B-S13).

    ``control``: where owners' writes are put on record.
    """

    def __init__(
        self,
        stored: StoredApplication,
        driver: Driver,
        session: Session,
        gates: Gates,
        endpoint_kinds: Mapping[str, EndpointKind],
        *,
        control: ControlStore,
    ) -> None:
        self.stored = stored
        self.control = control
        self.definition = stored.definition
        self.token = stored.definition.token
        self.driver = driver
        self.dialect: Dialect = driver.dialect
        self.session = session
        self.cipher = Cipher(stored.secrets.encryption_key)
        self.token_key = stored.secrets.token_key
        self.online = stored.definition.online
        self.is_used = True
        """Called since room was last looked for."""
        self.needs = enforcement_needs(stored) - gates.enforced
        checks = (check.prepare(stored.definition) for check in gates.availability_checks)
        self.address_checks = tuple(check for check in checks if check is not None)
        self.limiters = gates.limiters
        self.throttles = gates.throttles
        self.entities = EntityRuntimes(self, {e.name.lower(): e for e in stored.definition.entities})
        self.endpoints = {e.name.lower(): e for e in stored.definition.custom_endpoints}
        self.endpoint_kinds = endpoint_kinds
        self.endpoint_action = lru_cache(SHAPES_KEPT)(self._compile_endpoint)
        self.helpers = EntityRuntimes(self, {e.name: e for e in HELPER_TABLES})
        self.tokens = Identities(self)
        self._plan = lru_cache(PLANS_KEPT)(self._compile_plan)
        self._owner_plan = lru_cache(PLANS_KEPT)(self._compile_owner_plan)
        self._permit = lru_cache(PLANS_KEPT)(self._compile_permit)

    @cached_property
    def users(self) -> EntityRuntime:
        """The entity Users."""
        return self.entities["users"]

    @cached_property
    def auth_tokens(self) -> EntityRuntime:
        """The entity AuthTokens."""
        return self.entities["authtokens"]

    def _compile_plan(self, name: str, action: Action, authenticated: bool, roles: frozenset[str]) -> Access | None:
        entity = self.entities[name].entity
        return access_of(self.definition, entity, action, authenticated=authenticated, roles=roles)

    def _compile_owner_plan(self, name: str, action: Action) -> Access:
        return owner_access(self.definition, self.entities[name].entity, action)

    def _compile_permit(
        self, kind: RuleKind, name: str, authenticated: bool, roles: frozenset[str]
    ) -> tuple[RateLimit | None] | None:
        rules = self.definition.rules
        found = effective_rules(rules, kind, name, Action.get, authenticated=authenticated, roles=roles)
        return (effective_limit(found),) if found else None

    def _compile_endpoint(self, name: str) -> EndpointAction | None:
        """The action of the endpoint of that lower-case name; None when nobody knows its kind."""
        endpoint = self.endpoints[name]
        kind = self.endpoint_kinds.get(endpoint.kind.lower())
        return kind.compile(endpoint, self) if kind is not None else None

    def records_changed(self) -> None:
        """Forget what is kept of users and tokens: somebody wrote records around the Data calls."""
        self.tokens.forget()

    def entity(self, typed: str) -> EntityRuntime:
        """The entity a caller named; ERROR with the name as typed when there is none."""
        try:
            return self.entities[typed.lower()]
        except KeyError:
            told = f"Entity {typed} does not exist" if typed else None
            raise ApilaneError(Code.ERROR, told, entity=None if typed else "") from None

    def access(self, entity: EntityRuntime, action: Action, actor: Actor) -> Access:
        """The caller's plan for an entity; UNAUTHORIZED when no rule grants the action."""
        if actor.owner is not None:
            return self._owner_plan(entity.name.lower(), action)
        plan = self._plan(entity.name.lower(), action, actor.user_id is not None, actor.roles)
        if plan is None:
            raise unauthorized(entity.name)
        return plan

    def permit(self, kind: RuleKind, name: str, actor: Actor) -> RateLimit | None:
        """The caller's limit on a Schema or endpoint call; UNAUTHORIZED when no rule grants it. ``name``: canonical."""
        if actor.owner is not None:
            return None
        permit = self._permit(kind, name, actor.user_id is not None, actor.roles)
        if permit is None:
            raise unauthorized(name)
        return permit[0]
