"""Constraints, indexes and default orders of listed entities, which refer to properties and other entities.

Source: docs/reference/protocol/data-model.md sections 5 and 6, B-D8.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from apilane.model.definition import (
    Constraint,
    Direction,
    Entity,
    ForeignKey,
    Index,
    OnDelete,
    Property,
    PropertyType,
    SortKey,
    Unique,
)
from apilane.model.manifest.merging import in_order, report, unknown
from apilane.model.manifest.nodes import Node
from apilane.model.manifest.problems import Problems

__all__ = ["constraint_identity", "with_links"]


def with_links(entities: tuple[Entity, ...], nodes: Mapping[str, Node], problems: Problems) -> tuple[Entity, ...]:
    """The entities with their listed constraints, orders and indexes. ``nodes``: items by lower-case entity name."""
    targets = {entity.name.lower(): entity.name for entity in entities}

    def linked(entity: Entity) -> Entity:
        item = nodes.get(entity.name.lower())
        if item is None:
            return entity
        constraints, order, indexes = item.get("Constraints"), item.get("DefaultOrder"), item.get("Indexes")
        if constraints is not None:
            entity = replace(entity, constraints=_constraints(constraints, entity, targets, problems))
        if order is not None:
            entity = replace(entity, default_order=_default_order(order, entity, problems))
        if indexes is not None:
            entity = replace(entity, indexes=_indexes(indexes, entity, problems))
        return entity

    return tuple(map(linked, entities))


def constraint_identity(constraint: Constraint) -> object:
    """A key that is equal for constraints on the same properties, in any order. No two constraints have the same."""
    if isinstance(constraint, ForeignKey):
        return constraint.property.lower()
    return frozenset(name.lower() for name in constraint.properties)


def _property(node: Node, entity: Entity, problems: Problems) -> Property | None:
    """The property that a node names; a missing one is reported."""
    found = entity.property(node.value)
    if found is None:
        unknown(problems, node, "property", node.value, (p.name for p in entity.properties))
    return found


def _readable(node: Node, entity: Entity, use: str, problems: Problems) -> Property | None:
    """Like ``_property``, but encrypted properties are refused, because equal values have different stored texts."""
    found = _property(node, entity, problems)
    hidden = found is not None and (
        found.encrypted or (entity.is_system and (entity.name, found.name) == ("AuthTokens", "Token"))
    )
    if hidden:
        problems.add(node.line, node.path, f"{node.value} is encrypted and cannot be {use}", "name another property")
        return None
    return found


def _names(node: Node, entity: Entity, use: str, problems: Problems) -> tuple[str, ...] | None:
    """The names of a list of readable properties, in schema spelling; None when the list has a mistake."""
    found = [_readable(each, entity, use, problems) for each in node.items()]
    names = [each.name for each in found if each is not None]
    if len(set(names)) < len(names):
        problems.add(node.line, node.path, "a property is listed twice", "remove one")
        return None
    return tuple(names) if len(names) == len(found) and names else None


def _constraints(
    section: Node, entity: Entity, targets: Mapping[str, str], problems: Problems
) -> tuple[Constraint, ...]:
    system = [each for each in entity.constraints if each.is_system]
    existing = [each for each in entity.constraints if not each.is_system]
    seen = {constraint_identity(each) for each in system}
    listed: list[Constraint] = []
    for item in section.items():
        kind = item.read("Type")
        if kind is None:
            continue
        made = (_unique if kind == "Unique" else _foreign_key)(item, entity, existing, targets, problems)
        if made is None:
            continue
        identity = constraint_identity(made)
        if identity in seen:
            what = "unique" if isinstance(made, Unique) else "a reference"
            report(problems, item, "Type", f"these properties are {what} already", "remove this constraint")
            continue
        seen.add(identity)
        listed.append(made)
    return (*system, *in_order(existing, listed, constraint_identity))


def _foreign_only(item: Node, keys: tuple[str, ...], kind: str, problems: Problems) -> bool:
    """Report the keys that belong to the other kind of constraint; return whether there are none."""
    wrong = [key for key in keys if item.has(key)]
    for key in wrong:
        report(problems, item, key, f"a constraint of type {kind} has no {key}", "remove it, or change Type")
    return not wrong


def _unique(
    item: Node, entity: Entity, existing: list[Constraint], targets: Mapping[str, str], problems: Problems
) -> Constraint | None:
    _foreign_only(item, ("Property", "Entity", "OnDelete", "WithinReach"), "Unique", problems)
    listed = item.get("Properties")
    if listed is None:
        if item.lacks("Properties"):
            report(problems, item, "Type", "a Unique constraint needs Properties", "add Properties: [...]")
        return None
    names = _names(listed, entity, "unique", problems)
    if names is None:
        return None
    same = (each for each in existing if constraint_identity(each) == constraint_identity(Unique(properties=names)))
    before = next(same, None)
    per_tenant = item.read("PerTenant", before.per_tenant if isinstance(before, Unique) else False)
    if per_tenant:
        _check_tenant(item, entity, names, problems)
    return Unique(properties=before.properties if isinstance(before, Unique) else names, per_tenant=per_tenant)


def _check_tenant(item: Node, entity: Entity, names: tuple[str, ...], problems: Problems) -> None:
    if entity.tenant is None:
        message = f"the records of {entity.name} belong to no tenant"
        report(problems, item, "PerTenant", message, "remove it, or give the entity Differentiation: true")
    elif entity.tenant in names:
        report(problems, item, "Properties", f"PerTenant includes {entity.tenant} already", f"remove {entity.tenant}")


def _foreign_key(
    item: Node, entity: Entity, existing: list[Constraint], targets: Mapping[str, str], problems: Problems
) -> Constraint | None:
    _foreign_only(item, ("Properties", "PerTenant"), "ForeignKey", problems)
    source, to = item.get("Property"), item.get("Entity")
    for key, node in (("Property", source), ("Entity", to)):
        if node is None and item.lacks(key):
            report(problems, item, "Type", f"a ForeignKey constraint needs {key}", f"add {key}")
    property = _property(source, entity, problems) if source is not None else None
    target = targets.get(to.value.lower()) if to is not None else None
    if to is not None and target is None:
        unknown(problems, to, "entity", to.value, targets.values())
    elif target == "Files":
        report(problems, item, "Entity", "a foreign key cannot refer to Files", "keep the UID of the file in a String")
    if property is None or target is None:
        return None
    if property.type is not PropertyType.Number or property.decimal_places or property.is_primary_key:
        report(
            problems,
            item,
            "Property",
            f"{property.name} cannot hold a reference",
            "a foreign key needs a Number without decimals that is not the key itself",
        )
    before = next((each for each in existing if isinstance(each, ForeignKey) and each.property == property.name), None)
    on_delete = OnDelete(item.read("OnDelete", before.on_delete if before else OnDelete.NoAction))
    if on_delete is OnDelete.SetNull and property.required:
        report(
            problems,
            item,
            "OnDelete",
            f"SetNull cannot work: {property.name} is required",
            "use NoAction or Cascade, or make the property optional",
        )
    within_reach = item.read("WithinReach", before.within_reach if before else False)
    return ForeignKey(property=property.name, entity=target, on_delete=on_delete, within_reach=within_reach)


def _default_order(section: Node, entity: Entity, problems: Problems) -> tuple[SortKey, ...]:
    keys: dict[str, SortKey] = {}
    for item in section.items():
        node = item.get("Property")
        found = _readable(node, entity, "sorted by", problems) if node is not None else None
        if found is None:
            continue
        if found.name in keys:
            report(problems, item, "Property", f"{found.name} is listed twice", "remove one")
        keys[found.name] = SortKey(found.name, Direction(item.read("Direction", "ASC")))
    return tuple(keys.values())


def _indexes(section: Node, entity: Entity, problems: Problems) -> tuple[Index, ...]:
    listed: list[Index] = []
    for item in section.items():
        node = item.get("Properties")
        names = _names(node, entity, "indexed", problems) if node is not None else None
        if names is None:
            continue
        if Index(names) in listed:
            report(problems, item, "Properties", "this index is listed twice", "remove one")
            continue
        listed.append(Index(names))
    return in_order(entity.indexes, listed, lambda index: index.properties)
