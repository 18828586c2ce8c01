"""Running a unit step by step: in a thread, or with asynchronous steps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from apilane.storage.protocol import Result, ScriptStep, Step, UnitWithScripts

__all__ = ["drive", "drive_async"]

T = TypeVar("T")


def drive(unit: UnitWithScripts[T], execute: Callable[[Step | ScriptStep], Result]) -> T:
    """The unit's value. Errors of ``execute`` are thrown into the unit. The caller begins, commits and rolls back."""
    try:
        step = unit.send(None)  # type: ignore[arg-type]  # how a generator starts
        while True:
            try:
                result = execute(step)
            except Exception as error:  # the unit decides which errors it handles
                step = unit.throw(error)
            else:
                step = unit.send(result)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    finally:
        unit.close()


async def drive_async(unit: UnitWithScripts[T], execute: Callable[[Step | ScriptStep], Awaitable[Result]]) -> T:
    """``drive`` for asynchronous client libraries."""
    try:
        step = unit.send(None)  # type: ignore[arg-type]  # how a generator starts
        while True:
            try:
                result = await execute(step)
            except Exception as error:  # the unit decides which errors it handles
                step = unit.throw(error)
            else:
                step = unit.send(result)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    finally:
        unit.close()
