"""Data/Schema: the part of the definition that a client may see (docs/reference/protocol/wire-api.md section 4.7)."""

from __future__ import annotations

from typing import Any

from apilane.model.definition import Constraint, Entity, ForeignKey, Property, PropertyType, Unique
from apilane.model.json import encode_json
from apilane.runtime.application import ApplicationRuntime

__all__ = ["schema_document"]


def _property(p: Property) -> dict[str, Any]:
    document: dict[str, Any] = {"IsPrimaryKey": p.is_primary_key, "IsSystem": p.is_system, "Name": p.name}
    optional = {
        "Description": p.description,
        "Encrypted": p.encrypted,
        "Minimum": p.minimum,
        "Maximum": p.maximum,
        "DecimalPlaces": p.decimal_places,
        "Required": p.required,
        "Type": PropertyType(p.type).name,
        "ValidationRegex": p.validation_regex or None,
        "Default": p.default,
        "Values": p.values or None,
        "Format": p.format,
    }
    document.update({key: value for key, value in optional.items() if value is not None})
    return document


def _constraint(constraint: Constraint) -> dict[str, Any]:
    if isinstance(constraint, ForeignKey):
        names = {"Property": constraint.property, "Entity": constraint.entity}
        return {"Type": "ForeignKey", **names, "WithinReach": True}
    return {"Type": "Unique", "Properties": list(constraint.properties), "PerTenant": True}


def _entity(entity: Entity) -> dict[str, Any]:
    document: dict[str, Any] = {"ChangeTracking": entity.change_tracking, "Name": entity.name}
    if entity.description is not None:
        document["Description"] = entity.description
    document["IsSystem"] = entity.is_system
    document["IsReadOnly"] = entity.is_read_only
    document["Properties"] = [_property(p) for p in entity.properties]
    beyond = [_constraint(c) for c in entity.constraints if (c.per_tenant if isinstance(c, Unique) else c.within_reach)]
    if beyond:  # the protocol has no constraints here
        document["Constraints"] = beyond
    return document


def schema_document(application: ApplicationRuntime) -> bytes:
    """The schema as JSON, for a caller with a Schema rule. Keys that are null are left out."""
    definition = application.definition
    return encode_json(
        {
            "AuthTokenExpireMinutes": definition.auth_token_expire_minutes,
            "AllowLoginUnconfirmedEmail": definition.allow_login_unconfirmed_email,
            "ForceSingleLogin": definition.force_single_login,
            "AllowUserRegister": definition.allow_user_register,
            "MaxAllowedFileSizeInKB": definition.max_allowed_file_size_in_kb,
            "Entities": [_entity(entity) for entity in definition.entities],
        }
    )
