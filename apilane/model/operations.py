"""Reads the operations of a transaction's body (docs/reference/protocol/query-language.md section 7). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from apilane.errors import ApilaneError, Code
from apilane.model.hints import shortened

__all__ = ["OPERATIONS_MAX", "Operation", "read_groups", "read_operations"]

OPERATIONS_MAX: Final = 1000
ACTIONS: Final = ("Post", "Put", "Delete", "Custom")
"""Names of actions; on the wire an action may also be its position."""


class Operation(Struct, frozen=True):
    """One operation of a body. ``entity``: as sent; the name of the endpoint for a Custom operation."""

    action: str
    entity: str
    label: str | None
    data: Any
    ids: str | None


def _object(value: object, what: str) -> dict[str, Any]:
    """The members of an object by name in lower case."""
    if not isinstance(value, dict):
        raise _malformed(f"{what} must be an object")
    return {key.lower(): member for key, member in value.items()}


def _list(value: object, what: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _malformed(f"{what} must be an array")
    return value


def _text(value: object, what: str, name: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    raise _malformed(f"{what}.{name} must be a text")


def _malformed(what: str) -> ApilaneError:
    return ApilaneError(Code.ERROR, f"Something went wrong: {what}", entity="")


def _operation(action: str, members: Mapping[str, Any], what: str) -> Operation:
    operation = Operation(
        action=action,
        entity=_text(members.get("entity"), what, "Entity") or "",
        label=_text(members.get("id"), what, "Id") if action == "Post" else None,
        data=members.get("data"),
        ids=_text(members.get("ids"), what, "Ids"),
    )
    if action == "Delete" and not operation.ids:
        raise ApilaneError(Code.ERROR, "Delete operation requires Ids")
    if action in {"Post", "Put"} and operation.data is None:
        raise ApilaneError(Code.ERROR, f"{action} operation requires Data")
    if action == "Custom" and not isinstance(operation.data, dict):
        raise ApilaneError(Code.ERROR, "Custom operation requires Data with endpoint parameters")
    return operation


def _action(sent: object, what: str) -> str:
    """The name of an action that is sent as a name in any letter case, or as a number."""
    if sent in ACTIONS:
        return sent
    text = str(sent) if type(sent) is int else sent
    if isinstance(text, str):
        if text.lstrip("+-").isascii() and text.lstrip("+-").isdigit():
            if len(text) <= len(ACTIONS) and 0 <= int(text) < len(ACTIONS):
                return ACTIONS[int(text)]
            raise ApilaneError(Code.ERROR, f"Unknown transaction action '{shortened(text)}'")
        found = next((name for name in ACTIONS if name.lower() == text.strip().lower()), None)
        if found is not None:
            return found
    raise _malformed(f"{what}.Action must be one of {', '.join(ACTIONS)}")


def read_groups(body: object) -> list[Operation]:
    """The operations of a Transaction: every Post, then every Put, then every Delete."""
    lists = _object(body, "the body")
    sent = [(action, each) for action in ACTIONS[:3] for each in enumerate(_list(lists.get(action.lower()), action))]
    _check_number(len(sent))
    operations = []
    for action, (position, each) in sent:
        what = f"{action}[{position}]"
        operations.append(_operation(action, _object(each, what), what))
    return operations


def read_operations(body: object) -> list[Operation]:
    """The operations of TransactionOperations."""
    sent = _list(_object(body, "the body").get("operations"), "Operations")
    if not sent:
        raise ApilaneError(Code.ERROR, "At least one operation is required")
    _check_number(len(sent))
    operations = []
    for position, each in enumerate(sent):
        what = f"Operations[{position}]"
        members = _object(each, what)
        operations.append(_operation(_action(members.get("action"), what), members, what))
    return operations


def _check_number(count: int) -> None:
    if count > OPERATIONS_MAX:
        raise _malformed(f"{count} operations; expected at most {OPERATIONS_MAX}")
