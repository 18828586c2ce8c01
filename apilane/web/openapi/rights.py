"""What a caller may do in an application, for its OpenAPI document. Rules are grouped once, so that thousands of
entities take one pass over the rules.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Set

from msgspec import Struct

from apilane.model.definition import (
    Action,
    ApplicationDefinition,
    Endpoint,
    Entity,
    Property,
    RateLimit,
    RecordScope,
    Rule,
    RuleKind,
)
from apilane.model.scopes import rules_in_scope
from apilane.plugin.identity import Actor
from apilane.runtime.access import effective_limit, effective_rules, granted_properties, operator_access

__all__ = ["ActionRights", "EndpointRights", "EntityRights", "Rights", "rights_of"]


class ActionRights(Struct, frozen=True):
    """One action on an entity: the properties, the limit, and whether rules narrow the records."""

    properties: tuple[Property, ...]
    limit: RateLimit | None = None
    owned: bool = False
    conditional: bool = False
    """Rules have conditions, so a property may be null where a record does not meet them."""


class EntityRights(Struct, frozen=True):
    """An entity with the actions that are granted."""

    entity: Entity
    actions: Mapping[Action, ActionRights]


class EndpointRights(Struct, frozen=True):
    """A custom endpoint that the caller may use."""

    endpoint: Endpoint
    limit: RateLimit | None = None


class Rights(Struct, frozen=True):
    """What the rules grant. ``schema``: None: no; else the limit, in a tuple. ``count``: of all entities that the
    caller may use; ``entities`` are those to describe.
    """

    entities: tuple[EntityRights, ...]
    count: int
    endpoints: tuple[EndpointRights, ...]
    schema: tuple[RateLimit | None] | None


_Group = dict[tuple[RuleKind, str, Action], list[Rule]]


def rights_of(
    definition: ApplicationDefinition, actor: Actor, *, most: int = sys.maxsize, only: Set[str] = frozenset()
) -> Rights:
    """The rights of a caller. Entities without a granted action are left out; system entities come first.

    ``most``: entities to describe. ``only``: their names in lower case; empty: any.
    """
    groups: _Group = defaultdict(list)
    for rule in definition.rules:
        groups[rule.kind, rule.name.lower(), rule.action].append(rule)

    def rules(kind: RuleKind, name: str, action: Action = Action.get) -> tuple[Rule, ...]:
        found: Iterable[Rule] = groups.get((kind, name.lower(), action), ())
        authenticated = actor.kind != "anonymous"
        effective = effective_rules(found, kind, name, action, authenticated=authenticated, roles=actor.roles)
        return rules_in_scope(actor.scopes, effective)

    is_operator = actor.kind == "operator"
    entities: list[EntityRights] = []
    count = 0
    for entity in sorted(definition.entities, key=lambda each: not each.is_system):
        granted = {action: rules(RuleKind.Entity, entity.name, action) for action in _actions(entity)}
        if not is_operator:
            granted = {action: found for action, found in granted.items() if found}
        count += bool(granted)
        if granted and len(entities) < most and (not only or entity.name.lower() in only):
            make = (lambda entity, action, _: _operators(definition, entity, action)) if is_operator else _action_rights
            actions = {action: make(entity, action, found) for action, found in granted.items()}
            entities.append(EntityRights(entity, actions))
    endpoints: list[EndpointRights] = []
    for endpoint in definition.custom_endpoints:
        found = rules(RuleKind.CustomEndpoint, endpoint.name)
        if found or actor.kind == "operator":
            endpoints.append(EndpointRights(endpoint, effective_limit(found)))
    found = rules(RuleKind.Schema, "Schema")
    schema = (effective_limit(found),) if found or actor.kind == "operator" else None
    return Rights(tuple(entities), count, tuple(endpoints), schema)


NEVER = {("Users", Action.post), ("Files", Action.put)}
"""Actions on system entities that no call has: Account/Register creates users, and files are not changed."""


def _actions(entity: Entity) -> tuple[Action, ...]:
    if entity.is_read_only:
        return (Action.get,)
    return tuple(action for action in Action if not (entity.is_system and (entity.name, action) in NEVER))


def _operators(definition: ApplicationDefinition, entity: Entity, action: Action) -> ActionRights:
    return ActionRights(_named(entity, operator_access(definition, entity, action).properties))


def _action_rights(entity: Entity, action: Action, rules: tuple[Rule, ...]) -> ActionRights:
    return ActionRights(
        _named(entity, granted_properties(entity, action, rules)),
        effective_limit(rules),
        owned=action is not Action.post and any(rule.record is RecordScope.Owned for rule in rules),
        conditional=any(rule.where is not None for rule in rules),
    )


def _named(entity: Entity, names: tuple[str, ...]) -> tuple[Property, ...]:
    wanted = set(names)
    return tuple(property for property in entity.properties if property.name in wanted)
