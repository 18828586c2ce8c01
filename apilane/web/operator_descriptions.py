"""Descriptions of the calls for operators, for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from apilane.errors import Code
from apilane.plugin.descriptions import CallDescription, Parameter, component, list_of, nullable

__all__ = [
    "CLEAR_CACHE",
    "COUNT",
    "DELETE_HISTORY",
    "EXPORT",
    "GET_EMAILS",
    "GET_HISTORY",
    "GONE",
    "IMPORT",
    "STORAGE_USED",
    "UPDATE_EMAIL",
]

_OK: Final = {"type": "string", "const": "OK"}
_ENTITY: Final = Parameter(name="entity", type=component("EntityName"), text="The entity.", required=True)
_RECORD: Final = Parameter(
    name="recordID", type={"type": "integer", "format": "int64"}, text="One record; default: all of the entity."
)
_EVENTS: Final = {"type": "string", "enum": ["UserRegisterConfirmation", "UserForgotPassword"]}
_TEMPLATE: Final[dict[str, Any]] = {
    "ID": {"type": "integer"},
    "EventCode": _EVENTS,
    "Active": {"type": "boolean"},
    "Subject": {"type": "string"},
    "Content": {"type": "string"},
}

GET_HISTORY: Final = CallDescription(
    summary="Read the snapshots of records, newest first",
    parameters=(
        _ENTITY,
        _RECORD,
        Parameter(name="pageIndex", type={"type": "integer", "default": 1}, text="The first page is 1."),
        Parameter(name="pageSize", type={"type": "integer", "default": 20}, text="Items of a page, 1 to 1000."),
    ),
    answer={
        "type": "object",
        "required": ["Data", "Total"],
        "properties": {
            "Data": list_of(
                {
                    "type": "object",
                    "required": ["ID", "Entity", "RecordID", "Owner", "Data", "Created"],
                    "properties": {
                        "ID": {"type": "integer"},
                        "Entity": {"type": "string"},
                        "RecordID": {"type": "integer"},
                        "Owner": nullable("integer"),
                        "Data": {"type": "string", "description": "The record as JSON text."},
                        "Created": {"type": "integer", "format": "int64"},
                    },
                }
            ),
            "Total": {"type": "integer"},
        },
    },
)

DELETE_HISTORY: Final = CallDescription(
    summary="Delete the snapshots of a record, or of all records of an entity",
    parameters=(_ENTITY, _RECORD),
    answer=_OK,
    codes=(Code.VALIDATION,),
)

COUNT: Final = CallDescription(
    summary="Count the records and snapshots of an entity",
    parameters=(_ENTITY,),
    answer={
        "type": "object",
        "required": ["Data", "History"],
        "properties": {"Data": {"type": "integer"}, "History": {"type": "integer"}},
    },
)

STORAGE_USED: Final = CallDescription(
    summary="Measure the storage of the application", answer={"type": "number", "description": "MB of 1,048,576 bytes."}
)

CLEAR_CACHE: Final = CallDescription(summary="Read the definition again", answer=_OK)

EXPORT: Final = CallDescription(
    summary="Download the definition and all records",
    answer={"type": "string", "format": "binary"},
    answer_type="application/zip",
)

IMPORT: Final = CallDescription(
    summary="Store records with their IDs",
    text="All records are stored, or none. Values are stored as they are.",
    parameters=(_ENTITY,),
    body=list_of({"type": "object", "required": ["ID"], "properties": {"ID": {"type": "integer", "minimum": 1}}}),
    answer=list_of({"type": "integer"}),
    codes=(Code.VALIDATION, Code.UNIQUE_CONSTRAINT_VIOLATION, Code.FOREIGN_KEY_CONSTRAINT_VIOLATION),
)

GET_EMAILS: Final = CallDescription(
    summary="Read the templates of mails",
    parameters=(Parameter(name="ID", type=int, text="One template; default: all."),),
    answer=list_of(
        {
            "type": "object",
            "required": [*_TEMPLATE, "Description"],
            "properties": {**_TEMPLATE, "Description": {"type": "string"}},
        }
    ),
)

UPDATE_EMAIL: Final = CallDescription(
    summary="Change a template of mails",
    body={"type": "object", "required": [*_TEMPLATE], "properties": _TEMPLATE},
    answer=_OK,
    codes=(Code.EMPTY_BODY, Code.REQUIRED, Code.VALIDATION),
)

GONE: Final = CallDescription(summary="Does not exist here", listed=False)
