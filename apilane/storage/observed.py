"""A session whose trips to the database are observed. Sessions are wrapped only where an observer asks for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from apilane.sql.statement import Statement, Value
from apilane.storage.protocol import Result, Row, ScriptStep, Session, UnitWithScripts

__all__ = ["Around", "ObservedSession"]

T = TypeVar("T")

Around = Callable[[str, str | None], AbstractContextManager[object]]
"""Takes the kind of a trip and its SQL; the result is entered around the trip."""


class ObservedSession:
    """A ``Session`` that does the work of ``session`` inside ``around``; everything else is passed on."""

    def __init__(self, session: Session, around: Around) -> None:
        self._session = session
        self._around = around

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    async def fetch(self, statement: Statement, parameters: Sequence[Value] = ()) -> Sequence[Row]:
        """See ``Session``."""
        with self._around("read", statement.text):
            return await self._session.fetch(statement, parameters)

    async def stream(self, statement: Statement, parameters: Sequence[Value] = ()) -> AsyncIterator[Sequence[Row]]:
        """See ``Session``. The trip lasts until the last row is taken."""
        with self._around("stream", statement.text):
            async for rows in self._session.stream(statement, parameters):
                yield rows

    async def run(self, make_unit: Callable[[], UnitWithScripts[T]], *, single: bool = False, alone: bool = False) -> T:
        """See ``Session``."""
        with self._around("write", None):
            return await self._session.run(make_unit, single=single, alone=alone)

    async def run_script(self, step: ScriptStep) -> Result:
        """See ``Session``."""
        with self._around("script", None):
            return await self._session.run_script(step)
