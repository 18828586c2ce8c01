"""Implements ``apilane.plugin.data`` on the services of the wire calls."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from msgspec import Raw, Struct, json
from msgspec.structs import fields

from apilane.model.definition import Action, RuleKind
from apilane.model.json import decode_json, encode_json
from apilane.model.operations import Operation as WireOperation
from apilane.plugin.calls import Write
from apilane.plugin.data import Create, Delete, Filter, Operation, RecordPage, Records, RunEndpoint, Update
from apilane.plugin.identity import Actor
from apilane.runtime.access import AccessPlan
from apilane.runtime.application import ApplicationRuntime, EntityRuntime
from apilane.security.passwords import Passwords
from apilane.services import record_delete, record_post, record_put, record_reads, statistics
from apilane.services.audit_trail import AuditTrail
from apilane.services.failures import wire_error
from apilane.services.references import References
from apilane.services.transactions import Transaction
from apilane.storage.errors import MissingObject, StorageError

__all__ = ["Data"]

T = TypeVar("T")

SYSTEM: Final = Actor(kind="operator", credential="system")


class Data:
    """The data of one application (``ApplicationData``)."""

    def __init__(self, application: ApplicationRuntime, passwords: Passwords, audit_trail: AuditTrail) -> None:
        self._application = application
        self._passwords = passwords
        self._audit_trail = audit_trail

    def as_actor(self, actor: Actor) -> Records:
        """See ``ApplicationData``."""
        return _Records(
            self._application, self._passwords, self._audit_trail if actor.kind == "operator" else None, actor
        )

    def as_system(self) -> Records:
        """See ``ApplicationData``."""
        return _Records(self._application, self._passwords, None, SYSTEM)


class _Records:
    """The records that one caller may use. ``audit_trail``: of an operator."""

    def __init__(
        self, application: ApplicationRuntime, passwords: Passwords, audit_trail: AuditTrail | None, actor: Actor
    ) -> None:
        self._application = application
        self._passwords = passwords
        self._audit_trail = audit_trail
        self._actor = actor

    def _granted(self, name: str, action: Action) -> tuple[EntityRuntime, AccessPlan]:
        entity = self._application.entity(name)
        return entity, self._application.access(entity, action, self._actor)

    async def _run(self, write: Write[T], entity: Callable[[], str]) -> T:
        """The result of a write, with failures of the database that a caller can correct as errors of the wire."""
        try:
            if self._audit_trail is None:
                return await write.run()
            return await self._audit_trail.record(self._application, self._actor, write)
        except MissingObject:
            raise  # the definition may have changed; the call is tried again with the new one
        except StorageError as error:
            raise wire_error(error, entity()) from error

    async def get(self, entity: str, id: int, *, properties: Sequence[str] = ()) -> dict[str, Any]:
        found, access = self._granted(entity, Action.get)
        names = ",".join(properties)
        return _plain([await record_reads.get_by_id(found, self._actor, access, id, names)])[0]

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
        found, access = self._granted(entity, Action.get)
        query = record_reads.PageQuery(
            page_index=page,
            page_size=page_size,
            filter=_filter_text(filter),
            sort=_sort_text(sort),
            properties=",".join(properties),
            get_total=total,
        )
        read = await record_reads.get_page(found, self._actor, access, query)
        return RecordPage(_plain(read.records), read.total)

    async def stream(
        self,
        entity: str,
        *,
        filter: Filter | None = None,
        sort: Sequence[tuple[str, str]] = (),
        properties: Sequence[str] = (),
    ) -> AsyncIterator[dict[str, Any]]:
        found, access = self._granted(entity, Action.get)
        query = record_reads.PageQuery(
            filter=_filter_text(filter), sort=_sort_text(sort), properties=",".join(properties)
        )
        async for records in record_reads.stream(found, self._actor, access, query):
            for record in _plain(records):
                yield record

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
        found, access = self._granted(entity, Action.get)
        query = statistics.AggregateQuery(
            properties=",".join(properties),
            group_by=",".join(group_by),
            filter=_filter_text(filter),
            order_direction="asc" if ascending else "desc",
            page_index=page,
            page_size=page_size,
        )
        return _plain(await statistics.aggregate(found, self._actor, access, query))

    async def create(self, entity: str, *records: Mapping[str, Any]) -> builtins.list[int]:
        found, access = self._granted(entity, Action.post)
        return await self._run(await record_post.post(found, self._actor, access, _sent(records)), lambda: found.name)

    async def update(self, entity: str, *records: Mapping[str, Any]) -> int:
        found, access = self._granted(entity, Action.put)
        return await self._run(
            await record_put.put(found, self._actor, access, _sent(records), self._passwords), lambda: found.name
        )

    async def delete(self, entity: str, *ids: int) -> builtins.list[int]:
        found, access = self._granted(entity, Action.delete)
        return await self._run(
            await record_delete.delete(found, self._actor, access, _id_list(ids)), lambda: found.name
        )

    async def transaction(self, *operations: Operation) -> builtins.list[Any]:
        at = ""

        def begin(entity: str) -> None:
            nonlocal at
            at = entity

        transaction = Transaction(self._application, begin, References())
        for operation in map(_on_wire, operations):
            if operation.action == "Custom":
                endpoint = transaction.endpoint(operation.entity)
                self._application.permit(RuleKind.CustomEndpoint, endpoint.name, self._actor)
                transaction.add_endpoint(endpoint, operation.data, self._actor)
            else:
                granted = self._granted(operation.entity, Action(operation.action.lower()))
                await transaction.add(operation, granted, self._actor, self._passwords)
        return await self._run(transaction.write("Data/TransactionOperations"), lambda: at)


def _plain(records: Sequence[Struct]) -> list[dict[str, Any]]:
    """Records as dictionaries by property."""
    if not records:
        return []
    names = [(field.name, field.encode_name) for field in fields(type(records[0]))]
    return [{shown: _python(getattr(record, name)) for name, shown in names} for record in records]


def _python(value: Any) -> Any:
    """A value of a record; that of a Json property as Python objects."""
    return json.decode(value) if type(value) is Raw else value


def _sent(value: Any) -> Any:
    """Values of Python in the form in which a request brings them."""
    return decode_json(encode_json(value))


def _filter_text(filter: Filter | None) -> str | None:
    return None if filter is None else encode_json(filter).decode()


def _sort_text(sort: Sequence[tuple[str, str]]) -> str | None:
    if not sort:
        return None
    return encode_json([{"Property": name, "Direction": direction} for name, direction in sort]).decode()


def _id_list(ids: int | str | Sequence[int | str]) -> str:
    return str(ids) if isinstance(ids, int | str) else ",".join(map(str, ids))


def _on_wire(operation: Operation) -> WireOperation:
    match operation:
        case Create(entity, records, label):
            return WireOperation("Post", entity, label, _sent(records), None)
        case Update(entity, records):
            return WireOperation("Put", entity, None, _sent(records), None)
        case Delete(entity, ids):
            return WireOperation("Delete", entity, None, None, _id_list(ids))
        case RunEndpoint(name, parameters):
            return WireOperation("Custom", name, None, _sent(parameters), None)
