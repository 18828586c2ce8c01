"""Locks of the records that a unit is about to change, taken in the order of their IDs."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from itertools import pairwise
from typing import Any

from apilane.runtime.access import Reach
from apilane.runtime.application import EntityRuntime
from apilane.sql.statement import Value
from apilane.sql.write import padded, select_by_ids
from apilane.storage.protocol import Result, Step

__all__ = ["is_ascending", "lock_records", "named_ids"]


def is_ascending(keys: Sequence[Any]) -> bool:
    """Whether records are changed in the order of their keys, so that they need no locks in advance."""
    return all(a <= b for a, b in pairwise(keys))


def lock_records(entity: EntityRuntime, ids: Iterable[int], reach: Reach) -> Generator[Step, Result, None]:
    """Within a unit: lock the records in the order of their IDs, so that units that change the same records wait for
    each other instead of becoming deadlock victims.
    """
    for chunk in padded(sorted(set(ids))):
        select = entity.statement(select_by_ids, ("ID",), len(chunk), reach.predicate)
        yield Step(select, select.parameters({**named_ids(chunk), **reach.parameters}))


def named_ids(ids: Sequence[int]) -> dict[str, Value]:
    """IDs by the names of the parameters of ``select_by_ids``."""
    return {f"id{position}": id for position, id in enumerate(ids)}
