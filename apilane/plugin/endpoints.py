"""The contract of a plugin's endpoint kind (``apilane_register_endpoint_kinds``).

The core stores definitions and checks access and limits. The kind checks and runs the text of an endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct

from apilane.model.definition import ApplicationDefinition, Endpoint
from apilane.plugin.identity import Actor, ApplicationView
from apilane.sql.dialect import Dialect
from apilane.storage.protocol import UnitWithScripts

__all__ = ["CarefulEndpointKind", "EndpointAction", "EndpointKind", "JsonResult", "ResultSets", "TransactionAction"]

ResultSets = Sequence[Sequence[Mapping[str, object]]]
"""Results in order, each a list of rows by column. Values are JSON values, bytes, dates and decimals."""


class JsonResult(Struct, frozen=True):
    """A result that is sent as it is, in JSON, instead of result sets."""

    value: Any


class EndpointAction(Protocol):
    """One compiled endpoint. It is kept until the application's definition changes."""

    async def run(self, parameters: Mapping[str, str], actor: Actor, *, keep: bool = True) -> ResultSets | JsonResult:
        """Run the endpoint for a caller that has access.

        ``parameters``: of the query, in the letter case of the request. ``keep`` False: all writes are rolled back.
        Raises ApilaneError with a text for the caller. The text of a StorageError is not sent to the caller.
        """
        ...


@runtime_checkable
class TransactionAction(EndpointAction, Protocol):
    """An endpoint that can be a part of a transaction. An endpoint whose action has no such method is refused there."""

    def part(self, parameters: Mapping[str, str], actor: Actor) -> Callable[[], UnitWithScripts[ResultSets]]:
        """Check a call for a caller that has access, and return a function that makes its steps within the unit.

        No I/O is allowed. The function is called again when the unit runs again. Raises ApilaneError with a text for
        the caller.
        """
        ...


@runtime_checkable
class EndpointKind(Protocol):
    """One kind of endpoint."""

    name: str
    """``Kind`` of the endpoints in manifests, in any letter case."""

    def check(self, endpoint: Endpoint, definition: ApplicationDefinition, dialect: Dialect) -> list[str]:
        """The errors of an endpoint of ``definition``, one sentence each; ``apply`` refuses them. No I/O is allowed."""
        ...

    def compile(self, endpoint: Endpoint, application: ApplicationView) -> EndpointAction:
        """Compile the endpoint. Called once for each version of an application, on the first call of the endpoint."""
        ...


@runtime_checkable
class CarefulEndpointKind(EndpointKind, Protocol):
    """A kind that also warns of an endpoint that works but may not do what its author means."""

    def warnings(self, endpoint: Endpoint, definition: ApplicationDefinition, dialect: Dialect) -> list[str]:
        """The warnings of an endpoint without errors, one sentence each; ``apply --strict`` refuses them. No I/O is
        allowed.
        """
        ...
