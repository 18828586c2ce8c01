"""The section ``Entities``: entities and properties (docs/reference/protocol/data-model.md sections 2 and 3)."""

from __future__ import annotations

import re2
import regex
from msgspec.structs import replace

from apilane.model.definition import ApplicationDefinition, Entity, Property, PropertyType
from apilane.model.manifest.allowed_values import check_values, default_of
from apilane.model.manifest.links import with_links
from apilane.model.manifest.merging import in_order, once, report, setting
from apilane.model.manifest.nodes import Node
from apilane.model.manifest.problems import Problems
from apilane.model.manifest.references import without_dangling
from apilane.model.names import entity_name_problem, property_name_problem
from apilane.model.system import custom_entity

__all__ = ["pattern_problem", "resolve_entities"]


def resolve_entities(section: Node | None, base: ApplicationDefinition, problems: Problems) -> tuple[Entity, ...]:
    """The entities after the manifest. ``base``: the definition before the manifest, under the new names."""
    if section is None:
        return base.entities
    nodes: dict[str, Node] = {}
    listed: dict[str, Entity] = {}
    for item in once(section.items(), "Name", "entity", problems):
        name: str = item.read("Name")
        existing = base.entity(name)
        if existing is None:
            wrong = entity_name_problem(name)
            if wrong:
                report(problems, item, "Name", f"the entity name {name[:100]} {wrong}", "choose another name")
        elif existing.name != name:
            _spelling(item, existing.name, problems)
        nodes[name.lower()] = item
        listed[name.lower()] = _entity(item, existing, base, problems)
    kept = (listed.get(e.name.lower(), e) for e in base.entities if e.is_system or e.name.lower() in listed)
    new = (entity for entity in listed.values() if base.entity(entity.name) is None)
    return with_links(without_dangling((*kept, *new)), nodes, problems)


def _spelling(item: Node, existing: str, problems: Problems) -> None:
    report(
        problems,
        item,
        "Name",
        f"{item.read('Name')} exists as {existing}",
        f"write {existing}, or rename it with RenamedFrom: {existing}",
    )


def _entity(item: Node, existing: Entity | None, base: ApplicationDefinition, problems: Problems) -> Entity:
    """One listed entity, with its existing constraints, order and indexes."""
    differentiation = setting(item, "Differentiation", existing, "differentiation", False)
    tenant = base.differentiation_entity
    if existing is not None and differentiation != existing.differentiation:
        report(
            problems,
            item,
            "Differentiation",
            f"Differentiation of the existing entity {existing.name} cannot change",
            "make a new entity and move the records",
        )
    elif differentiation and tenant is None:
        report(
            problems,
            item,
            "Differentiation",
            "the application has no DifferentiationEntity",
            "leave Differentiation out; DifferentiationEntity can be given only when an application is made",
        )
    start = existing or custom_entity(item.read("Name"), differentiation_entity=tenant if differentiation else None)
    properties = item.get("Properties")
    if start.is_system and item.has("RenamedFrom"):
        report(
            problems,
            item,
            "RenamedFrom",
            f"{start.name} is a system entity and cannot be renamed",
            "remove RenamedFrom",
        )
    if properties is not None and properties.value and start.is_system and start.name not in {"Users", tenant}:
        report(problems, item, "Properties", f"{start.name} cannot have custom properties", "remove Properties")
        properties = None
    return replace(
        start,
        description=setting(item, "Description", start, "description", None),
        change_tracking=setting(item, "ChangeTracking", start, "change_tracking", False),
        properties=start.properties if properties is None else _properties(properties, start, tenant, problems),
    )


def _properties(section: Node, entity: Entity, tenant: str | None, problems: Problems) -> tuple[Property, ...]:
    """System properties, then the listed ones."""
    system = [p for p in entity.properties if p.is_system]
    custom = {p.name.lower(): p for p in entity.properties if not p.is_system}
    taken = (
        {p.name.lower() for p in system} | {"id", "owner", "created"} | ({f"{tenant}_ID".lower()} if tenant else set())
    )
    listed: list[Property] = []
    for item in once(section.items(), "Name", "property", problems):
        name: str = item.read("Name")
        existing = custom.get(name.lower())
        if name.lower() in taken:
            report(
                problems,
                item,
                "Name",
                f"{name} is the name of a system property, which the server adds",
                "remove it, or choose another name",
            )
            continue
        if existing is None:
            wrong = property_name_problem(name)
            if wrong:
                report(problems, item, "Name", f"the property name {name[:100]} {wrong}", "choose another name")
        elif existing.name != name:
            _spelling(item, existing.name, problems)
        listed.append(_property(item, existing, problems))
    return (*system, *in_order(custom.values(), listed, lambda each: each.name.lower()))


def _property(item: Node, existing: Property | None, problems: Problems) -> Property:
    """One listed property after the manifest, checked."""
    type = PropertyType[item.read("Type")] if item.has("Type") else existing.type if existing else PropertyType.String
    number = type is PropertyType.Number
    made = Property(
        name=existing.name if existing else item.read("Name"),
        type=type,
        description=setting(item, "Description", existing, "description", None),
        required=setting(item, "Required", existing, "required", False),
        minimum=setting(item, "Minimum", existing, "minimum", None),
        maximum=setting(item, "Maximum", existing, "maximum", None),
        decimal_places=setting(item, "DecimalPlaces", existing, "decimal_places", None) or (0 if number else None),
        validation_regex=setting(item, "ValidationRegex", existing, "validation_regex", None),
        encrypted=setting(item, "Encrypted", existing, "encrypted", False),
        values=tuple(setting(item, "Values", existing, "values", ()) or ()),
        format=setting(item, "Format", existing, "format", None),
    )
    made = replace(made, default=default_of(item, existing, made))
    if existing is not None and made.type is not existing.type:
        report(
            problems,
            item,
            "Type",
            f"the type of an existing property cannot change from {existing.type.name} to {type.name}",
            "add a property under another name and move the values",
        )
        return made
    if existing is not None and made.encrypted != existing.encrypted:
        report(
            problems,
            item,
            "Encrypted",
            "Encrypted of an existing property cannot change",
            "add a property under another name and move the values",
        )
        return made
    if "Type" not in item.refused:
        _check_property(item, made, problems)
    return made


def _check_property(item: Node, made: Property, problems: Problems) -> None:
    for key, value, types in (
        ("Minimum", made.minimum, (PropertyType.String, PropertyType.Number)),
        ("Maximum", made.maximum, (PropertyType.String, PropertyType.Number)),
        ("DecimalPlaces", item.read("DecimalPlaces"), (PropertyType.Number,)),
        ("ValidationRegex", made.validation_regex, (PropertyType.String,)),
        ("Encrypted", made.encrypted or None, (PropertyType.String,)),
    ):
        if value is not None and made.type not in types:
            names = " and ".join(type.name for type in types)
            report(
                problems,
                item,
                key,
                f"{key} has no meaning for the type {made.type.name}",
                f"it is for {names}; remove it",
            )
            return
    if made.minimum is not None and made.maximum is not None and made.minimum > made.maximum:
        key = "Minimum" if item.has("Minimum") else "Maximum"
        report(problems, item, key, f"Minimum {made.minimum} is greater than Maximum {made.maximum}", "make it smaller")
    if made.type is PropertyType.String:
        if made.minimum is not None and made.minimum < 0:
            report(problems, item, "Minimum", "the length of a String is at least 0", "give 0 or more")
        if made.maximum is not None and made.maximum < 1:
            report(problems, item, "Maximum", "the greatest length of a String is at least 1", "give 1 or more")
    check_values(item, made, problems)
    if made.validation_regex is not None and item.has("ValidationRegex"):
        wrong = pattern_problem(made.validation_regex)
        if wrong:
            report(problems, item, "ValidationRegex", f"the pattern does not compile: {wrong}", "correct it")


def pattern_problem(pattern: str) -> str | None:
    """The error of a validation pattern that compiles neither with RE2 nor with ``regex``; None when it compiles."""
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except (re2.error, UnicodeError):
        pass
    else:
        return None
    try:
        regex.compile(pattern)
    except (regex.error, RecursionError, OverflowError, ValueError) as error:
        return str(error)[:200] or type(error).__name__
    return None
