"""The records of an admitted call for the action of a plugin (``apilane.plugin.RecordsView``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from apilane.plugin.calls import Write
from apilane.plugin.replies import Reply
from apilane.services import record_delete, record_post, record_reads
from apilane.sql.statement import Value
from apilane.storage.protocol import Row
from apilane.web import data
from apilane.web.call import Call

__all__ = ["CallRecords"]


class CallRecords:
    """The records of the entity of a call, with the access that admission found."""

    def __init__(self, call: Call) -> None:
        self._call = call

    async def get_page(self) -> Reply:
        """The answer of Data/Get, without the default order."""
        return await data.get_page(self._call, default_order=False)

    async def get_by_id(self) -> Reply:
        """The answer of Data/GetByID."""
        return await data.get_by_id(self._call)

    async def find(self, property: str, values: Sequence[Value], columns: Sequence[str]) -> list[Row]:
        """Stored values of the records within reach."""
        call = self._call
        return await record_reads.find(call.entity, call.actor, call.access, (property, values), tuple(columns))

    def add(self, values: Mapping[str, object]) -> Write[int]:
        """The write of one record."""
        return record_post.add(self._call.entity, self._call.actor, self._call.access, values)

    async def delete(self, ids: str | None) -> Write[list[int]]:
        """The write of Data/Delete."""
        return await record_delete.delete(self._call.entity, self._call.actor, self._call.access, ids)
