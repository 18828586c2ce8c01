"""The Files calls (docs/reference/protocol/wire-api.md section 5)."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from apilane.plugin import (
    Action,
    ApilaneError,
    ApplicationView,
    CallView,
    Code,
    Data,
    FileStore,
    Open,
    Reply,
    StorageError,
    WireCall,
    Write,
    encode_json,
)
from apilane.plugin.storage import ForeignKeyViolation, ValueTooLong, compile_statement
from apilane_files import descriptions
from apilane_files.download import FOREVER, content_reply
from apilane_files.form import UploadForm
from apilane_files.links import link_target, linked_file
from apilane_files.media_types import HEAD_BYTES, refuse_program
from apilane_files.names import checked_name, extension
from apilane_files.options import FileSettings
from apilane_files.stores import Stores

__all__ = ["FileCalls"]

UID, NAME = "UID", "Name"
SIZE_UNIT = 1_048_576
MICRO = 1_000_000

_is_uid = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
_is_id = re.compile("[0-9]{1,18}").fullmatch
_files = sa.table("Files", sa.column(UID), sa.column(NAME))
_by_uid = sa.select(_files.c.Name).where(sa.bindparam("uid") == _files.c.UID)

log = logging.getLogger("apilane.files")


class FileCalls:
    """The actions of all calls."""

    def __init__(self, options: FileSettings, stores: Stores) -> None:
        self._options = options
        self._stores = stores
        self._blocked = frozenset(options.blocked_extensions)
        self._uploads = 0

    def calls(self) -> list[WireCall]:
        """Every call. A link is its own permission, so the call for links requires nothing else."""
        get, files = Data(Action.get, "Files"), "/api/Files"
        reads = [
            ("Get", get_page, descriptions.GET),
            ("GetByID", get_by_id, descriptions.GET_BY_ID),
            ("Download", self.download, descriptions.DOWNLOAD),
            ("Link", self.link, descriptions.LINK),
        ]
        return [
            *(
                WireCall(path=f"{files}/{name}", method="GET", action=action, access=get, description=description)
                for name, action, description in reads
            ),
            WireCall(
                path=f"{files}/Linked",
                method="GET",
                action=self.linked,
                access=Open(),
                entity="Files",
                description=descriptions.LINKED,
            ),
            WireCall(
                path=f"{files}/Post",
                method="POST",
                action=self.post,
                description=descriptions.POST,
                access=Data(Action.post, "Files"),
                body="multipart",
                audited=True,
            ),
            WireCall(
                path=f"{files}/Delete",
                method="DELETE",
                action=self.delete,
                description=descriptions.DELETE,
                access=Data(Action.delete, "Files"),
                audited=True,
            ),
        ]

    async def post(self, call: CallView) -> Write[int]:
        """Store the content; the write adds its record, which makes it visible."""
        store = self._stores.of(call.application)
        if self._uploads >= self._options.uploads_max:
            raise ApilaneError(Code.SERVICE_UNAVAILABLE, "Too many uploads at the same time; try again later")
        uid = str(uuid4())
        self._uploads += 1
        try:
            async with asyncio.timeout(self._options.upload_timeout_s):
                name, size = await self._receive(call, store, uid)
        except TimeoutError:
            limit_s = self._options.upload_timeout_s
            raise ApilaneError(Code.ERROR, f"The upload took longer than {limit_s:g} seconds") from None
        finally:
            self._uploads -= 1
        add = call.records.add({NAME: name, UID: uid, "Size": _megabytes(size)})

        async def run() -> int:
            try:
                return await add.run()
            except (ApilaneError, ForeignKeyViolation, ValueTooLong):  # after other failures there may be a record
                await _delete_content(store, call.application, uid)
                raise

        return Write(run=run, what=add.what, outcome=add.outcome)

    async def _receive(self, call: CallView, store: FileStore, uid: str) -> tuple[str, int]:
        """Check name and content of the upload and store it durably; returns name and size in bytes."""
        form = UploadForm(call, call.application.definition.max_allowed_file_size_in_kb)
        name = checked_name(await form.find())
        ending = extension(name)
        if ending in self._blocked:
            raise ApilaneError(Code.ERROR, f"Files with the extension {ending[:60]} are not accepted")
        async with aclosing(form.content()) as content:
            head = bytearray()
            async for chunk in content:
                head += chunk
                if len(head) >= HEAD_BYTES:
                    break
            refuse_program(name, bytes(head[:HEAD_BYTES]), self._blocked)
            await store.put(call.application.token, uid, _joined(bytes(head), content))
        return name, form.size

    async def download(self, call: CallView) -> Reply:
        """The content of a file within the caller's reach."""
        uid, name = await _readable(call)
        # The answer to an anonymous caller is for every caller; its key in a cache includes the application (vary).
        scope = "public" if call.actor.kind == "anonymous" else "private"
        return await self._send(call, uid, name, f"{scope}, max-age={FOREVER}, immutable")

    async def link(self, call: CallView) -> Reply:
        """A link to a file within the caller's reach, for the seconds of the query."""
        longest_s = self._options.link_max_s
        text = call.query.get("seconds", "3600")
        seconds = int(text) if _is_id(text) else 0
        if not 1 <= seconds <= longest_s:
            raise ApilaneError(Code.ERROR, f"The parameter seconds is {text[:20]!r}; expected 1 to {longest_s}")
        uid, _ = await _readable(call)
        expires_s = int(time.time()) + seconds
        return Reply(encode_json({"Url": link_target(call.application, uid, expires_s), "Expires": expires_s * 1000}))

    async def linked(self, call: CallView) -> Reply:
        """The content of the file that a link names."""
        application = call.application
        uid, left_s = linked_file(application, call.query)
        statement = compile_statement(_by_uid, application.dialect.sqlalchemy)
        rows = await application.session.fetch(statement, statement.parameters({"uid": uid}))
        if not rows:
            raise ApilaneError(Code.FILE_NOT_FOUND)
        return await self._send(call, uid, rows[0][0], f"private, max-age={left_s}")

    async def _send(self, call: CallView, uid: str, name: str, cache: str) -> Reply:
        content = None
        if _is_uid(uid):  # custom SQL can write records with any text
            content = await self._stores.of(call.application).open(call.application.token, uid)
        if content is None:
            raise ApilaneError(Code.NOT_FOUND, f"File '{uid}' not found.")
        return await content_reply(content, name, uid, call.headers, cache)

    async def delete(self, call: CallView) -> Write[list[int]]:
        """Delete records, then their contents."""
        store, ids = self._stores.of(call.application), call.query.get("ids")
        try:
            records = await call.records.delete(ids)
        except ApilaneError as error:
            error.entity = None
            raise
        wanted = [int(part) for part in (ids or "").split(",") if _is_id(part.strip())]
        uids: dict[int, str] = dict(await call.records.find("ID", wanted, ("ID", UID)))

        async def run() -> list[int]:
            gone = await records.run()
            for id in gone:
                if _is_uid(uids.get(id, "")):
                    await _delete_content(store, call.application, uids[id])
            return gone

        return Write(run=run, what=records.what, outcome=records.outcome)


async def get_page(call: CallView) -> Reply:
    """Records of files."""
    return await call.records.get_page()


async def get_by_id(call: CallView) -> Reply:
    """The record of one file."""
    return await call.records.get_by_id()


async def _readable(call: CallView) -> tuple[str, str]:
    """UID and name of the file that the query names. Raises FILE_NOT_FOUND without a file in the caller's reach, so
    that an unknown file and a forbidden one look alike (B-F1)."""
    id, uid = call.query.get("fileid", ""), call.query.get("fileuid", "").strip().lower()
    rows: list[tuple[Any, ...]] = []
    if id:
        if _is_id(id.strip()):
            rows = await call.records.find("ID", [int(id)], (UID, NAME))
    elif not uid:
        raise ApilaneError(Code.NOT_FOUND, "Give the parameter fileID or fileUID", status=404)
    elif _is_uid(uid):
        rows = await call.records.find(UID, [uid], (UID, NAME))
    if not rows:
        raise ApilaneError(Code.FILE_NOT_FOUND)
    return rows[0][0], rows[0][1]


def _megabytes(size: int) -> str:
    """Bytes as MB of 1,048,576 bytes, cut after six decimals."""
    millionths = size * MICRO // SIZE_UNIT
    return f"{millionths // MICRO}.{millionths % MICRO:06}"


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


async def _delete_content(store: FileStore, application: ApplicationView, uid: str) -> None:
    """Delete a content without a record. A failure is only logged: the search for orphans deletes it later."""
    try:
        await store.delete(application.token, uid)
    except StorageError as error:
        log.warning("application %s: the content %s cannot be deleted now: %s", application.token, uid, error)
