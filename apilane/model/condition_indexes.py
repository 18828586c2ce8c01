"""The indexes that conditions of rules need: one on (property, ID) for each property that a read looks for.

In a differentiated entity it is (property, tenant, ID): a read looks for both. SQLite keeps no statistics, and would
often choose the index of the tenant alone, which finds all records of the tenant.

Only ``Where`` of get rules counts. Writes find their records by ID, and ``Check`` concerns the written record. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from msgspec.structs import replace

from apilane.model.conditions import parse_condition
from apilane.model.definition import Action, ApplicationDefinition, Entity, Property, PropertyType, RuleKind, Unique
from apilane.model.filter import CallerValue, Leaf, Logic, Node, Operator, leaves

__all__ = ["conditions_of_reads", "unusable_reasons", "with_condition_indexes"]

TEXT_MAX: Final = 400
"""The longest String, in characters, whose index (property, ID) fits every provider."""
_NEGATIVE: Final = frozenset({Operator.NOTEQUAL, Operator.NOTCONTAINS})


def conditions_of_reads(definition: ApplicationDefinition) -> list[tuple[int, Entity, Node]]:
    """The number of each get rule with ``Where``, its entity, and its condition. The definition is checked."""
    found = []
    for number, rule in enumerate(definition.rules):
        if rule.kind is RuleKind.Entity and rule.action is Action.get and rule.where is not None:
            entity = definition.entity(rule.name)
            if entity is not None:
                found.append((number, entity, parse_condition(rule.where, definition, entity)))
    return found


def with_condition_indexes(definition: ApplicationDefinition) -> tuple[Entity, ...]:
    """The entities with ``condition_indexes`` for the rules of the definition, which is checked."""
    wanted: dict[str, dict[str, None]] = defaultdict(dict)
    for _, entity, tree in conditions_of_reads(definition):
        for leaf in leaves(tree):
            if why_unusable(leaf) is None:
                wanted[entity.name if leaf.path is None else leaf.path.entity][leaf.property.name] = None
    tenant = f"{definition.differentiation_entity}_ID"
    return tuple(
        _indexed(entity, sorted(wanted[entity.name]), (tenant,) if entity.differentiation else ())
        for entity in definition.entities
    )


def _indexed(entity: Entity, names: list[str], tenant: tuple[str, ...]) -> Entity:
    served = {
        each.properties[0] for each in entity.constraints if isinstance(each, Unique) and len(each.properties) == 1
    }
    needed = tuple(
        (name, *(each for each in tenant if each != name), "ID")
        for name in names
        if name != "ID" and name not in served
    )
    return entity if needed == entity.condition_indexes else replace(entity, condition_indexes=needed)


def unusable_reasons(node: Node) -> list[str]:
    """Why no index finds the records of a condition; empty if one does."""
    if isinstance(node, Leaf):
        why = why_unusable(node)
        return [] if why is None else [why]
    reasons = [unusable_reasons(item) for item in node.items]
    if node.logic is Logic.AND and not all(reasons):
        return []
    return list(dict.fromkeys(reason for each in reasons for reason in each))


def why_unusable(leaf: Leaf) -> str | None:
    """Why an index does not help one condition; None: it helps."""
    name, value = leaf.property.name, leaf.value
    if leaf.property.type is PropertyType.Boolean and value is not None:
        if isinstance(value, CallerValue):
            return f"{name} is compared with a Boolean of the caller"
        is_true = value is (leaf.operator is Operator.EQUAL)
        return None if is_true else f"{name} may also be null where false is wanted"
    if leaf.operator in _NEGATIVE or leaf.operator is Operator.ENDSWITH:
        return f"{leaf.operator} on {name}"
    if leaf.property.type is not PropertyType.String or value is None:
        return None
    if isinstance(value, CallerValue):
        return f"{name} is compared with a text of the caller"
    if leaf.operator is Operator.CONTAINS and type(value) is not tuple:
        return f"{leaf.operator} on {name}"
    return None if _is_short(leaf.property) else f"{name} is a String without a Maximum of at most {TEXT_MAX}"


def _is_short(property: Property) -> bool:
    return property.maximum is not None and property.maximum <= TEXT_MAX
