"""One application in memory, at one version: look-ups, and its compiled parts (``apilane.runtime.compiled``).

Built when the application is first called, and again after every change of its definition. The definition in it never
changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from typing import Any, TypeVar

import sqlalchemy as sa
from msgspec import Struct, ValidationError

from apilane.control.records import StoredApplication
from apilane.dispatch import Gates
from apilane.errors import ApilaneError, Code, ConfigurationError, continued, unauthorized
from apilane.events.outbox import ApplicationOutbox, Outboxes
from apilane.events.record_handlers import RecordHandlers
from apilane.model.definition import (
    Action,
    ApplicationDefinition,
    Entity,
    ForeignKey,
    Property,
    RateLimit,
    RuleKind,
)
from apilane.model.enforcement import needs_enforcing
from apilane.model.hints import shortened
from apilane.model.sections import read_section, section_key
from apilane.model.system import HELPER_TABLES
from apilane.plugin.accounts import Accounts
from apilane.plugin.data import ApplicationData
from apilane.plugin.endpoints import EndpointAction, EndpointKind
from apilane.plugin.identity import Actor
from apilane.plugin.settings import PluginSettings
from apilane.runtime.access import AccessPlan
from apilane.runtime.compiled import Compilations, CompiledEntity
from apilane.runtime.identities import Identities
from apilane.runtime.trust import Misses, Trusted
from apilane.security.encryption import Cipher
from apilane.security.secret import Secret
from apilane.security.tokens import token_hash
from apilane.sql.dialect import Dialect
from apilane.sql.statement import Value
from apilane.storage.protocol import Driver, Session

__all__ = ["ApplicationRuntime", "EntityRuntime"]

S = TypeVar("S", bound=Struct)

ENDPOINTS_KEPT = 256
EXPANSIONS_KEPT = 64
"""Parsed values of ``expand`` that are kept for each entity."""


class EntityRuntime:
    """One entity of an application: its compiled parts, and the session of its records."""

    __slots__ = (
        "application",
        "by_id",
        "compiled",
        "count",
        "defaults",
        "dialect",
        "entity",
        "expansion",
        "filter",
        "guarded",
        "key",
        "maker",
        "name",
        "properties",
        "read",
        "readers",
        "select",
        "session",
        "sort",
        "statement",
        "stores",
        "table",
        "writers",
        "writers_of",
    )

    def __init__(self, application: ApplicationRuntime, compiled: CompiledEntity) -> None:
        self.application = application
        self.session = application.session
        self.compiled = compiled
        self.entity = compiled.entity
        self.name = compiled.entity.name
        self.guarded = _guarded(application.definition, compiled.entity)
        """The references whose target a write must look up (B-X5)."""
        self.key = compiled.key
        self.dialect = compiled.dialect
        self.table = compiled.table
        self.properties = compiled.properties
        self.readers = compiled.readers
        self.stores = compiled.stores
        self.writers = compiled.writers
        self.defaults = compiled.defaults
        self.writers_of = compiled.writers_of
        self.read = compiled.read
        self.count = compiled.count
        self.maker = compiled.maker
        self.by_id = compiled.by_id
        self.statement = compiled.statement
        self.select = compiled.select
        self.sort = compiled.sort
        self.filter = compiled.filter
        self.expansion = lru_cache(EXPANSIONS_KEPT)(self._expansion)
        """The result of a function of a text, another one and this entity; clients repeat the same few texts."""

    def _expansion(self, parse: Callable[[str, str | None, EntityRuntime], Any], text: str, more: str | None) -> Any:
        return parse(text, more, self)

    def encode(self, property: Property, value: Value) -> Value:
        """A portable value in its stored form."""
        store = self.stores[property.name]
        return value if store is None or value is None else store(value)


def _guarded(definition: ApplicationDefinition, entity: Entity) -> tuple[ForeignKey, ...]:
    """The references to records of tenants, or within reach. The server sets those of the system itself."""
    return tuple(
        each
        for each in entity.constraints
        if isinstance(each, ForeignKey)
        and not each.is_system
        and (each.within_reach or ((target := definition.entity(each.entity)) is not None and target.differentiation))
    )


class EntityRuntimes(dict[str, EntityRuntime]):
    """Entities by name. Entries are made on first use by ``[]``; ``get`` and ``in`` find only entries already made.

    ``entities``: the definitions by name. Making all entries took 8 of the 9 ms of loading an application with five
    entities.
    """

    def __init__(self, application: ApplicationRuntime, entities: Mapping[str, Entity]) -> None:
        super().__init__()
        self._application = application
        self._entities = entities

    def __missing__(self, name: str) -> EntityRuntime:
        application = self._application
        compiled = application.compilations.entity(self._entities[name], application.driver, application.cipher)
        made = self[name] = EntityRuntime(application, compiled)
        return made


class ApplicationRuntime:
    """One application at one version. ``needs``: the parts that no loaded plugin enforces (B-S13)."""

    data: ApplicationData
    """Set when the application is loaded; its implementation uses services, which are above this package."""
    accounts: Accounts
    """Set like ``data``."""

    def __init__(
        self,
        stored: StoredApplication,
        driver: Driver,
        session: Session,
        gates: Gates,
        endpoint_kinds: Mapping[str, EndpointKind],
        *,
        tables: Mapping[str, sa.Table],
        compilations: Compilations,
        settings: Mapping[str, PluginSettings],
        outboxes: Outboxes,
        record_handlers: RecordHandlers,
        misses: Misses,
    ) -> None:
        self.stored = stored
        self._options: dict[type[Struct], Any] = {}
        self._sections = {each.application: name for name, each in settings.items() if each.application is not None}
        self.compilations = compilations
        self.definition = stored.definition
        self.token = stored.definition.token
        self.driver = driver
        self.dialect: Dialect = driver.dialect
        self.session = session
        self.cipher = Cipher(stored.secrets.encryption_key)
        self.token_key = stored.secrets.token_key
        self.online = stored.definition.online
        self.is_used = True
        """Whether the application was called since the last search for applications to close."""
        self.needs = needs_enforcing(stored.definition) - gates.enforced
        self.limiters = gates.limiters
        self.batch_limiter = gates.batch_limiter
        self.throttles = gates.throttles
        self.sign_in_steps = gates.sign_in_steps
        self.counters = gates.counters
        self.entities = EntityRuntimes(self, {e.name.lower(): e for e in stored.definition.entities})
        self.endpoints = {e.name.lower(): e for e in stored.definition.custom_endpoints}
        self.endpoint_kinds = endpoint_kinds
        self._tables = tables
        self._outboxes = outboxes
        self.record_handlers = record_handlers.of(self)
        """None when no plugin handles changes of records."""
        self.endpoint_action = lru_cache(ENDPOINTS_KEPT)(self._compile_endpoint)
        self.helpers = EntityRuntimes(self, {e.name: e for e in HELPER_TABLES})
        self.running_keys: set[str] = set()
        """Requests with an Idempotency-Key that run in this process."""
        self.misses = misses
        self.tokens = Identities(self)
        self.trusted: Callable[[str], Trusted[str, Any]] = self.tokens.trusted.__getitem__
        """A cache of credentials for one purpose, dropped together with the cached users and tokens. The function is
        written in C: a call takes 0.04 us."""
        plans = self._plans = compilations.plans(stored.definition, driver)
        self._plan, self._operator_plan, self._permit = plans.plan, plans.operator_plan, plans.permit
        checks = ((check.prepare(self), check) for check in gates.availability_checks)
        self.checks = tuple((check, source) for check, source in checks if check is not None)
        """Each check with the object that prepared it."""

    @cached_property
    def users(self) -> EntityRuntime:
        """The entity Users."""
        return self.entities["users"]

    @cached_property
    def auth_tokens(self) -> EntityRuntime:
        """The entity AuthTokens."""
        return self.entities["authtokens"]

    @cached_property
    def outbox(self) -> ApplicationOutbox:
        """Messages that are stored with a change and delivered afterwards."""
        return self._outboxes.of(self.token, self.session, self.dialect, self.cipher)

    @property
    def mail_password(self) -> Secret | None:
        """The password of the mail settings."""
        text = self.stored.secrets.mail_password
        return None if text is None else Secret(text)

    def _compile_endpoint(self, name: str) -> EndpointAction | None:
        """The action of the endpoint with that lower-case name; None when no loaded plugin has its kind."""
        endpoint = self.endpoints[name]
        kind = self.endpoint_kinds.get(endpoint.kind.lower())
        return kind.compile(endpoint, self) if kind is not None else None

    def options(self, kind: type[S]) -> S:
        """The section of a plugin, as its registered Struct; LookupError for an unregistered Struct."""
        if kind not in self._options:
            if kind not in self._sections:
                raise LookupError(f"{kind.__name__} is not the Struct of a plugin's section")
            self._options[kind] = self._read_section(self._sections[kind], kind)
        options: S = self._options[kind]
        return options

    def _read_section(self, plugin: str, kind: type[S]) -> S:
        try:
            return read_section(self.definition.plugins.get(plugin) or {}, kind, self.stored.secrets.plugins)
        except ValidationError as error:
            raise ConfigurationError(
                f"The section {section_key(plugin)} of application {self.token} does not fit the installed version of "
                f"the plugin: {error}. Apply a manifest that has this section as the plugin expects it."
            ) from error

    def table(self, name: str) -> sa.Table:
        """The helper table that a plugin registered with that name; LookupError when there is none."""
        try:
            return self._tables[name]
        except KeyError:
            raise LookupError(f"no loaded plugin registers a table {name!r}") from None

    def key(self, purpose: str) -> bytes:
        """32 secret bytes for one purpose. No hash of a token is made from the same text: tokens are GUIDs."""
        return bytes.fromhex(token_hash(self.token_key, f"key: {purpose}"))

    def records_changed(self) -> None:
        """Drop the cached users, tokens and credentials, after records were written without the Data calls."""
        self.tokens.forget()

    def entity(self, typed: str) -> EntityRuntime:
        """The entity that a caller named; if it does not exist, ERROR with the name as sent."""
        try:
            return self.entities[typed.lower()]
        except KeyError:
            if not typed:
                message = continued(Code.ERROR, "the parameter entity is missing")
                raise ApilaneError(Code.ERROR, message, entity="") from None
            raise ApilaneError(Code.ERROR, f"Entity {shortened(typed)} does not exist") from None

    def access(self, entity: EntityRuntime, action: Action, actor: Actor) -> AccessPlan:
        """The caller's plan for an entity; UNAUTHORIZED when no rule grants the action."""
        if actor.kind == "operator":
            return self._operator_plan(entity.key, action)
        plan = self._plan(entity.key, action, actor.kind != "anonymous", actor.roles, actor.scopes)
        if plan is None:
            raise unauthorized(entity.name)
        return plan

    def granted(self, action: Action, actor: Actor) -> list[str]:
        """The names of the entities on which the caller may do ``action``; for messages."""
        names = []
        for entity in self.entities.values():
            try:
                self.access(entity, action, actor)
            except ApilaneError:
                continue
            names.append(entity.name)
        return names

    def permit(self, kind: RuleKind, name: str, actor: Actor) -> RateLimit | None:
        """The caller's rate limit of a Schema or endpoint call; UNAUTHORIZED when no rule grants it. ``name``:
        canonical.
        """
        if actor.kind == "operator":
            return None
        permit = self._permit(kind, name, actor.kind != "anonymous", actor.roles, actor.scopes)
        if permit is None:
            raise unauthorized(name)
        return permit[0]
