"""Many records at once: ``Data/Export`` and ``Data/Import``
(``docs/reference/protocol/wire-api.md`` sections 4.10 and 4.11).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, BinaryIO, Final, Literal, NamedTuple

import httpx

from apilane.client.call import Call, read_json
from apilane.client.data import Condition, Names, condition_of, names_of
from apilane.client.filters import Sort, sort_keys

__all__ = [
    "BulkFormat",
    "ImportReport",
    "RefusedLine",
    "StoppedImport",
    "async_parts_of",
    "export_to",
    "import_from",
    "parts_of",
]

BulkFormat = Literal["csv", "jsonl"]
Source = bytes | BinaryIO | Iterable[bytes]
PART_BYTES: Final = 65_536


class RefusedLine(NamedTuple):
    """A line that was not stored, with the error that ``post`` would give. ``line`` counts from 1, header included."""

    line: int
    code: str
    message: str
    property: str | None


class StoppedImport(NamedTuple):
    """Why an import ended before its last line. ``retry_after_s``: when a rate limit admits more."""

    code: str
    message: str
    retry_after_s: int | None


class ImportReport(NamedTuple):
    """The result of an import. ``stored``: records; in a dry run, those that would be stored.

    ``ignored``: properties that the caller may not write. ``next_line``: with which line to go on after a stop.
    """

    stored: int
    refused: list[RefusedLine]
    ignored: list[str]
    dry_run: bool
    stopped: StoppedImport | None
    next_line: int | None


def export_to(
    target: BinaryIO,
    entity: str,
    *,
    format: BulkFormat = "csv",
    filter: Condition | None = None,
    sort: Sort | None = None,
    properties: Names | None = None,
    safe: bool = False,
) -> Call[None]:
    """Write all records that the caller may read to an open binary file, while they arrive.

    ``sort`` None: by ``ID``. ``safe``: CSV texts that a spreadsheet would run as formulas get an apostrophe in front.
    After an error ``target`` may have a part of the records. Raises RateLimited when a limit does not admit the export.
    """
    query: dict[str, Any] = {"entity": entity, "format": format, "filter": condition_of(filter)}
    query |= {"sort": None if sort is None else sort_keys(sort), "properties": names_of(properties)}
    query["safe"] = safe or None
    return Call("GET", "/api/Data/Export", lambda _response: None, query, into=target)


def import_from(
    source: Source,
    entity: str,
    *,
    format: BulkFormat = "csv",
    dry_run: bool = False,
    from_line: int = 1,
    safe: bool = False,
) -> Call[ImportReport]:
    """Store the records of CSV (with a header) or JSON lines, in transactions of 1,000; the report names refused lines.

    ``source``: bytes, an open binary file, or parts of bytes. ``dry_run``: check everything and store nothing.
    ``from_line``: go on with this line after a stop. ``safe``: of a safe export. Imports cannot be signed.
    """
    query = {"entity": entity, "format": format, "dryRun": dry_run or None, "from": from_line, "safe": safe or None}
    return Call("POST", "/api/Data/Import", _read_report, query, source=source)


def parts_of(source: Source) -> Iterator[bytes]:
    """The bytes of a source in parts."""
    if isinstance(source, bytes):
        yield source
    elif hasattr(source, "read"):
        while part := source.read(PART_BYTES):
            yield part
    else:
        yield from source


async def async_parts_of(source: Source) -> AsyncIterator[bytes]:
    """The same for asyncio. Reading a file blocks shortly."""
    for part in parts_of(source):
        yield part


def _read_report(response: httpx.Response) -> ImportReport:
    answer: dict[str, Any] = read_json(dict)(response)
    refused = [RefusedLine(each["Line"], each["Code"], each["Message"], each["Property"]) for each in answer["Refused"]]
    stopped = answer["Stopped"]
    return ImportReport(
        stored=answer["Stored"],
        refused=refused,
        ignored=answer["Ignored"],
        dry_run=answer["DryRun"],
        stopped=None if stopped is None else StoppedImport(stopped["Code"], stopped["Message"], stopped["RetryAfter"]),
        next_line=answer["Next"],
    )
