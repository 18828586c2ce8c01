"""Transactions: the writes of several operations in one unit (docs/reference/protocol/query-language.md section 7).

Operations are checked one by one, in order, before the unit begins. ``apilane.web.transactions`` asks for the access of
each one and adds its write here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any, Final

from msgspec import Struct

from apilane.errors import ApilaneError, Code
from apilane.model.definition import Endpoint
from apilane.model.hints import shortened
from apilane.model.json import json_text
from apilane.model.operations import Operation
from apilane.plugin.endpoints import ResultSets, TransactionAction
from apilane.plugin.identity import Actor
from apilane.runtime.access import AccessPlan
from apilane.runtime.application import ApplicationRuntime, EntityRuntime
from apilane.security.passwords import Passwords
from apilane.services import record_delete, record_put
from apilane.services.endpoints import action_of
from apilane.services.record_locks import is_ascending, lock_records
from apilane.services.record_post import Posts
from apilane.services.references import References
from apilane.services.unit_writes import ChangedRows, UnitWrite
from apilane.storage.errors import StatementTimeout
from apilane.storage.protocol import UnitWithScripts

__all__ = ["TIME_MAX_S", "Transaction"]

TIME_MAX_S: Final = 20.0

log = logging.getLogger("apilane.transactions")


class _Operation(Struct, frozen=True):
    """One checked operation. ``name``: of its entity, in the spelling of the schema, or of its endpoint."""

    action: str
    name: str
    write: UnitWrite[Any] | None
    """Of an operation on records."""
    steps: Callable[[], UnitWithScripts[Any]]
    label: str | None = None

    @property
    def title(self) -> str:
        """For the log and the audit."""
        return f"{self.action} {self.name}"


class Transaction:
    """The operations of one call. The result of its write is a list with the result of each operation."""

    def __init__(
        self, application: ApplicationRuntime, begin: Callable[[str], None], references: References | None
    ) -> None:
        """``begin``: called with the entity of each operation that begins; '' for an endpoint. ``references`` None: no
        operation refers to another.
        """
        self.references = references
        self._begin = begin
        self._application = application
        self._operations: list[_Operation] = []
        self._known_posts: dict[str, Posts] = {}

    async def add(
        self, operation: Operation, granted: tuple[EntityRuntime, AccessPlan], actor: Actor, passwords: Passwords
    ) -> None:
        """Check an operation on records, and add it. ``granted``: its entity, and the caller's plan for it."""
        entity, access = granted
        references = self.references
        write: UnitWrite[Any]
        if operation.action == "Post":
            write = await self._posts(entity, actor, access).add(operation.data)
        elif operation.action == "Put":
            write = await record_put.put(entity, actor, access, operation.data, passwords, references=references)
        else:
            write = await record_delete.delete(entity, actor, access, operation.ids, references=references)
        label = operation.label
        self._operations.append(_Operation(operation.action, entity.name, write, write.steps, label))
        if label is not None and references is not None:
            references.declare(label, entity)

    def _posts(self, entity: EntityRuntime, actor: Actor, access: AccessPlan) -> Posts:
        """The Posts of the caller to an entity; all operations have the same caller."""
        found = self._known_posts.get(entity.key)
        if found is None:
            found = self._known_posts[entity.key] = Posts(entity, actor, access, self.references)
        return found

    def endpoint(self, name: str) -> Endpoint:
        """The endpoint of a Custom operation. Raises ERROR."""
        endpoint = self._application.endpoints.get(name.lower())
        if endpoint is None:
            raise ApilaneError(Code.ERROR, f"Custom endpoint '{shortened(name)}' does not exist")
        return endpoint

    def add_endpoint(self, endpoint: Endpoint, data: Mapping[str, object], actor: Actor) -> None:
        """Add a call of a custom endpoint. Raises ERROR when its kind cannot be a part of a transaction."""
        action = action_of(self._application, endpoint)
        if not isinstance(action, TransactionAction):
            found = f"Custom {endpoint.name} cannot be a part of a transaction"
            raise ApilaneError(Code.ERROR, f"Something went wrong: {found}")
        references = self.references
        if references is not None and references.check(data):

            def steps() -> UnitWithScripts[ResultSets]:
                return action.part(_parameters(references.replaced(data)), actor)()

        else:
            steps = action.part(_parameters(data), actor)
        self._operations.append(_Operation("Custom", endpoint.name, None, steps))

    def write(self, call: str) -> UnitWrite[list[Any]]:
        """The write of all operations. ``call``: its name for the audit."""
        runs_scripts = any(operation.write is None for operation in self._operations)
        return UnitWrite.of(
            self._application.session,
            self.steps,
            alone=runs_scripts,
            committed=self._committed,
            what=lambda: f"{call}: {'; '.join(map(_audit_text, self._operations))}",
            outcome=lambda results: f"operations: {len(results)}",
        )

    def steps(self) -> UnitWithScripts[list[Any]]:
        """All operations in order, within a unit. Raises ERROR when they take longer than ``TIME_MAX_S``."""
        ends_at = monotonic() + TIME_MAX_S
        if self.references is not None:
            self.references.restart()
        yield from self._lock()
        results = []
        for position, operation in enumerate(self._operations, 1):
            if monotonic() > ends_at:
                raise _too_long()
            self._begin(operation.name if operation.write is not None else "")  # errors of the database name it
            try:
                result = yield from operation.steps()
            except StatementTimeout as error:
                raise _too_long() from error
            except Exception as error:
                log.info("operation %d of a transaction failed (%s): %s", position, operation.title, error)
                raise
            if operation.label is not None and self.references is not None:
                self.references.created(operation.label, result)
            results.append(result)
        return results

    def _lock(self) -> UnitWithScripts[None]:
        """Lock the existing records that the operations change, in the order of entities and IDs.

        Transactions that change the same records in another order then wait for each other, instead of becoming victims
        of a deadlock.
        """
        if not self._application.dialect.locks_rows:
            return
        changed = [each.write.rows() for each in self._operations if each.write is not None and each.write.rows]
        if is_ascending([(rows.entity.key, id) for rows in changed for id in rows.ids]):
            return
        by_reach: dict[tuple[str, str, str], list[ChangedRows]] = {}
        for rows in changed:
            by_reach.setdefault(_lock_key(rows), []).append(rows)
        for key in sorted(by_reach):
            first, ids = by_reach[key][0], {id for rows in by_reach[key] for id in rows.ids}
            yield from lock_records(first.entity, ids, first.reach)

    def _committed(self, results: Sequence[Any]) -> None:
        for operation, result in zip(self._operations, results, strict=True):
            if operation.write is None:
                self._application.records_changed()
            elif operation.write.committed is not None:
                operation.write.committed(result)


def _lock_key(rows: ChangedRows) -> tuple[str, str, str]:
    """Equal for writes of records that one statement can lock."""
    return rows.entity.key, repr(rows.reach.predicate), repr(rows.reach.parameters)


def _audit_text(operation: _Operation) -> str:
    write = operation.write
    return write.what() if write is not None and write.what is not None else operation.title


def _too_long() -> ApilaneError:
    message = f"Something went wrong: the transaction took longer than {TIME_MAX_S:.0f} seconds and was rolled back"
    return ApilaneError(Code.ERROR, message)


def _parameters(data: Any) -> dict[str, str]:
    """The members of ``Data`` as the texts of parameters; null ones are left out."""
    return {
        name: value if isinstance(value, str) else json_text(value) for name, value in data.items() if value is not None
    }
