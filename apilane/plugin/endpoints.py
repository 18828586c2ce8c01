"""Kinds of custom endpoints: what a plugin that brings one offers (``apilane_register_endpoint_kinds``).

The core stores definitions and checks access and limits; the kind gives the text of an endpoint its meaning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from apilane.model.definition import ApplicationDefinition, Endpoint
from apilane.plugin.identity import Actor, ApplicationView
from apilane.sql.dialect import Dialect

__all__ = ["EndpointAction", "EndpointKind", "ResultSets"]

ResultSets = Sequence[Sequence[Mapping[str, object]]]
"""Results in order, each a list of rows by column; values are what JSON knows, bytes, dates and decimals."""


class EndpointAction(Protocol):
    """One endpoint, ready to be called. Kept for as long as the application's definition stands."""

    async def run(self, parameters: Mapping[str, str], actor: Actor, *, keep: bool = True) -> ResultSets:
        """Run the endpoint for a caller who may call it.

        ``parameters``: of the query, names as typed. ``keep`` False: whatever it writes is undone. Raises ApilaneError
        for what the caller may read; StorageError passes, and is answered without its text.
        """
        ...


@runtime_checkable
class EndpointKind(Protocol):
    """One kind of endpoint."""

    name: str
    """``Kind`` of the endpoints in manifests, in any letter case."""

    def check(self, endpoint: Endpoint, definition: ApplicationDefinition, dialect: Dialect) -> list[str]:
        """What is wrong with an endpoint of ``definition``, one sentence each, for ``apply`` to refuse. No I/O."""
        ...

    def compile(self, endpoint: Endpoint, application: ApplicationView) -> EndpointAction:
        """The endpoint ready to run; called once for each version of an application, with its first call."""
        ...
