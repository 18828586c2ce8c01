"""The body of a change: its records, their names and IDs, and the entities that no body may change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from time import monotonic
from typing import Final, TypeVar

from apilane.errors import ApilaneError, Code, continued
from apilane.model.definition import Action
from apilane.model.hints import kind_of
from apilane.model.json import MalformedJson, decode_json
from apilane.model.numbers import parse_number
from apilane.runtime.application import EntityRuntime

__all__ = ["by_name", "check_writable", "each_record", "empty_body", "record_id"]

T = TypeVar("T")

RECORDS_MAX: Final = 100_000
"""The most records of one body. All are checked and held in memory before the first one is stored."""
TURN_S: Final = 0.005
"""Longest time a body is processed before the event loop serves other requests."""
MAX_ID: Final = 2**63 - 1

_EXPECTED_BODY: Final = "expected a JSON object, or an array of objects"
_WHY_NOT: Final = {
    ("Users", Action.post): "Account/Register creates users",
    ("Files", Action.post): "Files/Post creates files",
    ("Files", Action.put): "a file is replaced by another one with Files/Post",
}


def empty_body(entity: EntityRuntime) -> ApilaneError:
    """The error of a call without a body."""
    return ApilaneError(Code.EMPTY_BODY, continued(Code.EMPTY_BODY, _EXPECTED_BODY), entity=entity.name)


def check_writable(entity: EntityRuntime, action: Action) -> None:
    """Raise ERROR when the Data calls cannot do this with records of the entity."""
    why = _WHY_NOT.get((entity.name, action)) if entity.entity.is_system else None
    if why is None and entity.entity.is_read_only:
        why = "the entity is read-only"
    if why is not None:
        raise ApilaneError(Code.ERROR, f"Not allowed: {why}", entity=entity.name)


async def each_record(body: object, entity: EntityRuntime, read: Callable[[Mapping[str, object]], T]) -> list[T]:
    """The results of ``read`` for the records, with pauses for other requests. Raises ERROR beyond ``RECORDS_MAX``."""
    record = body[0] if type(body) is list and len(body) == 1 else body
    if type(record) is dict:
        return [read(record)]
    turn_ends = monotonic() + TURN_S
    made: list[T] = []
    for record in _records(body, entity):
        if len(made) >= RECORDS_MAX:
            raise ApilaneError(Code.ERROR, f"At most {RECORDS_MAX} records in one call", entity=entity.name)
        made.append(read(record))
        if monotonic() > turn_ends:
            await asyncio.sleep(0)
            turn_ends = monotonic() + TURN_S
    return made


def _records(body: object, entity: EntityRuntime) -> Iterator[dict[str, object]]:
    """The objects of a free-form body: one, or the non-null elements of nested lists. A JSON text is decoded again."""
    if isinstance(body, str):
        try:
            body = decode_json(body.encode())
        except (MalformedJson, UnicodeEncodeError):
            raise _not_records(body, entity) from None
    if isinstance(body, dict):
        yield body
    elif isinstance(body, list):
        for element in body:
            if element is not None:
                yield from _records(element, entity)
    else:
        raise _not_records(body, entity)


def _not_records(body: object, entity: EntityRuntime) -> ApilaneError:
    return ApilaneError(
        Code.ERROR, entity=entity.name, told=f"expected a JSON object or an array of objects, found {kind_of(body)}"
    )


def by_name(record: Mapping[str, object], entity: EntityRuntime) -> Mapping[str, object]:
    """The record with keys in the spelling of the schema (B-W1). Of keys that differ only in letter case the last
    counts."""
    if record.keys() <= entity.readers.keys():  # true for nearly every request
        return record
    properties = entity.properties
    return {properties[key].name if (key := typed.lower()) in properties else key: v for typed, v in record.items()}


def record_id(value: object) -> int:
    """An ``ID`` sent as number or numeric text; 0 when it is not a valid ID."""
    number = parse_number(value)
    if number is None or not 0 < number <= MAX_ID:
        return 0
    return int(number) if number == int(number) else 0
