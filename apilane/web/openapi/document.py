"""The whole OpenAPI document of an application, for one caller."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from apilane.plugin.calls import WireCall
from apilane.plugin.identity import Actor
from apilane.runtime.application import ApplicationRuntime
from apilane.web.openapi.common import APPLICATION, SCHEMAS, SECURITY_SCHEMES
from apilane.web.openapi.operations import GENERAL, Operations
from apilane.web.openapi.records import component_name, record_schemas, user_schemas
from apilane.web.openapi.rights import EntityRights, Rights, rights_of
from apilane.web.openapi.types import Schemas

__all__ = ["ENTITIES_MAX", "application_document"]

ENTITIES_MAX: Final = 1000
"""Entities of one document: about 2 MB and 0.2 s. The parameter ``entities`` selects others."""


def application_document(
    application: ApplicationRuntime,
    calls: Iterable[WireCall],
    actor: Actor,
    *,
    only: Sequence[str] = (),
    most: int = ENTITIES_MAX,
    base_path: str = "",
) -> dict[str, Any]:
    """The document for a caller, as JSON values.

    ``only``: names of entities, in any letter case; empty: the first ``most``. ``base_path``: the path below
    which the server answers.
    """
    names = frozenset(name.strip().lower() for name in only)
    rights = rights_of(application.definition, actor, most=most, only=names)
    schemas = Schemas()
    operations = Operations(application, actor, rights, schemas)
    paths: dict[str, dict[str, Any]] = {}
    for call in calls:
        for path, method, content in operations.of(call):
            paths.setdefault(path, {})[method] = content
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": application.definition.name,
            "version": str(application.stored.version),
            "description": _about(actor, rights),
        },
        "servers": [{"url": base_path or "/"}],
    }
    return document | {
        "paths": paths,
        "components": {
            "schemas": _records(application, rights.entities) | SCHEMAS | schemas.components,
            "securitySchemes": SECURITY_SCHEMES,
        },
        "security": [{APPLICATION: []}],
    }


def _about(actor: Actor, rights: Rights) -> str:
    who = {"anonymous": "callers without a token", "operator": "operators"}.get(actor.kind)
    if who is None:
        who = f"users with the roles {', '.join(sorted(actor.roles))}" if actor.roles else "users without roles"
    text = f"The calls that {who} may make."
    missing = rights.count - len(rights.entities)
    if missing:
        text += f" {missing} more entities are not described; name entities in the parameter entities of this document."
    return text


def _records(application: ApplicationRuntime, entities: Sequence[EntityRights]) -> dict[str, Any]:
    """The schemas of the records of each entity, and those of any entity."""
    found: dict[str, Any] = {}
    for each in entities:
        found |= record_schemas(each)
    for action, name in GENERAL.items():
        refs = [
            {"$ref": f"#/components/schemas/{component_name(each.entity.name, action)}"}
            for each in entities
            if action in each.actions
        ]
        found[name] = {"anyOf": refs} if refs else {"type": "object"}
    names = [each.entity.name for each in entities]
    found["EntityName"] = {"type": "string", "description": "In any letter case."} | ({"enum": names} if names else {})
    users = application.definition.entity("Users")
    return found | (user_schemas(users) if users else {})
