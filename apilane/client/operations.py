"""Transactions: several writes, all or none (``docs/reference/protocol/query-language.md`` section 7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import httpx

from apilane.client.call import Call, Record, read_json
from apilane.client.data import body_of, id_list

__all__ = [
    "Custom",
    "Delete",
    "Operation",
    "OperationResult",
    "Post",
    "Put",
    "TransactionResult",
    "ref",
    "transaction",
    "transaction_operations",
]

Records = Mapping[str, Any] | Iterable[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Post:
    """Store records. ``label``: a name by which later operations refer to the first of them, see ``ref``."""

    entity: str
    records: Records
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Put:
    """Change records, each with its ``ID``."""

    entity: str
    records: Records


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete records by ID."""

    entity: str
    ids: int | Iterable[int]


@dataclass(frozen=True, slots=True)
class Custom:
    """Run a custom endpoint. Its parameters are integers, None or ``ref``."""

    name: str
    parameters: Mapping[str, Any]


Operation = Post | Put | Delete | Custom


def ref(label: str) -> str:
    """A value that stands for the ID of the first record that the operation with that label stored."""
    return f"$ref:{label}"


class TransactionResult(NamedTuple):
    """The IDs of stored records, the number of records found by Put, the IDs of deleted records."""

    post: list[int]
    put: int
    delete: list[int]


class OperationResult(NamedTuple):
    """The result of one operation. Fields that do not apply to its ``action`` are None."""

    action: str
    entity: str
    created: list[int] | None
    affected: int | None
    deleted: list[int] | None
    custom_result: list[list[Record]] | None


def transaction(operations: Iterable[Post | Put | Delete]) -> Call[TransactionResult]:
    """Run all operations or none: every Post first, then every Put, then every Delete. No labels, no custom
    endpoints."""
    body: dict[str, list[dict[str, Any]]] = {"Post": [], "Put": [], "Delete": []}
    for operation in operations:
        wire = _wire(operation)
        if wire["Action"] == "Custom" or "Id" in wire:
            raise ValueError("Labels and custom endpoints need transaction_operations, which keeps the order")
        body[wire.pop("Action")].append(wire)
    return Call("POST", "/api/Data/Transaction", _read_groups, body=body)


def _read_groups(response: httpx.Response) -> TransactionResult:
    answer = read_json(dict)(response)
    return TransactionResult(answer["Post"], answer["Put"], answer["Delete"])


def transaction_operations(operations: Iterable[Operation]) -> Call[list[OperationResult]]:
    """Run all operations or none, in the given order. Later operations may refer to records of earlier ones."""
    body = {"Operations": [_wire(operation) for operation in operations]}
    return Call("POST", "/api/Data/TransactionOperations", _read_results, body=body)


def _read_results(response: httpx.Response) -> list[OperationResult]:
    names = ("Action", "Entity", "Created", "Affected", "Deleted", "CustomResult")
    results = read_json(dict)(response)["Results"]
    return [OperationResult(*(result[name] for name in names)) for result in results]


def _wire(operation: Operation) -> dict[str, Any]:
    match operation:
        case Post(entity, records, label):
            wire = {"Action": "Post", "Entity": entity, "Data": body_of(records)}
            return wire if label is None else {**wire, "Id": label}
        case Put(entity, records):
            return {"Action": "Put", "Entity": entity, "Data": body_of(records)}
        case Delete(entity, ids):
            return {"Action": "Delete", "Entity": entity, "Ids": id_list(ids)}
        case Custom(name, parameters):
            return {"Action": "Custom", "Entity": name, "Data": dict(parameters)}
