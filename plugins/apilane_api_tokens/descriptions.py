"""Descriptions of the calls of API tokens for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from apilane.plugin import CallDescription, Code, JsonSchema, Parameter, list_of, nullable

__all__ = ["INTROSPECTION", "REVOCATION", "described"]

_CLOSED: Final = {404: "Users of this application make no tokens themselves."}
_ID: Final = Parameter(name="id", type=int, text="The token.", required=True)
_TEXTS: Final = list_of({"type": "string"})
_ROW: Final[dict[str, Any]] = {
    "ID": {"type": "integer"},
    "Name": {"type": "string"},
    "Description": nullable("string"),
    "Shown": {"type": "string", "description": "The visible part of the token."},
    "Status": {"type": "string"},
    "Scopes": _TEXTS,
    "Networks": _TEXTS,
    "RateLimit": nullable("string"),
    "DayQuota": nullable("integer"),
    "MonthQuota": nullable("integer"),
    "Created": {"type": "integer"},
    "Expires": {"type": "integer"},
    "LastUsed": nullable("integer"),
    "LastAddress": nullable("string"),
}


def _object(members: dict[str, Any]) -> JsonSchema:
    return {"type": "object", "required": [*members], "properties": members}


_ANSWERS: Final[dict[str, tuple[str, JsonSchema]]] = {
    "Get": ("Read the API tokens of the user", list_of(_object(_ROW))),
    "Usage": (
        "Read the use of an API token",
        _object({"Days": list_of({"type": "object"}), "Log": list_of({"type": "object"})}),
    ),
    "Create": ("Make an API token; only this answer has it", _object({"Token": {"type": "string"}, **_ROW})),
    "Update": ("Change an API token", _object(_ROW)),
    "Rotate": ("Replace an API token by a new one", _object({"Token": {"type": "string"}, **_ROW})),
    "Suspend": ("Suspend an API token", _object(_ROW)),
    "Resume": ("Resume a suspended API token", _object(_ROW)),
    "Revoke": ("Revoke an API token", _object(_ROW)),
}


def described(name: str, body: Any = None) -> CallDescription:
    """The description of a call of users. ``body``: the Struct of its body."""
    summary, answer = _ANSWERS[name]
    return CallDescription(
        summary=summary,
        parameters=() if name in {"Get", "Create"} else (_ID,),
        body=body,
        body_required=name != "Rotate",
        answer=answer,
        codes=(Code.NOT_FOUND, Code.VALIDATION),
        statuses=_CLOSED,
    )


_FORM: Final = "application/x-www-form-urlencoded"
_TOKEN: Final = _object({"token": {"type": "string"}})
_REFUSAL: Final = _object({"error": {"type": "string"}, "error_description": {"type": "string"}})

INTROSPECTION: Final = CallDescription(
    summary="Ask whether an API token is active (RFC 7662)",
    body=_TOKEN,
    body_type=_FORM,
    answer={"type": "object", "required": ["active"], "properties": {"active": {"type": "boolean"}}},
    refusal=_REFUSAL,
)

REVOCATION: Final = CallDescription(
    summary="Revoke an API token (RFC 7009)", body=_TOKEN, body_type=_FORM, refusal=_REFUSAL
)
