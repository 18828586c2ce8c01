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
    PropertyType,
    Rule,
    RuleKind,
)
from apilane.model.migration import Renames, narrowings

__all__ = ["PlanLine", "differences"]

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

    A ``warning`` is not a difference: the manifest is applied unchanged, and the operator should correct it.
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
) -> tuple[PlanLine, ...]:
    """All differences. ``base`` is ``before`` under its new names; both are None for a new application.

    ``literals``: secrets that the manifest contains as plain text; each gets a warning.
    """
    lines: list[PlanLine] = []
    if base is None or before is None:
        lines.append(PlanLine("added", "Application", f"{after.name} ({after.storage_provider})"))
        base = ApplicationDefinition(token=after.token, name=after.name, storage_provider=after.storage_provider)
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
    _section(lines, "Collaborators", base.collaborators, after.collaborators, str)
    _section(lines, "Plugins", base.plugins.items(), after.plugins.items(), lambda each: str(each[0]))
    for part in sorted({*base.enforced} ^ {*after.enforced}):
        asked = part in after.enforced
        lines.append(PlanLine("changed", part, f"{'closed' if asked else 'served'} where its plugin is not loaded"))
    advice = "this secret is plain text in the manifest; write ${NAME} and set that environment variable"
    lines.extend(PlanLine("warning", path, advice) for path in literals)
    return tuple(lines)


def _shown(value: object) -> str:
    """A value as a plan displays it."""
    if isinstance(value, PropertyType):
        return value.name
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 120 else text[:117] + "..."


def _fields(lines: list[PlanLine], old: Struct, new: Struct, path: str, except_for: Iterable[str] = ()) -> None:
    """One line per field that differs, under its wire name."""
    for field in msgspec.structs.fields(type(new)):
        if field.name not in except_for:
            was, now = getattr(old, field.name), getattr(new, field.name)
            if was != now:
                name = f"{path}.{field.encode_name}"
                lines.append(PlanLine("changed", name, f"{_shown(was)} -> {_shown(now)}"))


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
            lines.append(PlanLine("added", path))
        elif old[key] != item:
            was: Any = old[key]
            if isinstance(was, Struct) and isinstance(item, Struct):
                _fields(lines, was, item, path)
            else:
                lines.append(PlanLine("changed", path))
    lines.extend(PlanLine("removed", f"{section}[{key[0]}]") for key in old if key not in new)
    common = [key for key in old if key in new]
    if common != [key for key in new if key in old]:
        lines.append(PlanLine("changed", section, "the order"))


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
            continue
        if old == entity:
            continue
        _fields(lines, old, entity, path, except_for=("properties", "constraints"))
        _properties(lines, old, entity, path)
        _constraints(lines, old, entity, path)
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
            what = property.type.name + (", required" if property.required else "")
            lines.append(PlanLine("added", name, what))
        elif was != property:
            changed: list[PlanLine] = []
            _fields(changed, was, property, name)
            narrower = narrowings(was, property)
            lines.extend(
                PlanLine(line.kind, line.path, line.detail, line.path.rpartition(".")[2] in narrower)
                for line in changed
            )
    lines.extend(
        PlanLine("removed", f"{path}.Properties[{p.name}]", "with all its values", loses_data=True)
        for p in old.properties
        if new.property(p.name) is None
    )


def _constraint_name(constraint: Constraint) -> str:
    if isinstance(constraint, ForeignKey):
        return f"ForeignKey {constraint.property}"
    return f"Unique {', '.join(constraint.properties)}"


def _constraints(lines: list[PlanLine], old: Entity, new: Entity, path: str) -> None:
    _section(lines, f"{path}.Constraints", old.constraints, new.constraints, _constraint_name)
