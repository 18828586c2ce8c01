"""Descriptions of the core's calls for the OpenAPI document: Data, Stats and transactions."""

from __future__ import annotations

from typing import Any, Final

from apilane.errors import Code
from apilane.plugin.descriptions import (
    PAGE_PARAMETERS,
    RECORD,
    RECORD_PAGE,
    CallDescription,
    Parameter,
    component,
    list_of,
    nullable,
)
from apilane.services.bulk_import import ImportReport

__all__ = [
    "AGGREGATE",
    "DELETE",
    "DISTINCT",
    "EXPORT",
    "GET",
    "GET_BY_ID",
    "GET_HISTORY",
    "IMPORT",
    "POST",
    "PUT",
    "SCHEMA",
    "TRANSACTION",
    "TRANSACTION_OPERATIONS",
]

_KEY: Final = Parameter(
    name="Idempotency-Key",
    type={"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    text="Carries the change out once, also when the request is sent again. Not for anonymous callers.",
    is_header=True,
)
_IN_USE: Final = {409: "A request with the same Idempotency-Key is running."}
_ID: Final = Parameter(name="id", type={"type": "integer", "format": "int64"}, text="The record.", required=True)
_PROPERTIES: Final = next(each for each in PAGE_PARAMETERS if each.name == "properties")
_FILTER: Final = next(each for each in PAGE_PARAMETERS if each.name == "filter")
_PAGE_INDEX: Final = PAGE_PARAMETERS[0]
_EXPAND: Final = (
    Parameter(name="expand", text="Related records: paths such as CategoryID or Products(CategoryID), with commas."),
    Parameter(
        name="expandLimit",
        type={"type": "integer", "minimum": 1, "maximum": 100, "default": 100},
        text="The most records of each list.",
    ),
    Parameter(name="expandProperties", text="Path:Name,Name: the properties of the records at a path."),
)
_READ: Final = (Code.INVALID_FILTER_PARAMETER, Code.INVALID_SORT_PARAMETER)
_WRITE: Final = (
    *(Code.EMPTY_BODY, Code.REQUIRED, Code.VALIDATION, Code.NO_PROPERTIES_PROVIDED),
    *(Code.UNIQUE_CONSTRAINT_VIOLATION, Code.FOREIGN_KEY_CONSTRAINT_VIOLATION),
)
_ONE_OR_MORE: Final[dict[str, Any]] = {"anyOf": [RECORD, {"type": "array", "items": RECORD, "maxItems": 100_000}]}
_IDS: Final = list_of({"type": "integer", "format": "int64"})

GET: Final = CallDescription(
    summary="Read a page of records",
    parameters=(*PAGE_PARAMETERS, *_EXPAND),
    answer=RECORD_PAGE,
    codes=_READ,
)

GET_BY_ID: Final = CallDescription(
    summary="Read one record",
    text="A record that does not exist and one that the caller may not read look the same.",
    parameters=(_ID, _PROPERTIES, *_EXPAND),
    answer=RECORD,
    codes=(Code.NOT_FOUND,),
)

GET_HISTORY: Final = CallDescription(
    summary="Read the earlier states of a record, newest first",
    parameters=(
        _ID,
        _PAGE_INDEX,
        Parameter(name="pageSize", type={"type": "integer", "default": 10}, text="Items of a page, 1 to 1000."),
    ),
    answer={
        "type": "object",
        "required": ["Data", "Total"],
        "properties": {
            "Data": list_of(
                {
                    "type": "object",
                    "required": ["History_Record_Created", "History_Record_Owner"],
                    "properties": {
                        "History_Record_Created": {"type": "integer", "format": "int64"},
                        "History_Record_Owner": nullable("integer"),
                    },
                    "description": "The time and the user of the change, and the properties before it.",
                }
            ),
            "Total": {"type": "integer"},
        },
    },
    codes=(Code.NOT_FOUND,),
)

POST: Final = CallDescription(
    summary="Store new records",
    text="All records are stored, or none. The answer has the new IDs in order.",
    parameters=(_KEY,),
    body=_ONE_OR_MORE,
    answer=_IDS,
    codes=_WRITE,
    statuses=_IN_USE,
)

PUT: Final = CallDescription(
    summary="Change records",
    text="Only the properties in the body change. The answer is the number of records found.",
    body=_ONE_OR_MORE,
    answer={"type": "integer"},
    codes=(*_WRITE, Code.NO_ID_PROVIDED),
)

DELETE: Final = CallDescription(
    summary="Delete records",
    parameters=(Parameter(name="ids", text="IDs with commas between them.", required=True, example="1,2"),),
    answer=_IDS,
    codes=(Code.NO_RECORDS_FOUND_TO_DELETE, Code.FOREIGN_KEY_CONSTRAINT_VIOLATION),
)

SCHEMA: Final = CallDescription(
    summary="Read the entities and their properties",
    answer={
        "type": "object",
        "required": ["Entities"],
        "properties": {
            "AuthTokenExpireMinutes": {"type": "integer"},
            "AllowLoginUnconfirmedEmail": {"type": "boolean"},
            "ForceSingleLogin": {"type": "boolean"},
            "AllowUserRegister": {"type": "boolean"},
            "MaxAllowedFileSizeInKB": {"type": "integer"},
            "Entities": list_of(
                {
                    "type": "object",
                    "required": ["Name", "Properties"],
                    "properties": {"Name": {"type": "string"}, "Properties": {"type": "array"}},
                }
            ),
        },
    },
)

_ENTITY: Final = component("EntityName")
_IDS_TEXT: Final = {"type": "string", "description": "IDs with commas between them."}


def _any_of(record: str) -> dict[str, Any]:
    return {"anyOf": [component(record), {"type": "array", "items": component(record)}]}


def _operations(members: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "required": [*required], "properties": members}


TRANSACTION: Final = CallDescription(
    summary="Carry out several changes together: every Post, then every Put, then every Delete",
    text="Everything is stored, or nothing. At most 1,000 operations.",
    parameters=(_KEY,),
    body={
        "type": "object",
        "properties": {
            "Post": list_of(_operations({"Entity": _ENTITY, "Data": _any_of("NewRecord")}, "Entity", "Data")),
            "Put": list_of(_operations({"Entity": _ENTITY, "Data": _any_of("ChangedRecord")}, "Entity", "Data")),
            "Delete": list_of(_operations({"Entity": _ENTITY, "Ids": _IDS_TEXT}, "Entity", "Ids")),
        },
    },
    answer={
        "type": "object",
        "required": ["Post", "Put", "Delete"],
        "additionalProperties": False,
        "properties": {"Post": _IDS, "Put": {"type": "integer"}, "Delete": _IDS},
    },
    codes=_WRITE,
    statuses=_IN_USE,
)

TRANSACTION_OPERATIONS: Final = CallDescription(
    summary="Carry out several changes together, in the order of the body",
    text=(
        "Everything is stored, or nothing. At most 1,000 operations. A text `$ref:label` stands for the ID that the "
        "earlier Post with that Id created."
    ),
    parameters=(_KEY,),
    body={
        "type": "object",
        "required": ["Operations"],
        "properties": {
            "Operations": list_of(
                {
                    "type": "object",
                    "required": ["Action", "Entity"],
                    "properties": {
                        "Action": {"type": "string", "enum": ["Post", "Put", "Delete", "Custom"]},
                        "Entity": {"type": "string", "description": "The entity; of Custom the name of the endpoint."},
                        "Id": {"type": "string", "description": "A label of a Post."},
                        "Data": {"description": "One record or several; of Custom the parameters."},
                        "Ids": _IDS_TEXT,
                    },
                }
            )
        },
    },
    answer={
        "type": "object",
        "required": ["Results"],
        "properties": {
            "Results": list_of(
                {
                    "type": "object",
                    "required": ["Action", "Entity", "Created", "Affected", "Deleted", "CustomResult"],
                    "properties": {
                        "Action": {"type": "string"},
                        "Entity": {"type": "string"},
                        "Created": {**_IDS, "type": ["array", "null"]},
                        "Affected": nullable("integer"),
                        "Deleted": {**_IDS, "type": ["array", "null"]},
                        "CustomResult": {},
                    },
                }
            )
        },
    },
    codes=_WRITE,
    statuses=_IN_USE,
)

_FORMAT: Final = Parameter(name="format", type={"type": "string", "enum": ["csv", "jsonl"]}, text="The form of a line.")
_SAFE: Final = Parameter(name="safe", type=bool, text="Texts that spreadsheets would run as formulas begin with '.")

EXPORT: Final = CallDescription(
    summary="Read all records as CSV or JSON lines",
    parameters=(_FORMAT, *(each for each in PAGE_PARAMETERS if each.name in {"filter", "sort", "properties"}), _SAFE),
    answer={"type": "string"},
    answer_type=("text/csv", "application/jsonl"),
    codes=_READ,
)

IMPORT: Final = CallDescription(
    summary="Store records from CSV or JSON lines",
    text="Lines that are refused do not stop the others. The answer names them.",
    parameters=(
        _FORMAT,
        Parameter(name="dryRun", type=bool, text="Checks everything and stores nothing."),
        Parameter(name="from", type={"type": "integer", "minimum": 1}, text="The first line to store."),
        _SAFE,
    ),
    body={"type": "string"},
    body_type="text/csv",
    answer=ImportReport,
    codes=_WRITE,
)

AGGREGATE: Final = CallDescription(
    summary="Count, add up and compare the values of records",
    parameters=(
        Parameter(
            name="properties",
            text="Property.Function with commas; functions: Count, Min, Max, Sum, Avg.",
            required=True,
            example="ID.Count",
        ),
        _PAGE_INDEX,
        Parameter(name="pageSize", type={"type": "integer", "default": 20}, text="Groups of a page."),
        _FILTER,
        Parameter(name="groupBy", text="Properties with commas; of a Date also Property.year, .month, .day ..."),
        Parameter(
            name="orderDirection",
            type={"type": "string", "enum": ["ASC", "DESC"], "default": "DESC"},
            text="The order of the groups by their figures.",
        ),
    ),
    answer=list_of({"type": "object", "description": "A group, such as {ID_count, Price_sum, Title}."}),
    codes=(Code.INVALID_FILTER_PARAMETER, Code.INVALID_GROUPBY_PARAMETER),
)

DISTINCT: Final = CallDescription(
    summary="Read the different values of a property",
    parameters=(Parameter(name="property", text="The property.", required=True, example="ID"), _FILTER),
    answer=list_of({"type": "object", "description": "An object with the property as its only key."}),
    codes=(Code.INVALID_FILTER_PARAMETER,),
)
