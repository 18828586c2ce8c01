"""A write whose unit can stand alone or be part of a transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from apilane.plugin.calls import Write
from apilane.runtime.access import Reach
from apilane.runtime.application import EntityRuntime
from apilane.storage.protocol import Session, UnitWithScripts

__all__ = ["ChangedRows", "UnitWrite"]

T = TypeVar("T")


class ChangedRows(NamedTuple):
    """Existing records that a write changes, so that a transaction can lock them in advance."""

    entity: EntityRuntime
    ids: Sequence[int]
    reach: Reach


class UnitWrite(Write[T], kw_only=True):
    """A checked write with its steps.

    ``steps`` makes the steps within a unit; it may be called again when the unit is run again. ``committed`` is called
    with the result after the commit. ``rows`` tells the existing records that it changes.
    """

    steps: Callable[[], UnitWithScripts[T]]
    committed: Callable[[T], None] | None = None
    rows: Callable[[], ChangedRows] | None = None
    alone: bool = False
    """It runs custom SQL, so no other unit shares its transaction."""

    @classmethod
    def of(
        cls,
        session: Session,
        steps: Callable[[], UnitWithScripts[T]],
        *,
        what: Callable[[], str],
        outcome: Callable[[T], str],
        single: bool = False,
        alone: bool = False,
        committed: Callable[[T], None] | None = None,
        rows: Callable[[], ChangedRows] | None = None,
    ) -> UnitWrite[T]:
        """A write that runs ``steps`` in a unit of this session. ``single``, ``alone``: see ``Session.run``."""

        run: Callable[[], Awaitable[T]] = partial(session.run, steps, single=single, alone=alone)
        if committed is not None:
            run = partial(_run_and_tell, run, committed)
        return cls(run=run, steps=steps, what=what, outcome=outcome, committed=committed, rows=rows, alone=alone)

    @classmethod
    def nothing(cls, result: T) -> UnitWrite[T]:
        """A write that changes nothing and has this result."""

        async def run() -> T:
            return result

        def steps() -> UnitWithScripts[T]:
            yield from ()
            return result

        return cls(run=run, steps=steps, what=None, outcome=str)


async def _run_and_tell(run: Callable[[], Awaitable[T]], tell: Callable[[T], None]) -> T:
    done = await run()
    tell(done)
    return done
