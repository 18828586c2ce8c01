"""Custom endpoints: what a plugin that brings a kind of them must offer (``apilane_register_endpoint_kinds``).

The core stores definitions, checks access and limits and writes the answer; what the text of an endpoint means is its
kind's business. Source: ``spec/query-language.md`` section 8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from apilane.model.definition import ApplicationDefinition, Endpoint
from apilane.security.identity import Actor
from apilane.sql.dialect import Dialect
from apilane.storage.protocol import Session

__all__ = ["EndpointAction", "EndpointApplication", "EndpointKind", "ResultSets"]

ResultSets = Sequence[Sequence[Mapping[str, object]]]
"""Results in order, each a list of rows by column; values are what JSON knows, bytes, dates and decimals."""


class EndpointApplication(Protocol):
    """What a kind may use of the application whose endpoint it runs."""

    definition: ApplicationDefinition
    dialect: Dialect
    session: Session

    def records_changed(self) -> None:
        """Tell that records were written around the Data calls: nothing kept of users and tokens counts any more."""
        ...


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
    """``Kind`` of the endpoints in manifests, whatever its case."""

    def check(self, endpoint: Endpoint, definition: ApplicationDefinition, dialect: Dialect) -> list[str]:
        """What is wrong with an endpoint of ``definition``, one sentence each, for ``apply`` to refuse. No I/O."""
        ...

    def compile(self, endpoint: Endpoint, application: EndpointApplication) -> EndpointAction:
        """The endpoint ready to run; called once for each version of an application, with its first call."""
        ...
