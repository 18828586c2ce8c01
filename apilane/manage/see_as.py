"""Explains rights: what a role or user may do with every entity and endpoint, and which rules say so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from apilane.model.definition import Action, Entity, RecordScope, Rule, RuleKind
from apilane.plugin.identity import Actor
from apilane.plugin.manage import EntityRights, GrantView, Subject
from apilane.runtime.access import (
    ANONYMOUS_ROLE,
    AUTHENTICATED_ROLE,
    AccessPlan,
    access_of,
    effective_limit,
    effective_rules,
)
from apilane.runtime.application import ApplicationRuntime
from apilane.runtime.conditions import OtherTables
from apilane.runtime.identities import split_roles

__all__ = ["actions_of", "actor_of", "rights_of"]

LIMITED_ACTIONS: Final = {
    "Users": (Action.get, Action.put, Action.delete),
    "Files": (Action.get, Action.post, Action.delete),
    "AuthTokens": (Action.get,),
}


async def actor_of(application: ApplicationRuntime, subject: Subject) -> Actor:
    """The caller that a subject stands for. Raises NOT_FOUND for a user that does not exist."""
    if subject.user_id is None:
        role = subject.role or ANONYMOUS_ROLE
        if role == ANONYMOUS_ROLE:
            return Actor()
        return Actor(kind="user", roles=frozenset() if role == AUTHENTICATED_ROLE else frozenset({role}))
    separated = application.definition.differentiation_entity
    user = await application.data.as_system().get("Users", subject.user_id)
    tenant = user.get(f"{separated}_ID") if separated else None
    roles = split_roles(user.get("Roles"))
    return Actor(kind="user", user_id=subject.user_id, roles=roles, tenant=tenant, credential="see as")


def rights_of(application: ApplicationRuntime, actor: Actor) -> list[EntityRights]:
    """The rights of a caller, entity by entity, then the endpoints and the schema."""
    rights = [
        EntityRights(
            kind=RuleKind.Entity,
            name=entity.name,
            grants=tuple(_grant(application, entity, action, actor) for action in actions_of(entity)),
        )
        for entity in application.definition.entities
    ]
    named = [(RuleKind.CustomEndpoint, each.name) for each in application.definition.custom_endpoints]
    return rights + [_call(application, kind, name, actor) for kind, name in [*named, (RuleKind.Schema, "Schema")]]


def actions_of(entity: Entity) -> Sequence[Action]:
    """The actions that rules can grant on an entity."""
    return LIMITED_ACTIONS.get(entity.name, tuple(Action)) if entity.is_system else tuple(Action)


def _rules(
    application: ApplicationRuntime, kind: RuleKind, name: str, action: Action, actor: Actor
) -> tuple[Rule, ...]:
    is_known = actor.kind != "anonymous"
    return effective_rules(application.definition.rules, kind, name, action, authenticated=is_known, roles=actor.roles)


def _call(application: ApplicationRuntime, kind: RuleKind, name: str, actor: Actor) -> EntityRights:
    rules = _rules(application, kind, name, Action.get, actor)
    grant = GrantView(
        action="run" if kind is RuleKind.CustomEndpoint else "read",
        granted=bool(rules),
        rules=tuple(f"{rule.role}: may call" for rule in rules),
        limit=_limit(rules),
    )
    return EntityRights(kind=kind, name=name, grants=(grant,))


def _grant(application: ApplicationRuntime, entity: Entity, action: Action, actor: Actor) -> GrantView:
    plan = access_of(
        application.definition,
        entity,
        action,
        authenticated=actor.kind != "anonymous",
        roles=actor.roles,
        others=OtherTables(application.definition, application.dialect),
    )
    if plan is None:
        return GrantView(action=action, granted=False)
    rules = _rules(application, RuleKind.Entity, entity.name, action, actor)
    return GrantView(
        action=action,
        granted=True,
        properties=plan.properties if action is not Action.delete else (),
        reach=_reach(plan, rules, actor, action),
        rules=tuple(map(_rule_text, rules)),
        limit=_limit(rules),
    )


def _reach(plan: AccessPlan, rules: Sequence[Rule], actor: Actor, action: Action) -> str:
    parts = []
    if plan.owned_column is not None:
        parts.append("own records only" if plan.reach(actor) is not None else "own records; this caller owns none")
    if plan.tenant_column is not None:
        parts.append("records of the caller's tenant")
    if any(rule.where for rule in rules) and all(rule.where for rule in rules):
        parts.append("records that meet the condition")
    if any(rule.check for rule in rules):
        parts.append("only states that meet the check")
    if not parts:
        return "new records" if action is Action.post else "all records"
    return ", ".join(parts)


def _rule_text(rule: Rule) -> str:
    records = "own records" if rule.record is RecordScope.Owned else "all records"
    conditions = f", where {rule.where}" if rule.where else ""
    names = f"; {', '.join(rule.properties)}" if rule.properties else ""
    return f"{rule.role}: {records}{conditions}{names}"


def _limit(rules: Sequence[Rule]) -> str:
    limit = effective_limit(rules)
    return "" if limit is None else f"{limit.max_requests} per {limit.per.lower()}"
