"""Warnings about conditions of rules that are allowed but probably not meant. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from apilane.model.condition_indexes import conditions_of_reads, unusable_reasons
from apilane.model.conditions import condition_text, parse_condition
from apilane.model.definition import Action, ApplicationDefinition, Entity, RecordScope, Rule, RuleKind
from apilane.model.filter import CallerValue, Leaf, Logic, Node, leaves
from apilane.model.json import decode_json

__all__ = ["condition_advice"]

Advice = tuple[str, str]
"""The place of a rule, and one sentence."""


def condition_advice(definition: ApplicationDefinition) -> list[Advice]:
    """The warnings for a checked definition, in the order of its rules."""
    if not any(rule.where is not None or rule.check is not None for rule in definition.rules):
        return []
    return [*_slow(definition), *_owned(definition), *_ambiguous(definition)]


def _place(rule: Rule, key: str) -> str:
    return f"Security[{rule.name} {rule.role} {rule.action.value}].{key}"


def _slow(definition: ApplicationDefinition) -> Iterator[Advice]:
    for number, _, tree in conditions_of_reads(definition):
        if reasons := unusable_reasons(tree):
            advice = (
                f"no index finds its records ({'; '.join(reasons)}), so a page reads records until it is full; "
                "add a condition with equal to it, joined by AND"
            )
            yield _place(definition.rules[number], "Where"), advice


def _owned(definition: ApplicationDefinition) -> Iterator[Advice]:
    """``Owned`` of one rule limits the records of all rules, also of those with ``Where``."""
    rules = [rule for rule in definition.rules if rule.kind is RuleKind.Entity and rule.action is not Action.post]
    owned = [rule for rule in rules if rule.record is RecordScope.Owned]
    for rule in owned:
        entity = definition.entity(rule.name)
        same = None if entity is None else _same_as_owned(definition, entity)
        others = [
            other
            for other in rules
            if other is not rule and other.where and (other.name, other.action) == (rule.name, rule.action)
        ]
        if same is None or not others:
            continue
        where = same if rule.where is None else {"Logic": "AND", "Filters": [same, decode_json(rule.where.encode())]}
        roles = ", ".join(dict.fromkeys(other.role for other in others))
        advice = (
            f"Owned also limits the rules with Where (role {roles}) of a caller who has both; to make the rules "
            f"alternatives, write Where: {condition_text(where)} instead of Record: Owned"
        )
        yield _place(rule, "Record"), advice


def _same_as_owned(definition: ApplicationDefinition, entity: Entity) -> dict[str, Any] | None:
    """The condition that says the same as Owned; None: Owned has no effect on the entity."""
    if (owner := entity.property("Owner")) is not None and owner.is_system:
        return {"Property": "Owner", "Operator": "equal", "Value": {"User": "ID"}}
    if entity.is_system and entity.name == "Users":
        return {"Property": "ID", "Operator": "equal", "Value": {"User": "ID"}}
    if entity.name == definition.differentiation_entity:
        return {"Property": "ID", "Operator": "equal", "Value": {"User": f"{entity.name}_ID"}}
    return None


def _ambiguous(definition: ApplicationDefinition) -> Iterator[Advice]:
    users = definition.entity("Users")
    for rule, (key, text) in product(definition.rules, (("Where", "where"), ("Check", "check"))):
        stored: str | None = getattr(rule, text)
        entity = definition.entity(rule.name) if rule.kind is RuleKind.Entity else None
        if stored is None or entity is None:
            continue
        tree = parse_condition(stored, definition, entity)
        for path in _met_separately(tree):
            advice = (
                f"several conditions of one AND follow {path}, and different records may meet them; use one property "
                "for what one record must meet"
            )
            yield _place(rule, key), advice
        names = {leaf.value.name for leaf in leaves(tree) if isinstance(leaf.value, CallerValue)} - {""}
        for name in sorted(names):
            property = users.property(name) if users is not None else None
            if property is not None and not property.is_system:
                advice = (
                    f"users write their own {name} with Account/Register and Account/Update, so each can choose what "
                    "the rule grants; for rights use the differentiation entity, or a path such as "
                    "Members(ClinicID).UserID"
                )
                yield _place(rule, key), advice


def _met_separately(node: Node) -> Iterator[str]:
    """The list paths that several conditions of one AND follow."""
    if isinstance(node, Leaf):
        return
    if node.logic is Logic.AND:
        paths = [leaf.path for leaf in node.items if isinstance(leaf, Leaf) and leaf.path is not None]
        for path in dict.fromkeys(path for path in paths if path.is_list and paths.count(path) > 1):
            yield f"{path.entity}({path.key})"
    for item in node.items:
        yield from _met_separately(item)
