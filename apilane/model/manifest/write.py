"""A definition as a manifest: the output of ``apilane export``.

Applying the text again changes nothing. Secrets are written as ``${NAME}`` references. System entities are written only
where they differ from their default. Every section is written, so that a manifest in version control is complete.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

import msgspec
import yaml

from apilane.model.definition import (
    Action,
    ApplicationDefinition,
    Constraint,
    Entity,
    ForeignKey,
    Property,
    PropertyType,
    Rule,
    RuleKind,
)
from apilane.model.manifest.environment import escape
from apilane.model.manifest.read import plain_scalar
from apilane.model.manifest.settings import PLAIN_SETTINGS
from apilane.model.sections import with_marks
from apilane.model.system import system_entities

__all__ = ["export_manifest"]

_OTHER_BREAKS = re.compile("[\r\x85\u2028\u2029]")

Document = dict[str, Any]


def export_manifest(
    definition: ApplicationDefinition,
    format: Literal["yaml", "json"] = "yaml",
    *,
    secrets: Collection[str] | None = None,
) -> str:
    """The manifest of ``definition``, keys in the order of the specification, ending in a line break.

    ``secrets``: names of the secrets that the application has (``connection_string``, ``mail_password``). None: they
    are guessed from the provider and the mail settings. The marks in the definition name the secrets of plugins.
    """
    if secrets is None:
        secrets = {"connection_string"} if definition.storage_provider != "SQLite" else set()
        secrets |= {"mail_password"} if definition.mail is not None and definition.mail.user_name else set()
    system = {entity.name: entity for entity in system_entities(definition.differentiation_entity)}
    entities = [_entity(entity, system.get(entity.name)) for entity in definition.entities]
    document = _escaped(
        {
            "Apilane": 1,
            "Application": _application(definition),
            "Entities": [entity for entity in entities if len(entity) > 1 or entity["Name"] not in system],
            "Security": [_rule(rule) for rule in definition.rules],
            "CustomEndpoints": [
                _plain(endpoint, Description=None, Kind="sql", Parameters={}, Methods=["GET"])
                for endpoint in definition.custom_endpoints
            ],
            "Reports": list(definition.reports),
            "EmailTemplates": [_plain(template) for template in definition.email_templates],
            "Collaborators": [msgspec.to_builtins(each) for each in definition.collaborators],
            "Plugins": definition.plugins,
        }
    )
    _refer_to_secrets(document, definition.name, secrets)
    if format == "json":
        return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
    return str(yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000))


def _plain(struct: object, **defaults: object) -> Document:
    """The fields of a Struct by wire name, without those that equal ``defaults``; fields not in ``defaults`` are always
    written.
    """
    fields: Document = msgspec.to_builtins(struct)
    fields.pop("Type", None)
    return {key: value for key, value in fields.items() if key not in defaults or value != defaults[key]}


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, Mapping):
        return {key: _escaped(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(each) for each in value]
    return value


def _application(definition: ApplicationDefinition) -> Document:
    section: Document = {
        "Name": definition.name,
        "Token": definition.token,
        "StorageProvider": definition.storage_provider,
    }
    if definition.differentiation_entity is not None:
        section["DifferentiationEntity"] = definition.differentiation_entity
    section |= {key: getattr(definition, attribute) for key, attribute in PLAIN_SETTINGS.items()}
    section["IPPolicy"] = None if definition.ip_policy is None else _plain(definition.ip_policy)
    section["Mail"] = None if definition.mail is None else _plain(definition.mail)
    return section


def _refer_to_secrets(document: Document, name: str, secrets: Collection[str]) -> None:
    """Write references in the place of secrets, so that the stored secret is kept or the environment supplies it."""
    section = document["Application"]
    prefix = re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")
    prefix = prefix if prefix[:1].isalpha() else f"APP_{prefix}".rstrip("_")
    if "connection_string" in secrets:
        later = {key: section.pop(key) for key in list(section)[3:]}
        section["ConnectionString"] = f"${{{prefix}_CONNECTION_STRING}}"
        section |= later
    if "mail_password" in secrets and section["Mail"] is not None:
        section["Mail"]["Password"] = f"${{{prefix}_MAIL_PASSWORD}}"
    taken = {f"{prefix}_CONNECTION_STRING": "", f"{prefix}_MAIL_PASSWORD": ""}

    def reference(key: str) -> str:
        """``Plugins.mail.Password`` becomes ``${SHOP_MAIL_PASSWORD}``, with a number if that name is taken."""
        words = [prefix, *re.findall("[A-Z0-9]+", key.partition(".")[2].upper())]
        variable, number = "_".join(words), 1
        while taken.setdefault(variable, key) != key:
            number += 1
            variable = "_".join([*words, str(number)])
        return f"${{{variable}}}"

    document["Plugins"] = with_marks(document["Plugins"], reference)


def _entity(entity: Entity, default: Entity | None) -> Document:
    """One entity; for a system entity only the differences from ``default``."""
    made: Document = {"Name": entity.name}
    if entity.description != (default.description if default else None):
        made["Description"] = entity.description
    if entity.change_tracking != (default.change_tracking if default else False):
        made["ChangeTracking"] = entity.change_tracking
    if default is None and entity.differentiation:
        made["Differentiation"] = True
    if entity.default_order:
        made["DefaultOrder"] = [_plain(key, Direction="ASC") for key in entity.default_order]
    properties = [_property(each) for each in entity.properties if not each.is_system]
    if properties or default is None:
        made["Properties"] = properties
    constraints = [_constraint(each) for each in entity.constraints if not each.is_system]
    if constraints:
        made["Constraints"] = constraints
    if entity.indexes:
        made["Indexes"] = [_plain(index) for index in entity.indexes]
    return made


def _property(property: Property) -> Document:
    made: Document = {"Name": property.name, "Type": property.type.name}
    for key, value in (
        ("Description", property.description),
        ("Required", property.required or None),
        ("Minimum", property.minimum),
        ("Maximum", property.maximum),
        ("DecimalPlaces", property.decimal_places if property.type is PropertyType.Number else None),
        ("ValidationRegex", property.validation_regex),
        ("Encrypted", property.encrypted or None),
        ("Default", property.default),
        ("Values", list(property.values) or None),
        ("Format", property.format),
    ):
        if value is not None:
            made[key] = value
    return made


def _constraint(constraint: Constraint) -> Document:
    if isinstance(constraint, ForeignKey):
        made: Document = {
            "Type": "ForeignKey",
            "Property": constraint.property,
            "Entity": constraint.entity,
            "OnDelete": constraint.on_delete.value,
        }
        return {**made, "WithinReach": True} if constraint.within_reach else made
    made = {"Type": "Unique", "Properties": list(constraint.properties)}
    return {**made, "PerTenant": True} if constraint.per_tenant else made


def _rule(rule: Rule) -> Document:
    made: Document = {rule.kind.value: True if rule.kind is RuleKind.Schema else rule.name, "Role": rule.role}
    if rule.kind is RuleKind.Entity:
        made |= {"Action": rule.action.value, "Record": rule.record.value}
        if rule.properties or rule.action is not Action.delete:
            made["Properties"] = list(rule.properties)
    for key, text in (("Where", rule.where), ("Check", rule.check)):
        if text is not None:
            made[key] = json.loads(text)
    if rule.rate_limit is not None:
        made["RateLimit"] = _plain(rule.rate_limit)
    return made


class _Dumper(yaml.SafeDumper):
    """Block style, with lists of scalars on one line. Texts that YAML would read as another type are quoted."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    if not isinstance(plain_scalar(text), str) or _OTHER_BREAKS.search(text):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _represent_list(dumper: yaml.SafeDumper, items: list[Any]) -> yaml.SequenceNode:
    scalars = not any(isinstance(item, dict | list) for item in items)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=scalars)


_represent: Callable[..., None] = _Dumper.add_representer
_represent(list, _represent_list)
_represent(str, _represent_text)
