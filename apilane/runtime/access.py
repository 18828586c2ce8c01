"""Access plans: what a set of roles may do with one entity or endpoint, compiled once from the rules.

Source: ``spec/security.md`` sections 2 and 3. A plan is found by (authenticated, roles, name, action) and says which
properties, which restriction on records, which limits; it is never keyed by a user or an address.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from apilane.model.definition import Action, ApplicationDefinition, Entity, RateLimit, RecordScope, Rule, RuleKind
from apilane.security.identity import Actor
from apilane.sql.statement import Value
from apilane.sql.write import Restriction

__all__ = [
    "ANONYMOUS_ROLE",
    "AUTHENTICATED_ROLE",
    "WINDOWS_S",
    "Access",
    "RecordFilter",
    "access_of",
    "effective_limit",
    "effective_rules",
    "owner_access",
]

ANONYMOUS_ROLE = "ANONYMOUS"
AUTHENTICATED_ROLE = "AUTHENTICATED"
WINDOWS_S = {"Second": 1, "Minute": 60, "Hour": 3600}
"""Seconds in a rate limit's unit."""


class RecordFilter(Struct, frozen=True):
    """Which records an actor may touch: restrictions to bind with ``values``. Nothing at all is ``None`` instead."""

    restrictions: tuple[Restriction, ...] = ()
    values: dict[str, Value] = {}


EVERYTHING = RecordFilter()


class Access(Struct, frozen=True, kw_only=True):
    """What the effective rules grant. ``properties`` are schema names in schema order, with ``ID`` for a get."""

    properties: tuple[str, ...]
    readable: frozenset[str]
    """``properties`` in lower case, for filter and sort."""
    owned_column: str | None = None
    """Column that must hold ``owned_by`` of the actor; None: every record."""
    owned_by: str = "user"
    """``user``: the actor's ID; ``tenant``: the actor's differentiation value."""
    tenant_column: str | None = None
    """The differentiation column; None: no separation."""
    limit: RateLimit | None = None
    """How often the caller may do it; None: as often as they like."""

    def records(self, actor: Actor) -> RecordFilter | None:
        """The records within reach of ``actor``; None when there are none at all."""
        restrictions: list[Restriction] = []
        values: dict[str, Value] = {}
        if self.owned_column is not None:
            owner = actor.user_id if self.owned_by == "user" else actor.tenant
            if actor.user_id is None or owner is None:
                return None  # B-S3: Owned without somebody who could own
            restrictions.append((self.owned_column, "owner"))
            values["owner"] = owner
        if self.tenant_column is not None:
            if actor.tenant is None:
                restrictions.append((self.tenant_column, None))
            else:
                restrictions.append((self.tenant_column, "tenant"))
                values["tenant"] = actor.tenant
        if not restrictions:
            return EVERYTHING
        return RecordFilter(tuple(restrictions), values)


def effective_rules(
    rules: Iterable[Rule], kind: RuleKind, name: str, action: Action, *, authenticated: bool, roles: frozenset[str]
) -> tuple[Rule, ...]:
    """Stored rules for it whose role the caller has; names ignore letter case, roles are exact."""
    wanted = name.lower()
    return tuple(
        rule
        for rule in rules
        if rule.kind is kind
        and rule.action is action
        and rule.name.lower() == wanted
        and (rule.role == ANONYMOUS_ROLE or (authenticated and (rule.role == AUTHENTICATED_ROLE or rule.role in roles)))
    )


def _owned(definition: ApplicationDefinition, entity: Entity) -> tuple[str | None, str]:
    """Where ``Owned`` looks in an entity (B-S4)."""
    owner = entity.property("Owner")
    if owner is not None and owner.is_system:
        return "Owner", "user"
    if entity.is_system and entity.name == "Users":
        return "ID", "user"
    if entity.name == definition.differentiation_entity:
        return "ID", "tenant"
    return None, "user"


def effective_limit(rules: Iterable[Rule]) -> RateLimit | None:
    """The limit of a caller's effective rules: none if any has none, else the one that admits most per second."""
    limits = [rule.rate_limit for rule in rules]
    found = [limit for limit in limits if limit is not None]
    if not found or len(found) < len(limits):
        return None
    return max(found, key=lambda limit: limit.max_requests / WINDOWS_S[limit.per])


def access_of(
    definition: ApplicationDefinition, entity: Entity, action: Action, *, authenticated: bool, roles: frozenset[str]
) -> Access | None:
    """The plan for an entity and an action; None when no rule grants it."""
    rules = effective_rules(
        definition.rules, RuleKind.Entity, entity.name, action, authenticated=authenticated, roles=roles
    )
    if not rules:
        return None
    granted = {name.lower() for rule in rules for name in rule.properties}
    if action is Action.get:
        granted.add("id")
    else:
        granted &= writable_names(entity)
    properties = tuple(p.name for p in entity.properties if p.name.lower() in granted)
    owned_column, owned_by = None, "user"
    # Owned wins when scopes are mixed (B-S1); it means nothing for post.
    if action is not Action.post and any(rule.record is RecordScope.Owned for rule in rules):
        owned_column, owned_by = _owned(definition, entity)
    return Access(
        properties=properties,
        readable=frozenset(name.lower() for name in properties),
        owned_column=owned_column,
        owned_by=owned_by,
        tenant_column=_tenant_column(definition, entity),
        limit=effective_limit(rules),
    )


def owner_access(definition: ApplicationDefinition, entity: Entity, action: Action) -> Access:
    """An owner's plan: every property that clients can have to do with, every record, no limit.

    Unlike anybody else an owner may write the differentiation property (B-D11).
    """
    names = {p.name.lower() for p in entity.properties}
    if action is not Action.get:
        tenant = _tenant_column(definition, entity)
        names = {*writable_names(entity), *([tenant.lower()] if tenant else [])}
    properties = tuple(p.name for p in entity.properties if p.name.lower() in names)
    return Access(properties=properties, readable=frozenset(name.lower() for name in properties))


def _tenant_column(definition: ApplicationDefinition, entity: Entity) -> str | None:
    return f"{definition.differentiation_entity}_ID" if entity.differentiation else None


def writable_names(entity: Entity) -> frozenset[str]:
    """Properties, in lower case, that clients may write through Data Post and Put (data-model.md section 3)."""
    names = {p.name.lower() for p in entity.properties if not p.is_system}
    if entity.is_system and entity.name == "Users":
        names |= {"email", "username", "password", "roles"}
    return frozenset(names)
