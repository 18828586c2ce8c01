"""Descriptions of calls and endpoints for the OpenAPI document of an application (``WireCall.description``).

They have no effect on the calls. A call without a description is in the document with its path, its body and its
errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, runtime_checkable

from msgspec import Struct

from apilane.errors import Code
from apilane.model.definition import Endpoint
from apilane.plugin.endpoints import EndpointKind
from apilane.plugin.identity import ApplicationView

__all__ = [
    "PAGE_PARAMETERS",
    "RECORD",
    "RECORD_PAGE",
    "CallDescription",
    "DescribedKind",
    "EndpointDescription",
    "JsonSchema",
    "Parameter",
    "component",
    "list_of",
    "nullable",
]

JsonSchema = Mapping[str, Any]
"""A schema of JSON Schema 2020-12, as OpenAPI 3.1 has it."""


def component(name: str) -> JsonSchema:
    """A reference to a schema that the core makes: ``Record``, ``NewRecord``, ``ChangedRecord``, ``Filter``, ``Sort``,
    ``Error``, ``User``, ``EntityName``.
    """
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(schema: JsonSchema | type) -> JsonSchema:
    """The schema of an array."""
    return {"type": "array", "items": {"type": schema} if isinstance(schema, type) else schema}


def nullable(type: str) -> JsonSchema:
    """The schema of a JSON type (``string``, ``integer``, ``number``, ``boolean``) or null."""
    return {"type": [type, "null"]}


RECORD: Final[JsonSchema] = component("Record")
"""The record of a call that declares ``Data``: for ``get`` as it is read, for ``post`` and ``put`` as it is sent. The
document has the types of the entities that the caller may use."""

RECORD_PAGE: Final[JsonSchema] = {
    "type": "object",
    "required": ["Data"],
    "additionalProperties": False,
    "properties": {
        "Total": {"type": "integer", "description": "Matching records on all pages; with getTotal."},
        "Data": {"type": "array", "items": RECORD},
        "Next": {**nullable("string"), "description": "The cursor of the next page; with cursor or after."},
    },
}
"""The answer of Data/Get."""


class Parameter(Struct, frozen=True, kw_only=True):
    """One parameter of the query string, or one request header (``is_header``).

    ``type``: a Python type that ``msgspec`` can describe, or a JSON schema. A value that is an array or object is sent
    as JSON text.
    """

    name: str
    type: Any = str
    text: str = ""
    required: bool = False
    example: Any = None
    is_header: bool = False


PAGE_PARAMETERS: Final[tuple[Parameter, ...]] = (
    Parameter(name="pageIndex", type={"type": "integer", "default": 1}, text="The first page is 1."),
    Parameter(
        name="pageSize",
        type={"type": "integer", "default": 20},
        text="Records of a page, 1 to 1000. Any other number means 1000.",
    ),
    Parameter(
        name="filter",
        type=component("Filter"),
        text='A condition or a group of conditions as JSON: `{"Property": "ID", "Operator": "greater", "Value": 10}`.',
    ),
    Parameter(
        name="sort",
        type=component("Sort"),
        text='One key or several as JSON: `[{"Property": "ID", "Direction": "DESC"}]`. Default: that of the entity.',
    ),
    Parameter(name="properties", text="Names with commas between them; default: all that the caller may read."),
    Parameter(name="getTotal", type=bool, text="Adds Total, the number of matching records."),
    Parameter(name="cursor", type=bool, text="Adds Next, the cursor of the next page."),
    Parameter(name="after", text="The Next of the page before; pageIndex does not count then."),
)
"""The parameters of Data/Get, except ``entity``."""


class CallDescription(Struct, frozen=True, kw_only=True):
    """What a call does, takes and answers.

    ``body`` and ``answer``: a Python type that ``msgspec`` can describe, or a JSON schema; None: no body, and any
    answer. ``answer_type``: the media types of an answer with HTTP 200; ``body_type``: of the body of a route with
    ``body="stream"``. ``codes``: errors beside those that every call can have. ``statuses``: further HTTP statuses with
    their meaning; those of 400 and above have the body of an error. ``refusal``: the JSON schema of another
    body of HTTP 400.
    ``listed`` False: the call is not in the document.
    """

    summary: str
    text: str = ""
    parameters: Sequence[Parameter] = ()
    body: Any = None
    answer: Any = None
    answer_type: str | Sequence[str] = "application/json"
    body_type: str = "application/json"
    body_required: bool = True
    example: Any = None
    """A body, as JSON values."""
    codes: Sequence[Code] = ()
    statuses: Mapping[int, str] = {}
    refusal: Any = None
    listed: bool = True


class EndpointDescription(Struct, frozen=True, kw_only=True):
    """What a custom endpoint takes and answers. ``answer``: as in ``CallDescription``; None: any result sets."""

    parameters: Sequence[Parameter] = ()
    answer: Any = None
    text: str = ""


@runtime_checkable
class DescribedKind(EndpointKind, Protocol):
    """A kind of endpoints that describes them for the OpenAPI document. Kinds without it have untyped parameters."""

    def describe(self, endpoint: Endpoint, application: ApplicationView) -> EndpointDescription:
        """The description of an endpoint. No I/O is allowed."""
        ...
