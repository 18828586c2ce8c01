"""Running a unit step by step: in a thread, or awaiting each step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from apilane.storage.protocol import Result, ScriptStep, Step, UnitWithScripts

__all__ = ["drive", "drive_async"]

T = TypeVar("T")


def drive(unit: UnitWithScripts[T], execute: Callable[[Step | ScriptStep], Result]) -> T:
    """The unit's value; what ``execute`` raises is thrown into it. The caller begins, commits and rolls back."""
    try:
        step = unit.send(None)  # type: ignore[arg-type]  # how a generator starts
        while True:
            try:
                result = execute(step)
            except Exception as error:  # the unit knows which it can bear
                step = unit.throw(error)
            else:
                step = unit.send(result)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    finally:
        unit.close()


async def drive_async(unit: UnitWithScripts[T], execute: Callable[[Step | ScriptStep], Awaitable[Result]]) -> T:
    """``drive`` for clients that are asynchronous."""
    try:
        step = unit.send(None)  # type: ignore[arg-type]  # how a generator starts
        while True:
            try:
                result = await execute(step)
            except Exception as error:  # the unit knows which it can bear
                step = unit.throw(error)
            else:
                step = unit.send(result)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    finally:
        unit.close()
