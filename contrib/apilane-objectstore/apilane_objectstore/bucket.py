"""A file store in a bucket: one object for each content, ``{prefix}{application}/{name}``.

An object exists once it is complete. obstore repeats requests that fail for a moment.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

import obstore
from obstore.exceptions import BaseError, NotFoundError

from apilane.plugin import StoredName
from apilane.plugin.storage import Unavailable
from apilane_objectstore.connections import Bucket, Connect

__all__ = ["BucketStore"]

PART_BYTES: Final = 5 * 1024 * 1024
"""The smallest part of a multipart upload on S3; smaller contents are sent in one request."""
PARTS_AT_ONCE: Final = 2
READ_BYTES: Final = 131_072
MISSING: Final = (NotFoundError, FileNotFoundError)

_is_name = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch


class BucketContent:
    """An object that exists."""

    def __init__(self, bucket: Bucket, path: str, size: int) -> None:
        self._bucket = bucket
        self._path = path
        self.size = size

    async def read(self, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """A part of the object in chunks."""
        end = self.size if length is None else min(self.size, offset + length)
        if offset >= end:
            return
        with _reported("read", self._path):
            found = await obstore.get_async(self._bucket, self._path, options={"range": (offset, end)})
            async for chunk in found.stream(min_chunk_size=READ_BYTES):
                yield bytes(chunk)

    async def close(self) -> None:
        """Nothing is open between reads."""


class BucketStore:
    """Contents in a bucket that ``connect`` opens on first use."""

    def __init__(self, name: str, prefix: str, connect: Connect) -> None:
        self.name = name
        self._prefix = prefix
        self._connect = connect
        self._connected: Bucket | None = None

    async def _bucket(self) -> Bucket:
        if self._connected is None:
            with _reported("open", self.name):
                self._connected = await self._connect()
        return self._connected

    def _path(self, application: str, name: str) -> str:
        if not _is_name(name):
            raise ValueError(f"{name!r} is no name of a stored file")
        return f"{self._prefix}{application}/{name}"

    async def put(self, application: str, name: str, chunks: AsyncIterator[bytes]) -> None:
        """Send a small content in one request, a larger one in parts as it arrives."""
        bucket, path = await self._bucket(), self._path(application, name)
        first = bytearray()
        async for chunk in chunks:
            first += chunk
            if len(first) >= PART_BYTES:
                break
        else:
            with _reported("store", path):
                await obstore.put_async(bucket, path, bytes(first), use_multipart=False)
            return
        source = _Source(bytes(first), chunks)
        try:
            with _reported("store", path):
                await obstore.put_async(
                    bucket, path, source.chunks(), chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE
                )
        except Exception:
            if source.error is not None:
                raise source.error from None
            raise

    async def open(self, application: str, name: str) -> BucketContent | None:
        """Ask for the size of the object; None when there is none."""
        bucket, path = await self._bucket(), self._path(application, name)
        try:
            with _reported("read", path):
                meta = await obstore.head_async(bucket, path)
        except MISSING:
            return None
        return BucketContent(bucket, path, meta["size"])

    async def delete(self, application: str, name: str) -> None:
        """Delete the object of that name."""
        bucket, path = await self._bucket(), self._path(application, name)
        try:
            with _reported("delete", path):
                await obstore.delete_async(bucket, path)
        except MISSING:
            pass

    async def names(self, application: str) -> AsyncIterator[StoredName]:
        """The names of the objects of an application."""
        folder = f"{self._prefix}{application}/"
        with _reported("list", folder):
            async for batch in obstore.list(await self._bucket(), prefix=folder):
                for meta in batch:
                    name = meta["path"].removeprefix(folder)
                    if _is_name(name):
                        yield StoredName(name, int(meta["last_modified"].timestamp() * 1000))


class _Source:
    """Gives chunks to obstore and keeps the error of their source, which obstore replaces with its own."""

    def __init__(self, first: bytes, rest: AsyncIterator[bytes]) -> None:
        self._first = first
        self._rest = rest
        self.error: Exception | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            yield self._first
            async for chunk in self._rest:
                yield chunk
        except Exception as error:
            self.error = error
            raise


@contextmanager
def _reported(what: str, path: str) -> Iterator[None]:
    """An error of the bucket as ``Unavailable``, with its first line for the log; a missing object is passed on."""
    try:
        yield
    except MISSING:
        raise
    except (BaseError, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise Unavailable(
            f"Cannot {what} {path} in the bucket: {reason}; check the bucket and its settings."
        ) from error
