"""Names within a definition that refer to other parts: following renames, and removing references to deleted parts.
Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from apilane.model.conditions import renamed_condition
from apilane.model.definition import (
    ApplicationDefinition,
    Constraint,
    Entity,
    ForeignKey,
    Index,
    Rule,
    RuleKind,
    SortKey,
)
from apilane.model.migration import Renames

__all__ = ["rename", "without_dangling", "without_dangling_rules"]

NewEntity = Callable[[str], str]
NewProperty = Callable[[str, str], str]
"""Takes the old names of an entity and a property, and returns the new name of the property."""


def rename(definition: ApplicationDefinition, renames: Renames) -> ApplicationDefinition:
    """The definition with the new names everywhere: constraints, orders, indexes, rules, reports."""
    if not renames.entities and not renames.properties:
        return definition
    entity_names = {old.lower(): new for new, old in renames.entities.items()}
    property_names = {
        (renames.entities.get(entity, entity).lower(), old.lower()): new
        for (entity, new), old in renames.properties.items()
    }

    def entity_name(old: str) -> str:
        return entity_names.get(old.lower(), old)

    def property_name(entity: str, old: str) -> str:
        return property_names.get((entity.lower(), old.lower()), old)

    return replace(
        definition,
        entities=tuple(_renamed_entity(entity, entity_name, property_name) for entity in definition.entities),
        rules=tuple(_renamed_rule(rule, definition, entity_name, property_name) for rule in definition.rules),
        reports=tuple(_renamed_report(report, entity_name, property_name) for report in definition.reports),
    )


def _renamed_entity(entity: Entity, entity_name: NewEntity, property_name: NewProperty) -> Entity:
    def new(name: str) -> str:
        return property_name(entity.name, name)

    def constraint(each: Constraint) -> Constraint:
        if isinstance(each, ForeignKey):
            return replace(each, property=new(each.property), entity=entity_name(each.entity))
        return replace(each, properties=tuple(map(new, each.properties)))

    return replace(
        entity,
        name=entity_name(entity.name),
        properties=tuple(replace(p, name=new(p.name)) for p in entity.properties),
        constraints=tuple(map(constraint, entity.constraints)),
        default_order=tuple(SortKey(new(key.property), key.direction) for key in entity.default_order),
        indexes=tuple(Index(tuple(map(new, index.properties))) for index in entity.indexes),
        condition_indexes=tuple(tuple(map(new, names)) for names in entity.condition_indexes),
    )


def _renamed_rule(
    rule: Rule, definition: ApplicationDefinition, entity_name: NewEntity, property_name: NewProperty
) -> Rule:
    if rule.kind is not RuleKind.Entity:
        return rule
    properties = tuple(property_name(rule.name, name) for name in rule.properties)
    where, check = (
        renamed_condition(text, definition, rule.name, entity_name, property_name) for text in (rule.where, rule.check)
    )
    return replace(rule, name=entity_name(rule.name), properties=properties, where=where, check=check)


def _renamed_report(report: dict[str, Any], entity_name: NewEntity, property_name: NewProperty) -> dict[str, Any]:
    def series(each: dict[str, Any]) -> dict[str, Any]:
        old = each.get("Entity", "")

        def words(text: str) -> str:
            """``Price.Avg`` or ``Created.year,Created.month`` with the names before the dots renamed."""
            return re.sub(r"(?<![\w.])[A-Za-z_]+", lambda found: property_name(old, found[0]), text)

        def conditions(node: Any) -> Any:
            if isinstance(node, list):
                return [conditions(item) for item in node]
            if isinstance(node, dict):
                return {
                    key: property_name(old, value)
                    if key.lower() == "property" and isinstance(value, str)
                    else conditions(value)
                    for key, value in node.items()
                }
            return node

        changed = {
            **each,
            "Entity": entity_name(old),
            "Properties": [words(text) for text in each.get("Properties", [])],
        }
        if isinstance(each.get("GroupBy"), str):
            changed["GroupBy"] = words(each["GroupBy"])
        if "Filter" in each:
            changed["Filter"] = conditions(each["Filter"])
        return changed

    return {**report, "Series": [series(each) for each in report.get("Series", [])]}


def without_dangling(entities: tuple[Entity, ...]) -> tuple[Entity, ...]:
    """The entities without constraints, indexes and sort keys that name a deleted property or entity."""
    known = {entity.name.lower() for entity in entities}

    def cleaned(entity: Entity) -> Entity:
        def has(*names: str) -> bool:
            return all(entity.property(name) is not None for name in names)

        return replace(
            entity,
            constraints=tuple(
                each
                for each in entity.constraints
                if (
                    has(each.property) and each.entity.lower() in known
                    if isinstance(each, ForeignKey)
                    else has(*each.properties)
                )
            ),
            default_order=tuple(key for key in entity.default_order if has(key.property)),
            indexes=tuple(index for index in entity.indexes if has(*index.properties)),
        )

    return tuple(map(cleaned, entities))


def without_dangling_rules(definition: ApplicationDefinition) -> tuple[Rule, ...]:
    """The rules without those of deleted entities and endpoints; deleted properties are removed from the others."""
    entities = {entity.name.lower(): entity for entity in definition.entities}
    endpoints = {endpoint.name.lower() for endpoint in definition.custom_endpoints}
    kept: list[Rule] = []
    for rule in definition.rules:
        if rule.kind is RuleKind.Entity:
            entity = entities.get(rule.name.lower())
            if entity is None:
                continue
            properties = tuple(name for name in rule.properties if entity.property(name) is not None)
            kept.append(replace(rule, properties=properties))
        elif rule.kind is RuleKind.Schema or rule.name.lower() in endpoints:
            kept.append(rule)
    return tuple(kept)
