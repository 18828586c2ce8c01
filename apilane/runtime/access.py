"""Access plans: the rights of a caller on one entity or endpoint, compiled once from rules and scopes.

Source: docs/reference/protocol/security.md sections 2 and 3. The key of a plan is (kind of caller, roles, scopes, name,
action), never a user or an address. All callers with the same roles and scopes share a plan.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from apilane.model.definition import Action, ApplicationDefinition, Entity, RateLimit, RecordScope, Rule, RuleKind
from apilane.model.scopes import Scopes, rules_in_scope
from apilane.plugin.identity import Actor
from apilane.runtime.conditions import Alternative, Conditions, OtherTables, compile_conditions
from apilane.sql.select import Mask
from apilane.sql.statement import Value
from apilane.sql.write import Restriction

__all__ = [
    "ANONYMOUS_ROLE",
    "AUTHENTICATED_ROLE",
    "WINDOWS_S",
    "AccessPlan",
    "Reach",
    "access_of",
    "effective_limit",
    "effective_rules",
    "granted_properties",
    "operator_access",
]

ANONYMOUS_ROLE = "ANONYMOUS"
AUTHENTICATED_ROLE = "AUTHENTICATED"
WINDOWS_S = {"Second": 1, "Minute": 60, "Hour": 3600}
"""Seconds in a rate limit's unit."""


class Reach(Struct, frozen=True, kw_only=True):
    """The records, and the properties of them, that an actor can access with one action.

    None takes its place for a caller who can access no record.
    """

    predicate: tuple[Restriction, ...] = ()
    """Conditions that all must hold for a record; statements are compiled for this shape."""
    outer: tuple[Restriction, ...] = ()
    """Those of ``predicate`` that do not come from conditions of rules: ownership and tenant. Set with
    ``alternatives``."""
    properties: tuple[str, ...] = ()
    """Schema names in schema order: the properties that a get returns, or that a post or put may write."""
    parameters: dict[str, Value] = {}
    """Values of the parameters of the predicate, the masks and the alternatives."""
    masks: tuple[Mask, ...] = ()
    """Properties that a get returns as null where a record does not meet their condition."""
    alternatives: tuple[Alternative, ...] = ()
    """The rules of a post or put whose properties depend on the record; empty: ``properties`` of every record."""
    is_long: bool = False
    """Statements take too long to compile on the event loop."""


class AccessPlan(Struct, frozen=True, kw_only=True):
    """The rights that the effective rules grant. ``properties`` are schema names in schema order, with ``ID`` for a
    get.
    """

    properties: tuple[str, ...]
    readable: frozenset[str]
    """``properties`` in lower case, for filter and sort."""
    everything: Reach
    """The reach of a caller without restrictions, created once."""
    owned_column: str | None = None
    """Column that must hold ``owned_by`` of the actor; None: every record."""
    owned_by: str = "user"
    """``user``: the actor's ID; ``tenant``: the actor's differentiation value."""
    tenant_column: str | None = None
    """The differentiation column; None: the entity is not separated by tenant."""
    conditions: Conditions | None = None
    """The conditions of the rules; None: they have none."""
    limit: RateLimit | None = None
    """The rate limit of the caller; None: no limit."""

    def reach(self, actor: Actor) -> Reach | None:
        """The reach of ``actor``; None when it can access no record."""
        if self.owned_column is None and self.tenant_column is None and self.conditions is None:
            return self.everything
        predicate: list[Restriction] = []
        parameters: dict[str, Value] = {}
        if self.owned_column is not None:
            owner = actor.user_id if self.owned_by == "user" else actor.tenant
            if actor.user_id is None or owner is None:
                return None  # B-S3: Owned, and the caller can own nothing
            predicate.append((self.owned_column, "owner"))
            parameters["owner"] = owner
        if self.tenant_column is not None:
            if actor.tenant is None:
                predicate.append((self.tenant_column, None))
            else:
                predicate.append((self.tenant_column, "tenant"))
                parameters["tenant"] = actor.tenant
        conditions = self.conditions
        if conditions is None:
            return Reach(predicate=tuple(predicate), properties=self.properties, parameters=parameters)
        if actor.tenant is None and conditions.without_tenant is not None:
            conditions = conditions.without_tenant
        outer = tuple(predicate)
        return Reach(
            predicate=outer if conditions.reach is None else (*outer, conditions.reach),
            outer=outer,
            properties=self.properties,
            parameters=parameters | conditions.parameters(actor),
            masks=conditions.masks,
            alternatives=conditions.alternatives,
            is_long=conditions.is_long,
        )


def effective_rules(
    rules: Iterable[Rule], kind: RuleKind, name: str, action: Action, *, authenticated: bool, roles: frozenset[str]
) -> tuple[Rule, ...]:
    """The stored rules for an action whose role the caller has; names ignore letter case, roles must be exact."""
    wanted = name.lower()
    return tuple(
        rule
        for rule in rules
        if rule.kind == kind
        and rule.action == action
        and rule.name.lower() == wanted
        and (rule.role == ANONYMOUS_ROLE or (authenticated and (rule.role == AUTHENTICATED_ROLE or rule.role in roles)))
    )


def _owned(definition: ApplicationDefinition, entity: Entity) -> tuple[str | None, str]:
    """The column that ``Owned`` compares in an entity, and what it compares with (B-S4)."""
    owner = entity.property("Owner")
    if owner is not None and owner.is_system:
        return "Owner", "user"
    if entity.is_system and entity.name == "Users":
        return "ID", "user"
    if entity.name == definition.differentiation_entity:
        return "ID", "tenant"
    return None, "user"


def effective_limit(rules: Iterable[Rule]) -> RateLimit | None:
    """The limit of a caller's effective rules. None if one rule has no limit, else the limit that admits most per
    second.
    """
    limits = [rule.rate_limit for rule in rules]
    found = [limit for limit in limits if limit is not None]
    if not found or len(found) < len(limits):
        return None
    return max(found, key=lambda limit: limit.max_requests / WINDOWS_S[limit.per])


def access_of(
    definition: ApplicationDefinition,
    entity: Entity,
    action: Action,
    *,
    authenticated: bool,
    roles: frozenset[str],
    others: OtherTables,
    scopes: Scopes = None,
) -> AccessPlan | None:
    """The plan for an entity and an action; None when no rule grants it or the scopes do not cover it."""
    rules = effective_rules(
        definition.rules, RuleKind.Entity, entity.name, action, authenticated=authenticated, roles=roles
    )
    rules = rules_in_scope(scopes, rules)
    if not rules:
        return None
    properties = granted_properties(entity, action, rules)
    readable = frozenset(name.lower() for name in properties)
    conditions = compile_conditions(definition, entity, action, rules, others)
    owned_column, owned_by = None, "user"
    # If some rules say Owned and some All, Owned applies (B-S1). It has no effect on post.
    if action is not Action.post and any(rule.record is RecordScope.Owned for rule in rules):
        owned_column, owned_by = _owned(definition, entity)
    return AccessPlan(
        properties=properties,
        readable=_usable(rules) & readable if conditions is not None else readable,
        everything=Reach(properties=properties),
        conditions=conditions,
        owned_column=owned_column,
        owned_by=owned_by,
        tenant_column=_tenant_column(definition, entity),
        limit=effective_limit(rules),
    )


def granted_properties(entity: Entity, action: Action, rules: Iterable[Rule]) -> tuple[str, ...]:
    """The properties, in schema order, that effective rules grant for an action."""
    granted = {name.lower() for rule in rules for name in rule.properties}
    if action is Action.get:
        granted.add("id")
    else:
        granted &= writable_names(entity)
    return tuple(p.name for p in entity.properties if p.name.lower() in granted)


def _usable(rules: tuple[Rule, ...]) -> frozenset[str]:
    """The properties, in lower case, for filter, sort, aggregate and group: those of the rules without ``Where``, or
    else those that every rule grants. Others would tell about records whose property the caller may not read.
    """
    plain = [rule for rule in rules if rule.where is None]
    named = [{name.lower() for name in rule.properties} for rule in plain or rules]
    usable = set.union(*named) if plain else set.intersection(*named)
    return frozenset(usable | {"id"})


def operator_access(definition: ApplicationDefinition, entity: Entity, action: Action) -> AccessPlan:
    """An operator's plan: every property that clients may use, every record, no limit.

    Only an operator may write the differentiation property (B-D11).
    """
    names = {p.name.lower() for p in entity.properties}
    if action is not Action.get:
        tenant = _tenant_column(definition, entity)
        names = {*writable_names(entity), *([tenant.lower()] if tenant else [])}
    properties = tuple(p.name for p in entity.properties if p.name.lower() in names)
    readable = frozenset(name.lower() for name in properties)
    return AccessPlan(properties=properties, readable=readable, everything=Reach(properties=properties))


def _tenant_column(definition: ApplicationDefinition, entity: Entity) -> str | None:
    return f"{definition.differentiation_entity}_ID" if entity.differentiation else None


def writable_names(entity: Entity) -> frozenset[str]:
    """The properties, in lower case, that clients may write through Data Post and Put
    (docs/reference/protocol/data-model.md section 3).
    """
    names = {p.name.lower() for p in entity.properties if not p.is_system}
    if entity.is_system and entity.name == "Users":
        names |= {"email", "username", "password", "roles"}
    return frozenset(names)
