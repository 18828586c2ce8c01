"""The data of an application for code in Python: endpoints, handlers of records, jobs, pages and tests.

``application.data`` has it. It goes through the same services as the wire: value rules, constraints, history, record
handlers and the audit of operators' writes. Calls of it do not count against rate limits, which count requests.
"""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from apilane.plugin.identity import Actor

__all__ = [
    "ApplicationData",
    "Create",
    "Delete",
    "Filter",
    "Operation",
    "RecordPage",
    "Records",
    "RunEndpoint",
    "Update",
    "ref",
]

Filter = Mapping[str, Any]
"""A condition or group as on the wire: ``{"Property": "Price", "Operator": "less", "Value": 10}``."""
Record = Mapping[str, Any]


class RecordPage(Struct, frozen=True):
    """One page of records. ``total``: all matching records; None when it was not asked for."""

    records: Sequence[dict[str, Any]]
    total: int | None = None


class Create(Struct, frozen=True):
    """Store records. ``label``: later operations refer to the first of them by ``ref(label)``."""

    entity: str
    records: Record | Sequence[Record]
    label: str | None = None


class Update(Struct, frozen=True):
    """Change records, each with its ``ID``."""

    entity: str
    records: Record | Sequence[Record]


class Delete(Struct, frozen=True):
    """Delete records. An ID may be a ``ref``."""

    entity: str
    ids: int | str | Sequence[int | str]


class RunEndpoint(Struct, frozen=True):
    """Run a custom endpoint within the transaction."""

    name: str
    parameters: Mapping[str, Any] = {}


Operation = Create | Update | Delete | RunEndpoint


def ref(label: str) -> str:
    """A value that stands for the ID of the first record that the operation with that label stores."""
    return f"$ref:{label}"


class Records(Protocol):
    """The records that one caller may use.

    Names of entities and properties ignore letter case. Values are those of the wire, with ``Decimal`` or ``float`` for
    numbers with decimal places. Every method raises ``ApilaneError`` with the code of the wire, and ``StorageError``
    when the database cannot be used.
    """

    async def get(self, entity: str, id: int, *, properties: Sequence[str] = ()) -> dict[str, Any]:
        """The record with that ID. Raises NOT_FOUND. ``properties`` empty: all that the caller may read."""
        ...

    async def list(
        self,
        entity: str,
        *,
        filter: Filter | None = None,
        sort: Sequence[tuple[str, str]] = (),
        properties: Sequence[str] = (),
        page: int = 1,
        page_size: int = 20,
        total: bool = False,
    ) -> RecordPage:
        """One page of the matching records. ``sort``: names with ``asc`` or ``desc``. ``page_size``: at most 1,000."""
        ...

    def stream(
        self,
        entity: str,
        *,
        filter: Filter | None = None,
        sort: Sequence[tuple[str, str]] = (),
        properties: Sequence[str] = (),
    ) -> AsyncIterator[dict[str, Any]]:
        """All matching records one by one, without keeping them in memory."""
        ...

    async def aggregate(
        self,
        entity: str,
        properties: Sequence[str],
        *,
        group_by: Sequence[str] = (),
        filter: Filter | None = None,
        ascending: bool = False,
        page: int = 1,
        page_size: int = 20,
    ) -> builtins.list[dict[str, Any]]:
        """Figures such as ``Price.Sum`` and ``ID.Count``, by groups such as ``Shop`` and ``Created.month``.

        One object with ``Price_sum``, ``ID_count``, ``Shop`` and ``Created_month`` for each group, in the order of the
        figures; without groups exactly one. ``page_size``: at most 1,000.
        """
        ...

    async def create(self, entity: str, *records: Record) -> builtins.list[int]:
        """Store all records or none; their IDs in order."""
        ...

    async def update(self, entity: str, *records: Record) -> int:
        """Change all records or none; how many were found. Each record has its ``ID``."""
        ...

    async def delete(self, entity: str, *ids: int) -> builtins.list[int]:
        """Delete the records that exist within reach, all or none; their IDs."""
        ...

    async def transaction(self, *operations: Operation) -> builtins.list[Any]:
        """Carry out all operations in order, or none.

        The results in order: IDs for ``Create`` and ``Delete``, a number for ``Update``, result sets for
        ``RunEndpoint``.
        """
        ...


class ApplicationData(Protocol):
    """The data of one application."""

    def as_actor(self, actor: Actor) -> Records:
        """The records under the rules of a caller. An operator's writes are on record before they begin."""
        ...

    def as_system(self) -> Records:
        """All records and properties, without rules. The owner of new records is empty."""
        ...
