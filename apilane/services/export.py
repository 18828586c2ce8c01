"""Application/Export: the definition and the data of an application as a zip that is made while it is sent
(docs/reference/protocol/wire-api.md section 9).

The zip has ``application.json`` (a manifest without secrets), ``data/{Entity}.json`` with the records of each entity,
and ``history.json``. Each file of data is one JSON array with a record a line, read from one snapshot of the database.
Passwords and tokens are left out (B-D3, B-D4). Encrypted properties are in clear, as an operator reads them.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import IO, Any, Final, cast
from zipfile import ZIP_DEFLATED, ZipFile

from apilane.model.definition import Entity, ForeignKey, SortKey
from apilane.model.json import encode_json
from apilane.model.manifest.write import export_manifest
from apilane.model.system import is_secret
from apilane.runtime.application import ApplicationRuntime, EntityRuntime
from apilane.services.history_reads import HISTORY, snapshot_reader
from apilane.services.manifest_plans import stored_secrets
from apilane.sql.select import ReadShape
from apilane.storage.protocol import Row

__all__ = ["exported"]

LEFT_OUT: Final = "AuthTokens"
"""The sessions of users; without their tokens nothing could be done with them."""
LEVEL: Final = 1
"""The fastest compression: JSON shrinks to a fifth."""

Maker = Callable[[Sequence[Row]], Sequence[Any]]


async def exported(application: ApplicationRuntime) -> AsyncIterator[bytes]:
    """The bytes of the zip, in chunks. Only one batch of records is in memory. Raises StorageError."""
    archive = _Archive()
    try:
        manifest = export_manifest(application.definition, "json", secrets=stored_secrets(application.stored))
        archive.begin("application.json")
        yield await archive.write(manifest.encode())
        for name, entity, columns, make in _files(application):
            async with aclosing(_array(archive, name, entity, columns, make)) as chunks:
                async for chunk in chunks:
                    yield chunk
        yield archive.close()
    finally:
        archive.close()


def _files(application: ApplicationRuntime) -> Iterator[tuple[str, EntityRuntime, tuple[str, ...], Maker]]:
    """The files of data in order: name, entity, columns, and the function that turns rows into records."""
    for name in _referring_first(application.definition.entities):
        entity = application.entities[name.lower()]
        columns = tuple(p.name for p in entity.entity.properties if not is_secret(entity.entity, p))
        yield f"data/{name}.json", entity, columns, entity.maker(columns)
    history, read = application.helpers[HISTORY], snapshot_reader(application)
    columns = tuple(p.name for p in history.entity.properties)
    yield "history.json", history, columns, lambda rows: list(map(read, rows))


def _referring_first(entities: Sequence[Entity]) -> list[str]:
    """The names of the exported entities: each one before those that it refers to, except in circles.

    A record that is stored during the export may then be missing, but not the record that an exported one refers to.
    """
    by_name = {entity.name.lower(): entity for entity in entities}
    seen: set[str] = set()
    ordered: list[str] = []

    def visit(name: str) -> None:
        if name in seen or name not in by_name:
            return
        seen.add(name)
        for each in by_name[name].constraints:
            if isinstance(each, ForeignKey):
                visit(each.entity.lower())
        ordered.append(by_name[name].name)

    for name in by_name:
        visit(name)
    return [name for name in reversed(ordered) if name != LEFT_OUT]


async def _array(
    archive: _Archive, name: str, entity: EntityRuntime, columns: tuple[str, ...], make: Maker
) -> AsyncGenerator[bytes]:
    """The chunks of one file: a JSON array of all rows, in the order of their IDs."""
    statement = entity.read(ReadShape(columns, (), None, (SortKey("ID"),)))
    archive.begin(name)
    between = b"[\n"
    async with aclosing(cast("Any", entity.session.stream(statement))) as batches:
        async for rows in batches:
            lines = b",\n".join(map(encode_json, make(rows)))
            yield await archive.write(between + lines)
            between = b",\n"
    yield await archive.write(b"\n]\n" if between == b",\n" else b"[]\n")


class _Archive:
    """A zip without a file behind it. Compressing runs in a thread; a batch takes some milliseconds."""

    def __init__(self) -> None:
        self._made = _Made()
        self._zip = ZipFile(cast("IO[bytes]", self._made), "w", ZIP_DEFLATED, compresslevel=LEVEL)
        self._member: IO[bytes] | None = None

    def begin(self, name: str) -> None:
        """Begin a file; the one before ends."""
        self._end_member()
        self._member = self._zip.open(name, "w", force_zip64=True)

    async def write(self, content: bytes) -> bytes:
        """Add to the current file; the bytes of the zip that are ready."""
        assert self._member is not None  # noqa: S101  # begun
        work = asyncio.create_task(asyncio.to_thread(self._member.write, content))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait({work})  # the archive must not be closed meanwhile
            raise
        return self._made.take()

    def close(self) -> bytes:
        """The end of the zip; later calls have no effect."""
        self._end_member()
        self._zip.close()
        return self._made.take()

    def _end_member(self) -> None:
        if self._member is not None:
            self._member.close()


class _Made(io.RawIOBase):
    """The written bytes that are not taken yet. It cannot seek, so the zip has its lengths behind each file."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, part: Any) -> int:
        self._parts.append(bytes(part))
        return len(part)

    def take(self) -> bytes:
        """The bytes since the last call."""
        made = b"".join(self._parts)
        self._parts.clear()
        return made
