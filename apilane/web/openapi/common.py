"""The parts that every document has: errors, filters, sorts, and the ways to identify a caller."""

from __future__ import annotations

from typing import Any, Final

from apilane.errors import Code

__all__ = ["APPLICATION", "ERRORS", "OPERATOR", "SCHEMAS", "SECURITY_SCHEMES", "USER", "error_response"]

_NAME: Final = {"type": "string", "description": "A property, in any letter case."}
_OPERATORS: Final = (
    *("equal", "notequal", "greater", "greaterorequal", "less", "lessorequal"),
    *("startswith", "endswith", "contains", "notcontains"),
)

SCHEMAS: Final[dict[str, Any]] = {
    "Error": {
        "type": "object",
        "description": "The body of every error. Programs compare Code.",
        "required": ["Code", "Message", "Property", "Entity"],
        "additionalProperties": False,
        "properties": {
            "Code": {"type": "string", "enum": [code.value for code in Code]},
            "Message": {"type": "string", "description": "For people."},
            "Property": {"type": ["string", "null"]},
            "Entity": {"type": ["string", "null"]},
            "Error": {"type": "string", "description": "Code again, in refusals of calls for operators."},
            "SignInStep": {
                "type": "object",
                "description": "After a right password: the next step of a sign-in.",
                "required": ["Challenge", "Kind"],
                "properties": {"Challenge": {"type": "string"}, "Kind": {"type": "string"}},
            },
        },
        "examples": [{"Code": "VALIDATION", "Message": "Minimum 2 characters", "Property": "Title", "Entity": "Books"}],
    },
    "Condition": {
        "type": "object",
        "required": ["Property", "Operator"],
        "properties": {
            "Property": _NAME,
            "Operator": {"type": "string", "enum": [*_OPERATORS]},
            "Value": {
                "description": "A text, number, boolean or null; an array with contains and notcontains.",
                "type": ["string", "number", "boolean", "array", "null"],
                "items": {"type": ["string", "number"]},
            },
        },
    },
    "FilterGroup": {
        "type": "object",
        "required": ["Logic", "Filters"],
        "properties": {
            "Logic": {"type": "string", "enum": ["AND", "OR"]},
            "Filters": {"type": "array", "items": {"$ref": "#/components/schemas/Filter"}},
        },
    },
    "Filter": {
        "anyOf": [{"$ref": "#/components/schemas/Condition"}, {"$ref": "#/components/schemas/FilterGroup"}],
        "examples": [{"Property": "ID", "Operator": "greater", "Value": 10}],
    },
    "SortKey": {
        "type": "object",
        "required": ["Property", "Direction"],
        "properties": {"Property": _NAME, "Direction": {"type": "string", "enum": ["ASC", "DESC"]}},
    },
    "Sort": {
        "anyOf": [
            {"$ref": "#/components/schemas/SortKey"},
            {"type": "array", "items": {"$ref": "#/components/schemas/SortKey"}},
        ],
        "examples": [[{"Property": "ID", "Direction": "DESC"}]],
    },
}

ERRORS: Final[dict[int, str]] = {
    400: "The call is refused; Code says why.",
    401: "The rules do not allow the call, or a credential is wrong.",
    404: "The call does not exist here.",
    409: "A request with the same Idempotency-Key is running.",
    415: "The body has another media type.",
}

APPLICATION: Final = "ApplicationToken"
USER: Final = "UserToken"
OPERATOR: Final = "OwnerChannel"
SECURITY_SCHEMES: Final[dict[str, Any]] = {
    APPLICATION: {
        "type": "apiKey",
        "in": "header",
        "name": "x-application-token",
        "description": "The token of the application. The query parameter appToken has the same effect.",
    },
    USER: {
        "type": "http",
        "scheme": "bearer",
        "description": "The AuthToken of Account/Login, an API token, or the token of an operator.",
    },
    OPERATOR: {
        "type": "apiKey",
        "in": "header",
        "name": "x-client-id",
        "description": "The value portal, together with the token of an operator.",
    },
}


def error_response(status: int, text: str | None = None) -> dict[str, Any]:
    """The response of an error."""
    response: dict[str, Any] = {
        "description": text or ERRORS.get(status, "The call is refused."),
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    if status == 400:
        seconds = {"description": "Seconds to wait.", "schema": {"type": "integer"}}
        response["headers"] = {"Retry-After": seconds}
    return response
