"""The parts of an operation: its parameters, its responses and its limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apilane.model.definition import Action, RateLimit
from apilane.plugin.access import CustomEndpoint
from apilane.plugin.calls import WireCall
from apilane.plugin.descriptions import CallDescription, Parameter
from apilane.web.openapi.common import error_response
from apilane.web.openapi.records import limit_text
from apilane.web.openapi.rights import EntityRights
from apilane.web.openapi.types import Schemas

__all__ = [
    "about",
    "entity_parameter",
    "limit_note",
    "limits",
    "parameter",
    "request_body",
    "responses",
    "with_record",
]

LIMITS_SHOWN = 50
RECORD = "#/components/schemas/Record"
ENTITY_NAME = "#/components/schemas/EntityName"
BINARY = {"type": "string", "format": "binary"}
MEDIA_TYPES = {"json": "application/json", "multipart": "multipart/form-data"}


def parameter(each: Parameter, schemas: Schemas, owner: str) -> dict[str, Any]:
    """A parameter of the query or a header. A value that is an object or array is sent as JSON text."""
    schema = schemas.of(each.type, owner)
    if not _is_simple(schema):
        schema = {"type": "string", "contentMediaType": "application/json", "contentSchema": schema}
    shown: dict[str, Any] = {"name": each.name, "in": "header" if each.is_header else "query", **about(each)}
    if each.required:
        shown["required"] = True
    shown["schema"] = schema
    if each.example is not None:
        shown["example"] = each.example
    return shown


def _is_simple(schema: Mapping[str, Any]) -> bool:
    """Whether the values of a schema are sent as text, and not as JSON."""
    if "$ref" in schema:
        return bool(schema["$ref"] == ENTITY_NAME)
    if "anyOf" in schema:
        return all(map(_is_simple, schema["anyOf"]))
    types = schema.get("type", "object" if schema else "string")
    return not {"object", "array"} & {*([types] if isinstance(types, str) else types)} or "enum" in schema


def about(each: Parameter) -> dict[str, str]:
    """The text of a parameter."""
    return {"description": each.text} if each.text else {}


def entity_parameter(named: Sequence[EntityRights]) -> dict[str, Any]:
    """The parameter that names the entity of a call."""
    names = [each.entity.name for each in named]
    return {
        "name": "entity",
        "in": "query",
        "required": True,
        "description": "The entity, in any letter case.",
        "schema": {"type": "string", "enum": names},
    }


def limit_note(limit: RateLimit | None) -> list[str]:
    """A limit as a sentence."""
    return [] if limit is None else [f"Limit: {limit_text(limit)}."]


def limits(named: Sequence[EntityRights], action: Action) -> list[str]:
    """The limits of an action, one line for each entity that has one."""
    limited = [(each.entity.name, each.actions[action].limit) for each in named]
    lines = [f"- {name}: {limit_text(limit)}" for name, limit in limited if limit is not None]
    if not lines:
        return []
    more = [f"- and {len(lines) - LIMITS_SHOWN} more"] if len(lines) > LIMITS_SHOWN else []
    return ["Limits:\n\n" + "\n".join([*lines[:LIMITS_SHOWN], *more])]


def with_record(schema: Any, record: str | None) -> Any:
    """A schema with the reference to the record of the call replaced."""
    if isinstance(schema, Mapping):
        if schema.get("$ref") == RECORD and record is not None:
            return {"$ref": f"#/components/schemas/{record}"}
        return {key: with_record(value, record) for key, value in schema.items()}
    return [with_record(each, record) for each in schema] if isinstance(schema, list) else schema


def request_body(call: WireCall, described: CallDescription, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a request."""
    content: dict[str, Any] = {"schema": schema}
    if described.example is not None:
        content["example"] = described.example
    return {
        "required": described.body_required,
        "content": {MEDIA_TYPES.get(call.body, described.body_type): content},
    }


def responses(call: WireCall, described: CallDescription, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The answers by status: those that are declared, and the errors that every call can have."""
    types = [described.answer_type] if isinstance(described.answer_type, str) else described.answer_type
    content = {media: {"schema": answer or ({} if media == "application/json" else BINARY)} for media in types}
    codes = ", ".join(code.value for code in described.codes)
    refused = "The call is refused; Code says why." + (f" Codes of this call: {codes}." if codes else "")
    errors: dict[int, str | None] = {400: refused, 401: None}
    if call.body != "none":
        errors[415] = None
    if isinstance(call.access, CustomEndpoint):
        errors[404] = "The plugin that runs this endpoint is not loaded."
    errors |= {status: text for status, text in described.statuses.items() if status >= 400}
    shown: dict[str, Any] = {}
    if 302 not in described.statuses:
        shown["200"] = {"description": "The answer.", "content": content}
    for status, text in described.statuses.items():
        if status < 400:
            shown[str(status)] = {"description": text} | ({"content": content} if status == 206 else {})
    shown |= {str(status): error_response(status, text) for status, text in sorted(errors.items())}
    if described.refusal is not None:
        refusals = [{"$ref": "#/components/schemas/Error"}, described.refusal]
        shown["400"]["content"] = {"application/json": {"schema": {"anyOf": refusals}}}
    return shown
