"""The transaction calls (docs/reference/protocol/query-language.md section 7): admits each operation, and builds one
write from all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from apilane.errors import ApilaneError, Code
from apilane.model.definition import Action, RuleKind
from apilane.model.json import encode_json
from apilane.model.operations import Operation, read_groups, read_operations
from apilane.plugin.access import PerOperation
from apilane.plugin.calls import WireCall, Write
from apilane.plugin.replies import Reply
from apilane.runtime.access import AccessPlan
from apilane.runtime.application import EntityRuntime
from apilane.security.passwords import Passwords
from apilane.services.references import References
from apilane.services.transactions import Transaction
from apilane.web import descriptions
from apilane.web.admission import USE_FILES, grant_entity, grant_name
from apilane.web.call import Call
from apilane.web.idempotency import IDEMPOTENCY_KEY, once
from apilane.web.limits import Uses

__all__ = ["transaction_calls"]

RESULT_KEYS: Final = {"Post": "Created", "Put": "Affected", "Delete": "Deleted", "Custom": "CustomResult"}
"""The key of an operation's result, by its action."""
ACTIONS: Final = {"Post": Action.post, "Put": Action.put, "Delete": Action.delete}
REFERENCE: Final = b"$ref:"


class _Grants:
    """The access of the operations of a call, found once for each entity and action; uses are counted together."""

    def __init__(self, call: Call, operations: Sequence[Operation]) -> None:
        self._call = call
        self._expected = Counter((each.entity.lower(), each.action) for each in operations)
        self._uses: dict[tuple[str, str], Uses] = {}
        self._found: dict[tuple[str, str], tuple[EntityRuntime, AccessPlan]] = {}

    async def of(self, operation: Operation) -> tuple[EntityRuntime, AccessPlan]:
        """Like ``grant_entity``."""
        call, key = self._call, (operation.entity.lower(), operation.action)
        found = self._found.get(key)
        if found is None:
            uses = self._uses[key] = Uses(self._expected[key])
            found = self._found[key] = await grant_entity(call, operation.entity, ACTIONS[operation.action], uses.count)
            return found
        entity, access = found
        call.entity_name = entity.name
        if access.limit is not None:
            await self._uses[key].count(call, entity.name, ACTIONS[operation.action], access.limit)
        return found

    async def give_back(self) -> None:
        """Return the uses of operations that were not admitted."""
        for uses in self._uses.values():
            await uses.give_back()


async def _add(
    call: Call, transaction: Transaction, operation: Operation, passwords: Passwords, grants: _Grants
) -> None:
    """Admit and check one operation."""
    if operation.action == "Custom":
        endpoint = transaction.endpoint(operation.entity)
        await grant_name(call, RuleKind.CustomEndpoint, endpoint.name)
        transaction.add_endpoint(endpoint, operation.data, call.actor)
    elif operation.entity.lower() == "files":
        raise ApilaneError(Code.ERROR, USE_FILES)
    else:
        await transaction.add(operation, await grants.of(operation), call.actor, passwords)


def _grouped_result(operations: Sequence[Operation], results: Sequence[Any]) -> dict[str, Any]:
    done: dict[str, Any] = {"Post": [], "Put": 0, "Delete": []}
    for operation, result in zip(operations, results, strict=True):
        done[operation.action] += result
    return done


def _ordered_result(operations: Sequence[Operation], results: Sequence[Any]) -> dict[str, Any]:
    empty = dict.fromkeys(RESULT_KEYS.values())
    return {
        "Results": [
            {"Action": each.action, "Entity": each.entity, **empty, RESULT_KEYS[each.action]: result}
            for each, result in zip(operations, results, strict=True)
        ]
    }


def transaction_calls(passwords: Passwords) -> list[WireCall]:
    """``Data/Transaction`` and ``Data/TransactionOperations``."""

    async def prepare(
        call: Call,
        operations: Sequence[Operation],
        result: Callable[[Sequence[Operation], Sequence[Any]], Any],
        references: References | None = None,
    ) -> Write[Any]:
        """Admit and check the operations in order, each like the single call."""

        def begin(entity: str) -> None:
            call.entity_name = entity  # errors of the database name it (B-E2)

        begin("")
        transaction = Transaction(call.application, begin, references)
        grants = _Grants(call, operations)
        try:
            for operation in operations:
                await _add(call, transaction, operation, passwords, grants)
        finally:
            await grants.give_back()
        write = transaction.write(f"Data/{call.last_part}")
        write.reply = lambda results: Reply(encode_json(result(operations, results)))
        key = call.headers.get(IDEMPOTENCY_KEY)
        return write if key is None else await once(call, write, key)

    async def grouped(call: Call) -> Write[Any]:
        return await prepare(call, read_groups(await call.json()), _grouped_result)

    async def ordered(call: Call) -> Write[Any]:
        body = await call.body()
        may_refer = REFERENCE in body or b"\\u" in body  # else values are read as in the single calls
        references = References() if may_refer else None
        return await prepare(call, read_operations(await call.json()), _ordered_result, references)

    actions = [
        ("/api/Data/Transaction", grouped, descriptions.TRANSACTION),
        ("/api/Data/TransactionOperations", ordered, descriptions.TRANSACTION_OPERATIONS),
    ]
    return [
        WireCall(
            path=path,
            method="POST",
            action=action,
            access=PerOperation(),
            body="json",
            audited=True,
            description=description,
        )
        for path, action, description in actions
    ]
