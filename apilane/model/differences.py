"""The differences of two definitions as lines of text: additions, changes, removals, and the loss of data. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

from apilane.model.definition import (
    ApplicationDefinition,
    Constraint,
    Entity,
    ForeignKey,
    Property,
    PropertyType,
    RecordScope,
    Rule,
    RuleKind,
    Unique,
)
from apilane.model.ip_ranges import range_advice
from apilane.model.migration import Renames
from apilane.model.portal_roles import Collaborator, email_of, role_of
from apilane.model.sections import MARK

__all__ = ["PlanLine", "constraint_name", "differences"]

T = TypeVar("T")
SECTIONS = frozenset(
    {
        "token",
        "entities",
        "rules",
        "custom_endpoints",
        "reports",
        "email_templates",
        "collaborators",
        "plugins",
        "enforced",
    }
)
SECRETS = {"connection_string": "Application.ConnectionString", "mail_password": "Application.Mail.Password"}


class PlanLine(Struct, frozen=True):
    """One difference. ``path``: key path as in manifests. ``loses_data``: the operator must agree to it.

    A ``warning`` is no difference: the manifest is applied as it is, and the operator should correct something in it.
    With ``apply --strict`` it is refused.
    """

    kind: Literal["added", "changed", "removed", "warning"]
    path: str
    detail: str = ""
    loses_data: bool = False

    def __str__(self) -> str:
        sign = {"added": "+", "changed": "~", "removed": "-", "warning": "!"}[self.kind]
        return f"{sign} {self.path}" + (f": {self.detail}" if self.detail else "")


def differences(
    before: ApplicationDefinition | None,
    base: ApplicationDefinition | None,
    after: ApplicationDefinition,
    renames: Renames,
    secrets: Mapping[str, str | None],
    *,
    literals: Iterable[str] = (),
    warnings: Iterable[PlanLine] = (),
) -> tuple[PlanLine, ...]:
    """All differences. ``base`` is ``before`` under its new names; both are None for a new application.

    ``literals``: secrets that the manifest contains as plain text; each gets a warning. ``warnings``: further ones.
    """
    lines: list[PlanLine] = []
    if base is None or before is None:
        lines.append(PlanLine("added", "Application", f"{after.name} ({after.storage_provider})"))
        base = ApplicationDefinition(token=after.token, name=after.name, storage_provider=after.storage_provider)
        _new_settings(lines, base, after)
        base = msgspec.structs.replace(base, differentiation_entity=after.differentiation_entity, reports=())
    else:
        _fields(lines, before, after, "Application", except_for=SECTIONS)
    for field in sorted(secrets):
        kind: Literal["changed", "removed"] = "removed" if secrets[field] is None else "changed"
        lines.append(PlanLine(kind, SECRETS.get(field, field), "a secret, not shown"))
    _renames(lines, renames)
    _entities(lines, base, after)
    _section(lines, "Security", base.rules, after.rules, _rule_name)
    _section(lines, "CustomEndpoints", base.custom_endpoints, after.custom_endpoints, lambda each: each.name)
    _section(lines, "Reports", base.reports, after.reports, lambda each: str(each.get("Title")))
    _section(lines, "EmailTemplates", base.email_templates, after.email_templates, lambda each: each.event)
    _section(lines, "Collaborators", base.collaborators, after.collaborators, email_of)
    _section(lines, "Plugins", base.plugins.items(), after.plugins.items(), lambda each: str(each[0]))
    for part in sorted({*base.enforced} ^ {*after.enforced}):
        asked = part in after.enforced
        lines.append(PlanLine("changed", part, f"{'closed' if asked else 'served'} where its plugin is not loaded"))
    advice = "this secret is plain text in the manifest; write ${NAME} and set that environment variable"
    lines.extend(PlanLine("warning", path, advice) for path in literals)
    lines.extend(warnings)
    listed = after.ip_policy.addresses if after.ip_policy is not None else ()
    doubts = [doubt for doubt in map(range_advice, listed) if doubt]
    lines.extend(PlanLine("warning", "Application.IPPolicy.Addresses", doubt) for doubt in doubts)
    return tuple(lines)


SHOWN_CHARACTERS = 120
CONTEXT_CHARACTERS = 30
"""Equal characters that are shown before the first difference of two long values."""


def _text(value: object) -> str:
    """A value in one line."""
    if isinstance(value, PropertyType):
        return value.name
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text.replace("\n", "\\n")


def _shown(value: object) -> str:
    """A value as a plan displays it: its beginning if it is long."""
    return _cut(_text(value), 0)


def _both(was: object, now: object) -> str:
    """An old and a new value; long ones from the place where they begin to differ."""
    old, new = _text(was), _text(now)
    start = 0
    if max(len(old), len(new)) > SHOWN_CHARACTERS:
        equal = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
        start = max(0, equal - CONTEXT_CHARACTERS)
    return f"{_cut(old, start)} -> {_cut(new, start)}"


def _cut(text: str, start: int) -> str:
    front = "..." if start else ""
    rest = text[start:]
    return front + (rest if len(rest) <= SHOWN_CHARACTERS else rest[: SHOWN_CHARACTERS - 3] + "...")


def _fields(lines: list[PlanLine], old: Struct, new: Struct, path: str, except_for: Iterable[str] = ()) -> None:
    """One line per field that differs, under its wire name."""
    for field in msgspec.structs.fields(type(new)):
        if field.name not in except_for:
            was, now = getattr(old, field.name), getattr(new, field.name)
            if was != now:
                name = f"{path}.{field.encode_name}"
                lines.append(PlanLine("changed", name, _both(was, now)))


def _new_settings(lines: list[PlanLine], default: Struct, new: Struct) -> None:
    """One line per setting of a new application that is not the default."""
    for field in msgspec.structs.fields(type(new)):
        value = getattr(new, field.name)
        if field.name not in SECTIONS and value != getattr(default, field.name):
            lines.append(PlanLine("added", f"Application.{field.encode_name}", _shown(value)))


def _numbered(items: Iterable[T], name: Callable[[T], str]) -> dict[tuple[str, int], T]:
    """Items by their name and a number: 1 for the first item of that name, 2 for the second."""
    counts: dict[str, int] = {}
    numbered: dict[tuple[str, int], T] = {}
    for item in items:
        key = name(item)
        counts[key] = counts.get(key, 0) + 1
        numbered[key, counts[key]] = item
    return numbered


def _section(
    lines: list[PlanLine], section: str, before: Iterable[T], after: Iterable[T], name: Callable[[T], str]
) -> None:
    """Differences of a list whose items are identified by name."""
    old, new = _numbered(before, name), _numbered(after, name)
    for key, item in new.items():
        path = f"{section}[{key[0]}]"
        if key not in old:
            lines.append(PlanLine("added", path, _added_detail(item)))
        elif old[key] != item:
            _item(lines, old[key], item, path)
    lines.extend(PlanLine("removed", f"{section}[{key[0]}]") for key in old if key not in new)
    common = [key for key in old if key in new]
    if common != [key for key in new if key in old]:
        lines.append(PlanLine("changed", section, "the order"))


def _item(lines: list[PlanLine], was: Any, now: Any, path: str) -> None:
    """Differences of one item."""
    if isinstance(now, str | Collaborator):
        lines.append(PlanLine("changed", f"{path}.Role", _both(role_of(was), role_of(now))))
    elif isinstance(was, Struct):
        _fields(lines, was, now, path)
    elif isinstance(was, tuple):  # name and section of a plugin
        _keys(lines, was[1], now[1], path)
    else:
        _keys(lines, was, now, path)


def _keys(lines: list[PlanLine], was: Any, now: Any, path: str) -> None:
    """Differences of two mappings, key by key; other values are shown as a whole. Secrets have their own lines."""
    if not isinstance(was, dict) or not isinstance(now, dict) or MARK in was or MARK in now:
        lines.append(PlanLine("changed", path, _both(_public(was), _public(now))))
        return
    for key, value in now.items():
        if key not in was:
            lines.append(PlanLine("added", f"{path}.{key}", _shown(_public(value))))
        elif was[key] != value:
            _keys(lines, was[key], value, f"{path}.{key}")
    lines.extend(PlanLine("removed", f"{path}.{key}") for key in was if key not in now)


def _public(value: object) -> object:
    """A value of a section with a text in place of each secret."""
    if isinstance(value, dict):
        return "a secret, not shown" if MARK in value else {key: _public(each) for key, each in value.items()}
    return [_public(each) for each in value] if isinstance(value, list | tuple) else value


def _added_detail(item: object) -> str:
    """The important fields of a new item that its name does not show."""
    if isinstance(item, Collaborator):
        return item.role.value
    if isinstance(item, ForeignKey):
        reach = ", within reach" if item.within_reach else ""
        return f"to {item.entity}, on delete {item.on_delete.value}{reach}"
    if isinstance(item, Unique):
        return "per tenant" if item.per_tenant else ""
    if not isinstance(item, Rule) or item.kind is RuleKind.Schema:
        return ""
    parts = ["only owned records"] if item.record is RecordScope.Owned else []
    parts += [f"where {item.where}"] if item.where else []
    parts += [f"check {item.check}"] if item.check else []
    parts += [", ".join(item.properties)] if item.properties else []
    parts += [f"at most {item.rate_limit.max_requests} per {item.rate_limit.per}"] if item.rate_limit else []
    return _shown("; ".join(parts))


def _rule_name(rule: Rule) -> str:
    subject = rule.name if rule.kind is RuleKind.Entity else f"{rule.kind.value} {rule.name}"
    subject = "Schema" if rule.kind is RuleKind.Schema else subject
    return f"{subject} {rule.role} {rule.action.value}"


def _renames(lines: list[PlanLine], renames: Renames) -> None:
    for new, old in renames.entities.items():
        lines.append(PlanLine("changed", f"Entities[{new}].Name", f"renamed from {old}"))
    for (entity, new), old in renames.properties.items():
        lines.append(PlanLine("changed", f"Entities[{entity}].Properties[{new}].Name", f"renamed from {old}"))


def _entities(lines: list[PlanLine], base: ApplicationDefinition, after: ApplicationDefinition) -> None:
    before = {entity.name.lower(): entity for entity in base.entities}
    kept = {entity.name.lower() for entity in after.entities}
    for entity in after.entities:
        path = f"Entities[{entity.name}]"
        old = before.get(entity.name.lower())
        if old is None:
            custom = [p.name for p in entity.properties if not p.is_system]
            if not entity.is_system or custom:
                lines.append(PlanLine("added", path, ", ".join(custom)))
            own = [constraint for constraint in entity.constraints if not constraint.is_system]
            _section(lines, f"{path}.Constraints", (), own, constraint_name)
            continue
        if old == entity:
            continue
        _fields(lines, old, entity, path, except_for=("properties", "constraints", "condition_indexes"))
        _properties(lines, old, entity, path)
        _constraints(lines, old, entity, path)
        _condition_indexes(lines, old, entity, path)
    lines.extend(
        PlanLine("removed", f"Entities[{entity.name}]", "with all its records", loses_data=True)
        for entity in base.entities
        if entity.name.lower() not in kept
    )


def _properties(lines: list[PlanLine], old: Entity, new: Entity, path: str) -> None:
    for property in new.properties:
        was = old.property(property.name)
        name = f"{path}.Properties[{property.name}]"
        if was is None:
            lines.append(PlanLine("added", name, _property_detail(property)))
        elif was != property:
            _fields(lines, was, property, name)  # a change that stored values do not fit is refused, so none is lost
    lines.extend(
        PlanLine("removed", f"{path}.Properties[{p.name}]", "with all its values", loses_data=True)
        for p in old.properties
        if new.property(p.name) is None
    )


def _property_detail(property: Property) -> str:
    """Type and rules of a new property."""
    bounds = {"minimum": property.minimum, "maximum": property.maximum, "decimal places": property.decimal_places}
    parts = [property.type.name, *(["required"] if property.required else [])]
    parts += [f"{name} {value}" for name, value in bounds.items() if value not in (None, 0)]
    parts += [f"pattern {_shown(property.validation_regex)}"] if property.validation_regex else []
    parts += [f"values {_shown(property.values)}"] if property.values else []
    parts += [f"format {property.format}"] if property.format else []
    parts += [f"default {_shown(property.default)}"] if property.default is not None else []
    return ", ".join([*parts, *(["encrypted"] if property.encrypted else [])])


def constraint_name(constraint: Constraint) -> str:
    """The name of a constraint in the paths of a plan."""
    if isinstance(constraint, ForeignKey):
        return f"ForeignKey {constraint.property}"
    return f"Unique {', '.join(constraint.properties)}"


def _constraints(lines: list[PlanLine], old: Entity, new: Entity, path: str) -> None:
    _section(lines, f"{path}.Constraints", old.constraints, new.constraints, constraint_name)


def _condition_indexes(lines: list[PlanLine], old: Entity, new: Entity, path: str) -> None:
    lines.extend(
        PlanLine("added", f"{path}.Indexes[{', '.join(names)}]", "for conditions of rules")
        for names in new.condition_indexes
        if names not in old.condition_indexes
    )
    lines.extend(
        PlanLine("removed", f"{path}.Indexes[{', '.join(names)}]", "no condition of a rule needs it")
        for names in old.condition_indexes
        if names not in new.condition_indexes
    )
