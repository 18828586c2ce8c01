"""Descriptions of the Account calls for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from apilane.errors import Code
from apilane.plugin.descriptions import CallDescription, Parameter, component, list_of, nullable

__all__ = [
    "CHANGE_PASSWORD",
    "CONFIRM",
    "LOGIN",
    "LOGOUT",
    "REGISTER",
    "RENEW",
    "SIGN_IN_STEP",
    "UPDATE",
    "USER_DATA",
]

_PASSWORD: Final = {"type": "string", "format": "password"}
_SIGNED_IN: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["User", "AuthToken", "AuthTokenID"],
    "additionalProperties": False,
    "properties": {
        "User": component("User"),
        "AuthToken": {"type": "string", "description": "For the header Authorization."},
        "AuthTokenID": {"type": "integer", "description": "The key ID of signed requests."},
    },
}

LOGIN: Final = CallDescription(
    summary="Sign in",
    text="Email or Username, and Password. Failed sign-ins are limited.",
    body={
        "type": "object",
        "required": ["Password"],
        "properties": {"Email": nullable("string"), "Username": nullable("string"), "Password": _PASSWORD},
    },
    example={"Email": "maria@example.com", "Password": "a-long-password"},
    answer=_SIGNED_IN,
    codes=(Code.REQUIRED, Code.UNCONFIRMED_EMAIL, Code.RATE_LIMIT_EXCEEDED),
)

SIGN_IN_STEP: Final = CallDescription(
    summary="Take the next step of a sign-in",
    text="Needed where Login was refused with SignInStep.",
    body={
        "type": "object",
        "required": ["Challenge"],
        "properties": {"Challenge": {"type": "string"}, "Answer": {"description": "As the kind of the step expects."}},
    },
    answer=_SIGNED_IN,
    codes=(Code.REQUIRED, Code.RATE_LIMIT_EXCEEDED),
)

REGISTER: Final = CallDescription(
    summary="Create an account",
    text="The answer is the ID of the new user. Registrations are limited.",
    body=component("NewUser"),
    answer={"type": "integer"},
    codes=(
        *(Code.EMPTY_BODY, Code.REQUIRED, Code.VALIDATION),
        *(Code.UNIQUE_CONSTRAINT_VIOLATION, Code.RATE_LIMIT_EXCEEDED),
    ),
)

USER_DATA: Final = CallDescription(
    summary="Read the user that calls, and the rules that apply",
    answer={
        "type": "object",
        "required": ["User", "Security"],
        "additionalProperties": False,
        "properties": {
            "User": component("User"),
            "Security": list_of(
                {
                    "type": "object",
                    "required": ["Role", "Name", "Type", "Action", "Properties"],
                    "properties": {
                        "Role": {"type": "string"},
                        "Name": {"type": "string"},
                        "Type": {"type": "string", "enum": ["Entity", "CustomEndpoint", "Schema"]},
                        "Action": {"type": "string"},
                        "Properties": list_of({"type": "string"}),
                    },
                }
            ),
        },
    },
)

UPDATE: Final = CallDescription(
    summary="Change the user that calls",
    body=component("ChangedUser"),
    answer=component("User"),
    codes=(Code.NO_PROPERTIES_PROVIDED, Code.REQUIRED, Code.VALIDATION),
)

CHANGE_PASSWORD: Final = CallDescription(
    summary="Change the password",
    text="Ends the other tokens of the user.",
    body={
        "type": "object",
        "required": ["Password", "NewPassword"],
        "properties": {"Password": _PASSWORD, "NewPassword": {**_PASSWORD, "minLength": 8, "maxLength": 400}},
    },
    answer={"type": "boolean"},
    codes=(Code.EMPTY_BODY, Code.VALIDATION),
)

RENEW: Final = CallDescription(
    summary="Exchange the token of this request for a new one",
    text="The old token ends. The header x-auth-token-id has the ID of the new one.",
    answer={"type": "string"},
)

LOGOUT: Final = CallDescription(
    summary="Sign out",
    parameters=(Parameter(name="everywhere", type=bool, text="Ends all tokens of the user."),),
    answer={"type": "integer", "description": "Ended tokens."},
)

CONFIRM: Final = CallDescription(
    summary="Confirm an e-mail address",
    text="The address of the link in a mail.",
    parameters=(Parameter(name="token", text="The token of the mail.", required=True),),
    statuses={302: "Leads to a page that shows the result."},
)
