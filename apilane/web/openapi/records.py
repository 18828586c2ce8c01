"""Schemas of records: as they are read, and as they are sent in Post and Put."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from apilane.model.definition import Action, Entity, ForeignKey, Property, PropertyType, RateLimit
from apilane.model.formats import JSON
from apilane.model.system import is_secret
from apilane.web.openapi.examples import record_example
from apilane.web.openapi.rights import ActionRights, EntityRights

__all__ = ["SUFFIXES", "component_name", "limit_text", "record_schemas", "sent_schema", "user_schemas"]

SUFFIXES = {Action.get: "Record", Action.post: "New", Action.put: "Changed"}
"""The end of a component's name, by action. Names of entities have no dots, so the names are unique."""

PATTERN_MAX = 500
"""Longer patterns are left out: they cost the readers of the document more than they tell."""
_FORMATS = {"Email": "email", "Url": "uri", "Uuid": "uuid"}
_INTEGER = {"type": "integer", "format": "int64"}
_plain_pattern = re.compile(r"[\x20-\x7e]*").fullmatch
_differs_in_scripts = re.compile(r"\(\?[^:=!]|[*+?}]\+|\\[^dDwWsSbBntrfv^$\\.*+?()\[\]{}|/-]").search
"""Groups with flags or names, possessive quantifiers, and escapes that scripts refuse."""


def component_name(entity: str, action: Action) -> str:
    """The name of the schema of an entity's record, such as ``Products.Record``. A delete has records as read."""
    return f"{entity}.{SUFFIXES.get(action, SUFFIXES[Action.get])}"


def limit_text(limit: RateLimit) -> str:
    """A rate limit in words."""
    return f"at most {limit.max_requests} calls per {limit.per.lower()} for each caller"


def record_schemas(rights: EntityRights) -> dict[str, Any]:
    """The schemas of an entity's records by name, one for each of get, post and put that is granted."""
    entity, schemas = rights.entity, {}
    for action in SUFFIXES:
        granted = rights.actions.get(action)
        if granted is None:
            continue
        if action is Action.get:
            schema = _read_schema(entity, granted)
        else:
            schema = sent_schema(entity, granted.properties, is_new=action is Action.post)
        schemas[component_name(entity.name, action)] = schema | {"description": _about(entity, action, granted)}
    return schemas


def user_schemas(users: Entity) -> dict[str, Any]:
    """The schemas of the caller's own user: as it is read, registered and updated."""
    own = [p for p in users.properties if not p.is_system]
    registered = [p for p in users.properties if p.name in {"Email", "Username", "Password"}]
    everything = ActionRights(users.properties)
    read = _read_schema(users, everything) | {"required": [p.name for p in users.properties]}
    del read["properties"]["Expanded"]
    return {
        "User": read | {"description": "The user that calls."},
        "NewUser": sent_schema(users, [*registered, *own], is_new=True),
        "ChangedUser": {"type": "object", "properties": {p.name: _sent(users, p) for p in own}},
    }


def _about(entity: Entity, action: Action, granted: ActionRights) -> str:
    verb = {Action.get: "A record as it is read", Action.post: "A new record", Action.put: "A changed record"}[action]
    parts = [f"{verb}." if action is not Action.put else f"{verb}: ID, and the properties to change."]
    if entity.description:
        parts.insert(0, f"{entity.description.strip().rstrip('.')}.")
    if granted.owned:
        parts.append("Only the records of the caller.")
    if granted.conditional:
        parts.append("Only the records that meet the conditions of the rules.")
    if granted.limit is not None:
        parts.append(f"Limit: {limit_text(granted.limit)}.")
    return " ".join(parts)


def _read_schema(entity: Entity, granted: ActionRights) -> dict[str, Any]:
    """A record in an answer. ``properties`` of a call may leave out all but ``ID``."""
    members = {p.name: _read(entity, p, is_nullable=granted.conditional or not p.required) for p in granted.properties}
    members["Expanded"] = {"type": "object", "description": "Related records by path; with the parameter expand."}
    return {"type": "object", "required": ["ID"], "additionalProperties": False, "properties": members}


def sent_schema(entity: Entity, properties: Iterable[Property], *, is_new: bool) -> dict[str, Any]:
    """A record in a body. Other members are ignored."""
    properties = [*properties]
    members = {p.name: _sent(entity, p) for p in properties}
    if is_new:
        required = [p.name for p in properties if p.required and p.default is None]
    else:
        required, members = ["ID"], {"ID": {**_INTEGER, "minimum": 1}, **members}
    schema: dict[str, Any] = {"type": "object", "properties": members}
    keys = [each for each in entity.constraints if isinstance(each, ForeignKey)]
    example = record_example(properties, keys) if is_new else None
    return schema | ({"required": required} if required else {}) | ({"examples": [example]} if example else {})


def _read(entity: Entity, property: Property, *, is_nullable: bool) -> dict[str, Any]:
    if is_secret(entity, property):
        return {"type": "null", "description": "Never shown."}
    schema = _typed(property)
    if is_nullable and not property.is_primary_key and "type" in schema:
        schema["type"] = [schema["type"], "null"]
    return schema | _described(entity, property)


def _sent(entity: Entity, property: Property) -> dict[str, Any]:
    schema = _typed(property)
    if property.type is PropertyType.Date:
        del schema["format"]
        schema["type"] = ["integer", "string"]
    schema |= _bounds(property)
    if not property.required and "type" in schema:
        types = schema["type"]
        schema["type"] = [*(types if isinstance(types, list) else [types]), "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    if property.default is not None:
        schema["default"] = property.default
    return schema | _described(entity, property)


def _typed(property: Property) -> dict[str, Any]:
    """The JSON type of a value."""
    match property.type:
        case PropertyType.Number:
            return {"type": "number"} if property.decimal_places else {**_INTEGER}
        case PropertyType.Boolean:
            return {"type": "boolean"}
        case PropertyType.Date:
            return {**_INTEGER}
    if property.format == JSON:
        return {}
    schema: dict[str, Any] = {"type": "string"}
    if property.format in _FORMATS:
        schema["format"] = _FORMATS[property.format]
    return schema


def _bounds(property: Property) -> dict[str, Any]:
    """The rules of a property for values that are sent."""
    bounds: dict[str, Any] = {}
    if property.values:
        bounds["enum"] = [*property.values]
    names = {PropertyType.Number: ("minimum", "maximum"), PropertyType.String: ("minLength", "maxLength")}
    if property.type in names and property.format != JSON:
        ends = zip(names[property.type], (property.minimum, property.maximum), strict=True)
        bounds |= {name: value for name, value in ends if value is not None}
    pattern = property.validation_regex
    if property.type is PropertyType.String and pattern and _is_portable(pattern):
        bounds["pattern"] = pattern
    return bounds


def _is_portable(pattern: str) -> bool:
    """Whether a pattern means the same in ECMA 262, which JSON Schema uses. Others would stop a validator."""
    if len(pattern) > PATTERN_MAX or not _plain_pattern(pattern) or _differs_in_scripts(pattern):
        return False
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def _described(entity: Entity, property: Property) -> dict[str, str]:
    parts = [property.description.strip().rstrip(".") + "."] if property.description else []
    parts += [
        f"ID of a record of {key.entity}."
        for key in entity.constraints
        if isinstance(key, ForeignKey) and key.property == property.name
    ]
    if property.type is PropertyType.Date:
        parts.append("Unix milliseconds, UTC.")
    if property.encrypted and not is_secret(entity, property):
        parts.append("Encrypted in the database.")
    return {"description": " ".join(parts)} if parts else {}
