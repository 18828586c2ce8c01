"""Typed calls of one entity, for the clients that ``apilane types`` writes. They send through a ``Client``.

A written class combines those that the rules grant, so a call without a rule is an error of the type checker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar, cast
from urllib.parse import quote

import httpx

from apilane.client.call import Call
from apilane.client.clients import Client
from apilane.client.data import PAGE_MAX, Condition
from apilane.client.filters import Sort

__all__ = ["Changes", "Creates", "Deletes", "EndpointCalls", "Reads"]

R = TypeVar("R", bound=Mapping[str, Any])
N = TypeVar("N", bound=Mapping[str, Any])
C = TypeVar("C", bound=Mapping[str, Any])


class _Entity:
    """The entity ``name`` of the application of ``client``."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._name = name


class Reads(_Entity, Generic[R]):
    """Reads records with all properties that the caller may read."""

    def get(
        self, *, filter: Condition | None = None, sort: Sort | None = None, page_index: int = 1, page_size: int = 20
    ) -> list[R]:
        """One page, as ``Client.get``."""
        found = self._client.get(self._name, filter=filter, sort=sort, page_index=page_index, page_size=page_size)
        return cast("list[R]", found.records)

    def count(self, *, filter: Condition | None = None) -> int:
        """The number of matching records."""
        return self._client.get(self._name, filter=filter, page_size=1, total=True).total or 0

    def get_by_id(self, id: int) -> R:
        """One record, as ``Client.get_by_id``."""
        return cast("R", self._client.get_by_id(self._name, id))

    def iterate(
        self, *, filter: Condition | None = None, sort: Sort | None = None, page_size: int = PAGE_MAX
    ) -> Iterator[R]:
        """All records, as ``Client.iterate``."""
        return cast("Iterator[R]", self._client.iterate(self._name, filter=filter, sort=sort, page_size=page_size))


class Creates(_Entity, Generic[N]):
    """Stores new records."""

    def post(self, records: N | Iterable[N]) -> list[int]:
        """Store one record or several, all or none; the IDs in order."""
        return self._client.post(self._name, cast("Any", records))


class Changes(_Entity, Generic[C]):
    """Changes records."""

    def put(self, records: C | Iterable[C]) -> int:
        """Change the given properties of one record or several; how many were found."""
        return self._client.put(self._name, cast("Any", records))


class Deletes(_Entity):
    """Deletes records."""

    def delete(self, ids: int | Iterable[int]) -> list[int]:
        """Delete records; the IDs that were deleted."""
        return self._client.delete(self._name, ids)


def _value(response: httpx.Response) -> Any:
    return response.json()


class EndpointCalls:
    """Runs the custom endpoints of the application of ``client``."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def _run(self, name: str, parameters: Mapping[str, Any]) -> Any:
        return self._client.send(Call("GET", f"/api/Custom/{quote(name, safe='')}", _value, dict(parameters)))
