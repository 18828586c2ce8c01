"""The contract of a file store: where the content of uploaded files is kept (``apilane_register_file_stores``)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol, runtime_checkable

from msgspec import Struct

__all__ = ["FileContent", "FileStore", "StoredName"]


class StoredName(Struct, frozen=True):
    """A name in a store. ``written_ms``: unix milliseconds of the last write to it."""

    name: str
    written_ms: int


class FileContent(Protocol):
    """The opened content of one file."""

    size: int
    """Bytes."""

    def read(self, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """A part of the content in chunks; ``length`` None: up to the end. Raises StorageError."""
        ...

    async def close(self) -> None:
        """Release the content. Further calls do nothing."""
        ...


@runtime_checkable
class FileStore(Protocol):
    """Keeps contents by application and name. Names are made by the server: a GUID in canonical form.

    A failure of the store raises ``apilane.plugin.storage.Unavailable``, whose text is for the log. The caller gets
    SERVICE_UNAVAILABLE.
    """

    name: str
    """The name in settings and manifests, in any letter case."""

    async def put(self, application: str, name: str, chunks: AsyncIterator[bytes]) -> None:
        """Store a content under a new name and return once it is durable. ``application``: its token.

        When ``chunks`` raises, nothing is stored and the error is passed on.
        """
        ...

    async def open(self, application: str, name: str) -> FileContent | None:
        """The content of that name; None when there is none."""
        ...

    async def delete(self, application: str, name: str) -> None:
        """Delete the content, if there is one. ``name`` may be any name that ``names`` gave."""
        ...

    def names(self, application: str) -> AsyncIterator[StoredName]:
        """Every name, for the search for contents without a record; also names of unfinished contents of a crash.

        Things in the store that the store did not write are left out.
        """
        ...
