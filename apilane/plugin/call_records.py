"""Records: the part of the Data calls that a plugin's call may use, with the rights of its caller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from apilane.plugin.replies import Reply

if TYPE_CHECKING:
    from apilane.plugin.calls import Write

__all__ = ["RecordsView"]


class RecordsView(Protocol):
    """The records of the entity of an admitted call that declares ``Data``; the action of the declaration counts."""

    async def get_page(self) -> Reply:
        """The answer of Data/Get to the query of the call, without the default order of the entity."""
        ...

    async def get_by_id(self) -> Reply:
        """The answer of Data/GetByID to the query of the call."""
        ...

    async def find(self, property: str, values: Sequence[Any], columns: Sequence[str]) -> list[tuple[Any, ...]]:
        """The stored values of ``columns`` of the records within the caller's reach whose ``property`` is one of
        ``values``. The rule's list of properties does not count."""
        ...

    def add(self, values: Mapping[str, object]) -> Write[int]:
        """A write that stores a record; its result is the ID. Owner, time and tenant are those of Data/Post.

        ``values``: as in a body of Data/Post, by schema name. They may be system properties, and the rule's list of
        properties does not count.
        """
        ...

    async def delete(self, ids: str | None) -> Write[list[int]]:
        """The write of Data/Delete for comma-separated IDs."""
        ...
