"""The section ``Security``: access rules
(docs/reference/protocol/security.md section 2, docs/reference/protocol/data-model.md section 2.1).
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import Final

from apilane.model.conditions import condition_problem, condition_text, parse_condition, weight
from apilane.model.definition import (
    Action,
    ApplicationDefinition,
    Entity,
    RateLimit,
    RecordScope,
    Rule,
    RuleKind,
)
from apilane.model.manifest.merging import report, setting, unknown
from apilane.model.manifest.nodes import UNUSABLE, Node
from apilane.model.manifest.problems import Problems
from apilane.model.names import role_problem

CONDITIONS_MAX: Final = 600
"""Conditions in a statement for a caller with all roles. SQL Server takes 2,100 parameters; a text has up to three."""
_WITHOUT: Final = {"Where": {Action.post}, "Check": {Action.get, Action.delete}}
_ELSE: Final = {"Where": "use Check, which the stored record must meet", "Check": "use Where"}

__all__ = ["check_conditions", "resolve_rules", "rule_identity"]

_ACTIONS: Final[dict[str, frozenset[Action]]] = {
    "Users": frozenset({Action.get, Action.put, Action.delete}),
    "Files": frozenset({Action.get, Action.post, Action.delete}),
    "AuthTokens": frozenset({Action.get}),
}
"""By system entity; every other entity allows every action."""


def rule_identity(rule: Rule) -> tuple[RuleKind, str, str, Action]:
    """The key by which a listed rule is an existing one."""
    return rule.kind, rule.name.lower(), rule.role, rule.action


def resolve_rules(section: Node | None, after: ApplicationDefinition, problems: Problems) -> tuple[Rule, ...]:
    """The rules after the manifest. ``after``: the definition with all else resolved, and with the rules before the
    manifest.

    Several rules may have the same key: the first listed one is the first existing one, and so on.
    """
    if section is None:
        return after.rules
    existing: dict[object, list[Rule]] = defaultdict(list)
    for rule in after.rules:
        existing[rule_identity(rule)].append(rule)
    positions = {id(rule): position for position, rule in enumerate(after.rules)}
    listed: list[tuple[int, Rule]] = []
    for item in section.items():
        kind, name = _subject(item, after, problems)
        if kind is None or name is None or not item.has("Role"):
            continue
        role: str = item.read("Role")
        wrong = role_problem(role)
        if wrong:
            report(problems, item, "Role", f"the role {role[:100]} {wrong}", "write the role as users have it")
        action = _action(item, kind, name, after, problems)
        if action is None:
            continue
        same = existing[kind, name.lower(), role, action]
        before = same.pop(0) if same else None
        rule = _rule(item, kind=kind, name=name, action=action, before=before, after=after, problems=problems)
        listed.append((positions[id(before)] if before is not None else len(positions), rule))
    return tuple(rule for _, rule in sorted(listed, key=lambda each: each[0]))


def _subject(item: Node, after: ApplicationDefinition, problems: Problems) -> tuple[RuleKind | None, str | None]:
    """The kind and the name that a rule is about, the name in schema spelling."""
    given = [key for key in ("Entity", "CustomEndpoint", "Schema") if not item.lacks(key)]
    if len(given) != 1:
        what = "has no subject" if not given else f"names {' and '.join(given)}"
        problems.add(item.line, item.path, f"the rule {what}", "give exactly one of Entity, CustomEndpoint, Schema")
        return None, None
    kind = RuleKind(given[0])
    if not item.has(given[0]):
        return kind, None
    if kind is RuleKind.Schema:
        return kind, "Schema"
    node = item.get(given[0])
    assert node is not None  # noqa: S101 - it was found above
    if kind is RuleKind.Entity:
        entity = after.entity(node.value)
        if entity is None:
            unknown(problems, node, "entity", node.value, (each.name for each in after.entities))
        return kind, None if entity is None else entity.name
    names = [endpoint.name for endpoint in after.custom_endpoints]
    found = next((name for name in names if name.lower() == node.value.lower()), None)
    if found is None:
        unknown(problems, node, "custom endpoint", node.value, names)
    return kind, found


def _action(item: Node, kind: RuleKind, name: str, after: ApplicationDefinition, problems: Problems) -> Action | None:
    if kind is not RuleKind.Entity:
        if item.read("Action", "get") != "get":
            report(problems, item, "Action", f"a rule on {kind.value} has the action get only", "remove Action")
        for key in ("Record", "Properties", "Where", "Check"):
            if item.has(key):
                report(problems, item, key, f"{key} has no meaning in a rule on {kind.value}", "remove it")
        return Action.get
    if not item.has("Action"):
        if item.lacks("Action"):
            report(
                problems, item, "Entity", "a rule on an entity needs an Action", "add Action: get, post, put or delete"
            )
        return None
    action = Action(item.read("Action"))
    entity = after.entity(name)
    allowed = _ACTIONS.get(name, frozenset(Action)) if entity is not None and entity.is_system else frozenset(Action)
    if action not in allowed:
        known = ", ".join(each.value for each in Action if each in allowed)
        report(problems, item, "Action", f"{name} cannot be given the action {action.value}", f"it takes {known}")
        return None
    return action


def _rule(
    item: Node,
    *,
    kind: RuleKind,
    name: str,
    action: Action,
    before: Rule | None,
    after: ApplicationDefinition,
    problems: Problems,
) -> Rule:
    limit = before.rate_limit if before else None
    node = item.get("RateLimit")
    if node is not None:
        complete = node.value is not None and node.has("MaxRequests") and node.has("Per")
        limit = RateLimit(node.read("MaxRequests"), node.read("Per")) if complete else None
    entity = after.entity(name) if kind is RuleKind.Entity else None
    listed = item.get("Properties")
    condition = partial(_condition, item, after=after, entity=entity, action=action, problems=problems)
    return Rule(
        kind=kind,
        name=name,
        role=item.read("Role"),
        action=action,
        record=RecordScope(setting(item, "Record", before, "record", RecordScope.All)),
        properties=(before.properties if before else ())
        if entity is None or listed is None
        else _rule_properties(listed, entity, action, problems),
        rate_limit=limit,
        where=condition("Where", before.where if before else None),
        check=condition("Check", before.check if before else None),
    )


def _condition(
    item: Node,
    key: str,
    before: str | None,
    *,
    after: ApplicationDefinition,
    entity: Entity | None,
    action: Action,
    problems: Problems,
) -> str | None:
    """The text of a condition. A value whose mistake has been reported leaves it unchanged."""
    node = item.get(key)
    if node is not None and node.value is None:
        return None
    if node is None or _is_unusable(node) or entity is None:
        return before
    text = condition_text(node.plain())
    if (problem := _problem(key, text, after, entity, action)) is not None:
        report(problems, item, key, *problem)
    return text


def _is_unusable(node: Node) -> bool:
    inner = node.value.values() if isinstance(node.value, dict) else node.value if isinstance(node.value, list) else ()
    return node.value is UNUSABLE or bool(node.refused) or any(_is_unusable(each) for each in inner)


def _problem(
    key: str, text: str, definition: ApplicationDefinition, entity: Entity, action: Action
) -> tuple[str, str] | None:
    """Why a rule cannot have a condition, and what to do; None: it can."""
    if action in _WITHOUT[key]:
        return f"{key} has no meaning in a {action.value} rule", _ELSE[key]
    problem = condition_problem(text, definition, entity)
    return None if problem is None else (problem, "change the condition or remove the rule")


def check_conditions(definition: ApplicationDefinition, problems: Problems) -> None:
    """Report conditions of stored rules that do not fit the changed definition, and too many on one entity."""
    weights: dict[tuple[str, Action], list[tuple[Rule, int]]] = defaultdict(list)
    for rule in definition.rules:
        entity = definition.entity(rule.name) if rule.kind is RuleKind.Entity else None
        for key, text in (("Where", rule.where), ("Check", rule.check)):
            if entity is None or text is None:
                continue
            problem = _problem(key, text, definition, entity, rule.action)
            if problem is not None:
                problems.add(None, f"Security[{rule.name} {rule.role} {rule.action.value}].{key}", *problem)
            else:
                weights[entity.name, rule.action].append((rule, weight(parse_condition(text, definition, entity))))
    for (name, action), found in weights.items():
        _check_number(name, action, found, problems)


def _check_number(name: str, action: Action, found: list[tuple[Rule, int]], problems: Problems) -> None:
    """Report too many conditions of one entity and action. A read repeats those of a property that only some rules
    grant.
    """
    count = sum(number for _, number in found)
    if action is Action.get:
        granted = [set(rule.properties) for rule, _ in found]
        of_some = set[str]().union(*granted) - granted[0].intersection(*granted[1:])
        count += sum(number for rule, number in found for name in rule.properties if name in of_some)
    if count > CONDITIONS_MAX:
        message = f"a statement under its {action.value} rules has {count} conditions, {CONDITIONS_MAX} are allowed"
        hint = "use fewer rules, equal Properties in the rules, or lists instead of several conditions"
        problems.add(None, f"Security[{name}]", message, hint)


def _rule_properties(listed: Node, entity: Entity, action: Action, problems: Problems) -> tuple[str, ...]:
    if listed.value == "*":
        return _every_property(entity, action)
    names: dict[str, None] = {}
    for node in listed.items():
        found = entity.property(node.value)
        if found is None:
            unknown(problems, node, f"property of {entity.name}", node.value, (p.name for p in entity.properties))
        elif found.name in names:
            problems.add(node.line, node.path, f"{found.name} is listed twice", "remove one")
        else:
            names[found.name] = None
    return tuple(names)


def _every_property(entity: Entity, action: Action) -> tuple[str, ...]:
    """All properties for ``*``: those that ``get`` may read or ``post``/``put`` may write, never secrets."""
    if action is Action.delete:
        return ()
    system_entity = entity.name if entity.is_system else ""
    if action is Action.get:
        hidden = {"Users": "Password", "AuthTokens": "Token"}.get(system_entity)
        return tuple(p.name for p in entity.properties if p.name != hidden)
    writable = {"Email", "Username", "Roles"} if system_entity == "Users" else set()
    return tuple(p.name for p in entity.properties if not p.is_system or p.name in writable)
