"""The store ``local``: one file for each content, in ``{data_dir}/apps/{token}/files``.

A content is written to ``{name}.part``, synchronised to the disk and then renamed, so a name exists only with all of
its content. File operations run in threads, beside the event loop.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Final

from apilane.plugin import StoredName
from apilane.plugin.storage import Unavailable

__all__ = ["LocalStore"]

WRITE_BYTES: Final = 131_072
READ_BYTES: Final = 131_072
"""Bytes of one file operation; a switch to a thread takes 60 us."""
NAMES_AT_ONCE: Final = 500
PART: Final = ".part"

_is_name = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch


class LocalContent:
    """An open file."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor: int | None = descriptor
        self.size = size

    async def read(self, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """A part of the file in chunks."""
        end = self.size if length is None else min(self.size, offset + length)
        while offset < end and self._descriptor is not None:
            wanted = min(READ_BYTES, end - offset)
            with _reported("read a file of"):
                chunk = await asyncio.to_thread(os.pread, self._descriptor, wanted, offset)
            if not chunk:
                raise Unavailable("A stored file became shorter while it was read; restore it from a backup.")
            offset += len(chunk)
            yield chunk

    async def close(self) -> None:
        """Close the file."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class LocalStore:
    """Contents in the data folder."""

    name = "local"

    def __init__(self, data_dir: Path) -> None:
        self._applications = data_dir / "apps"

    def _path(self, application: str, name: str) -> Path:
        """The path of a content. Names come from the server; a wrong one must not leave the folder all the same."""
        if not _is_name(name.removesuffix(PART)):
            raise ValueError(f"{name!r} is no name of a stored file")
        return self._applications / application / "files" / name

    async def put(self, application: str, name: str, chunks: AsyncIterator[bytes]) -> None:
        """Write, synchronise, rename, and synchronise the folder."""
        path = self._path(application, name)
        part = path.with_name(f"{name}{PART}")
        with _reported("store a file in"):
            descriptor = await asyncio.to_thread(_create, part)
        try:
            try:
                async for block in _blocks(chunks):
                    with _reported("store a file in"):
                        await asyncio.to_thread(_write, descriptor, block)
                with _reported("store a file in"):
                    await asyncio.to_thread(os.fsync, descriptor)
            finally:
                os.close(descriptor)
            with _reported("store a file in"):
                await asyncio.to_thread(_rename, part, path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise

    async def open(self, application: str, name: str) -> LocalContent | None:
        """Open the file of that name."""
        path = self._path(application, name)
        with _reported("read a file of"):
            return await asyncio.to_thread(_open, path)

    async def delete(self, application: str, name: str) -> None:
        """Delete the file of that name."""
        path = self._path(application, name)
        with _reported("delete a file of"):
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def names(self, application: str) -> AsyncIterator[StoredName]:
        """The names of contents and of unfinished contents in the folder."""
        found = _scan(self._applications / application / "files")
        while batch := await asyncio.to_thread(_some, found):
            for each in batch:
                yield each


def _create(part: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(part, flags, 0o600)
    except FileNotFoundError:  # an application on a database server may have no folder on this machine yet
        for folder in reversed(part.parents[:3]):
            folder.mkdir(mode=0o700, exist_ok=True)
            _synchronise(folder.parent)
        return os.open(part, flags, 0o600)


def _write(descriptor: int, block: bytes) -> None:
    left = memoryview(block)
    while left:
        left = left[os.write(descriptor, left) :]


def _rename(part: Path, path: Path) -> None:
    part.rename(path)
    _synchronise(path.parent)


def _synchronise(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path) -> LocalContent | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    return LocalContent(descriptor, os.fstat(descriptor).st_size)


def _scan(folder: Path) -> Iterator[StoredName]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if _is_name(entry.name.removesuffix(PART)):
                with suppress(FileNotFoundError):
                    yield StoredName(entry.name, entry.stat(follow_symlinks=False).st_mtime_ns // 1_000_000)


def _some(names: Iterator[StoredName]) -> list[StoredName]:
    with _reported("list the files of"):
        return list(islice(names, NAMES_AT_ONCE))


async def _blocks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Small chunks joined to blocks of ``WRITE_BYTES`` or more."""
    block = bytearray()
    async for chunk in chunks:
        block += chunk
        if len(block) >= WRITE_BYTES:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


@contextmanager
def _reported(what: str) -> Iterator[None]:
    """An error of the file system as ``Unavailable``, with its reason for the log."""
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"Cannot {what} {error.filename or 'the data folder'}: {error.strerror or error}; free some space, or "
            "check the disk and the rights of the folder."
        ) from error
