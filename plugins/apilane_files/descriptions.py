"""Descriptions of the Files calls for the OpenAPI document."""

from __future__ import annotations

from msgspec import Struct

from apilane.plugin import (
    PAGE_PARAMETERS,
    RECORD,
    RECORD_PAGE,
    CallDescription,
    Code,
    Parameter,
    list_of,
)

__all__ = ["DELETE", "DOWNLOAD", "GET", "GET_BY_ID", "LINK", "LINKED", "POST"]


class FileLink(Struct, frozen=True):
    """A path of this server that opens a file until a moment, in unix milliseconds."""

    Url: str
    Expires: int


_WHICH = (
    Parameter(name="fileID", type=int, text="The ID of the file."),
    Parameter(name="fileUID", text="The UID of the file; fileID comes first."),
)
_PARTS = {
    206: "The part that the header Range asks for.",
    304: "The file is the one of If-None-Match.",
    404: "The call names no file.",
    416: "The header Range asks for a part outside of the file.",
}

GET = CallDescription(
    summary="Read a page of the records of files",
    parameters=PAGE_PARAMETERS,
    answer=RECORD_PAGE,
    codes=(Code.INVALID_FILTER_PARAMETER, Code.INVALID_SORT_PARAMETER),
)

GET_BY_ID = CallDescription(
    summary="Read the record of a file",
    parameters=(
        Parameter(name="id", type=int, text="The record.", required=True),
        Parameter(name="properties", text="Names with commas between them."),
    ),
    answer=RECORD,
    codes=(Code.NOT_FOUND,),
)

DOWNLOAD = CallDescription(
    summary="Download a file",
    parameters=_WHICH,
    answer_type="application/octet-stream",
    codes=(Code.FILE_NOT_FOUND, Code.NOT_FOUND),
    statuses=_PARTS,
)

LINK = CallDescription(
    summary="Make a link that opens a file without a token",
    parameters=(
        *_WHICH,
        Parameter(name="seconds", type={"type": "integer", "minimum": 1, "default": 3600}, text="Until the link ends."),
    ),
    answer=FileLink,
    codes=(Code.FILE_NOT_FOUND,),
    statuses={404: "The call names no file."},
)

LINKED = CallDescription(
    summary="Download the file of a link",
    text="The address that Files/Link answers.",
    answer_type="application/octet-stream",
    codes=(Code.FILE_NOT_FOUND, Code.NOT_FOUND),
    statuses=_PARTS,
)

POST = CallDescription(
    summary="Upload a file",
    text="The answer is the ID of the new file.",
    body={
        "type": "object",
        "required": ["FileUpload"],
        "properties": {"FileUpload": {"type": "string", "contentMediaType": "application/octet-stream"}},
    },
    answer=int,
)

DELETE = CallDescription(
    summary="Delete files",
    parameters=(Parameter(name="ids", text="IDs with commas between them.", required=True, example="1,2"),),
    answer=list_of({"type": "integer"}),
    codes=(Code.NO_RECORDS_FOUND_TO_DELETE,),
)
