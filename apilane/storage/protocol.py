"""The contract between Apilane and a database driver.

A *driver* serves one provider. A *session* is a handle on one database: it is cheap to keep, the tasks of one event
loop may share it, and it opens connections when needed. A *write is a unit*: a generator that yields steps and receives
their results. The driver therefore decides where the unit runs, and callers never hold a transaction open.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from msgspec import Struct

from apilane.sql.dialect import Dialect
from apilane.sql.script import Script
from apilane.sql.statement import Statement, Value

__all__ = [
    "Driver",
    "Features",
    "Finding",
    "Load",
    "ReportsLoad",
    "Result",
    "ResultSet",
    "Row",
    "ScriptStep",
    "Session",
    "Step",
    "Unit",
    "UnitWithScripts",
]

Row = tuple[Any, ...]
T = TypeVar("T")


class Step(Struct, frozen=True, gc=False):
    """One statement of a unit, with its parameters in the order of the text."""

    statement: Statement
    parameters: Sequence[Value] = ()


class ScriptStep(NamedTuple):
    """SQL of an application's developer, with the values of its marks; its ``Result`` has ``sets``.

    It runs with least privileges (``apilane.model.privileges``) and under the time limit of its unit. It returns at
    most 50,000 rows; further rows are left out. A unit with such a step runs ``alone``.
    """

    script: Script
    values: Mapping[str, Value]


class ResultSet(NamedTuple):
    """The result of one statement of a script. ``booleans``: positions of the columns that are declared boolean."""

    columns: tuple[str, ...]
    booleans: tuple[int, ...]
    rows: Sequence[Row]


class Result(Struct, frozen=True, gc=False):
    """The result of a step. ``matched``: rows matched by an update or delete, changed or not.

    ``sets``: the results of a script, in order; statements without columns add none.
    """

    rows: Sequence[Row] = ()
    matched: int = 0
    inserted_id: int | None = None
    sets: Sequence[ResultSet] = ()

    @property
    def new_id(self) -> int:
        """``inserted_id`` of a step that inserted a row."""
        if self.inserted_id is None:
            raise TypeError("this step inserted nothing")
        return self.inserted_id


Unit = Generator[Step, Result, T]
"""A write. A failing step raises its ``StorageError`` inside the generator. If the unit does not catch it, or raises
another error, the unit is rolled back. After a failure a unit may yield reads (to find out what was violated) only if
``Features.reads_after_failure`` is set. Units never await and must be repeatable: a driver receives the function that
makes the unit, and may make and run it again.
"""

UnitWithScripts = Generator[Step | ScriptStep, Result, T]
"""A unit that may also yield scripts; it runs alone."""


class Finding(NamedTuple):
    """One finding about a database. ``advice``: what the operator should do; empty if nothing."""

    text: str
    advice: str = ""
    serious: bool = False
    """The database cannot be used until this is corrected."""
    apply_corrects: bool = False
    """``apilane apply`` corrects it, so it does not refuse for it."""


class Features(Struct, frozen=True, kw_only=True):
    """The features of a driver, which other code may check in advance. The conformance suite tests each flag."""

    embedded: bool = False
    """The database is a file of this machine; Apilane chooses its path, and no connection string is given."""
    exact_decimals: bool = True
    """Numbers with decimals keep up to 18 digits exactly; otherwise up to 15."""
    transactional_ddl: bool = True
    """A failed migration is rolled back completely."""
    reads_after_failure: bool = False
    """A unit may read after a failed step."""
    unique_folds_every_letter: bool = True
    """A unique String folds the case of every letter, as the filter ``equal`` does; otherwise of the letters A to Z."""
    names_foreign_keys: bool = True
    """``ForeignKeyViolation`` has the columns."""
    scripts: bool = True
    """Scripts run with least privileges. If not set: ``Unsupported``, and ``Dialect.script_problems`` refuses them."""


class Load(NamedTuple):
    """The use of a driver in this process now."""

    connections: int
    """Open ones; of an embedded provider, open databases."""
    idle: int
    """Open connections that no caller uses."""
    waiting: int
    """Callers that wait for a connection."""
    queued_writes: int
    """Units that wait for the writer of an embedded database, or run in it."""


@runtime_checkable
class ReportsLoad(Protocol):
    """A driver that reports its load."""

    def load(self) -> Load:
        """The load now; called in the event loop, and cheap enough for once a second."""
        ...


@runtime_checkable
class Session(Protocol):
    """One database. For failures of the database, methods raise only ``StorageError``."""

    async def fetch(self, statement: Statement, parameters: Sequence[Value] = ()) -> Sequence[Row]:
        """Run a read and return its rows; it sees every unit that ended before the call."""
        ...

    def stream(self, statement: Statement, parameters: Sequence[Value] = ()) -> AsyncIterator[Sequence[Row]]:
        """Run a read and return its rows in batches, without keeping all rows in memory."""
        ...

    async def run(self, make_unit: Callable[[], UnitWithScripts[T]], *, single: bool = False, alone: bool = False) -> T:
        """Run a unit in a transaction and return its value once it is durable.

        ``single``: the unit yields at most one step that writes, as its last step, and raises nothing after that step
        succeeded; the driver may therefore commit together with the step. ``alone``: no other unit shares the
        transaction, which scripts need. If the caller is cancelled before the unit began, nothing is stored; a unit
        that began is completed or rolled back.
        """
        ...

    async def run_script(self, step: ScriptStep) -> Result:
        """Run a script in a separate transaction; a script that only reads does not wait for units."""
        ...

    async def alter(self, make_unit: Callable[[], Unit[T]]) -> T:
        """Run a unit of schema statements alone; foreign keys are checked at its end only."""
        ...

    async def change_mark(self) -> Value:
        """A value that changes when another connection has committed since the last call; cheap enough for 4 calls/s.

        None: the driver cannot detect changes, and the caller must read the tables.
        """
        ...

    def exclusive(self, name: str) -> AbstractAsyncContextManager[bool]:
        """Hold the lock ``name`` (letters, digits, dashes; at most 64) among all users of the database, on all
        machines.

        Gives False immediately when the lock is held. The lock ends with its process, so a killed process does not
        block others.
        """
        ...

    async def diagnose(self) -> Sequence[Finding]:
        """Findings about database and server, for ``apilane doctor``. Raises when the database is unreachable."""
        ...

    async def close(self) -> None:
        """Finish accepted work, then close every connection."""
        ...


@runtime_checkable
class Driver(Protocol):
    """One storage provider."""

    name: str
    """The value of ``StorageProvider`` in manifests: SQLite, MySQL ..."""
    features: Features

    @property
    def version(self) -> str:
        """The versions of the client library and its parts as text: ``apsw 3.54.1 (SQLite 3.54.1)``."""
        ...

    @property
    def dialect(self) -> Dialect:
        """The SQL of its databases; a driver may create it on first use."""
        ...

    def session(self, address: str) -> Session:
        """A handle on the database at ``address``: a path for an embedded provider, else a connection string.

        Opens nothing yet. An embedded database is created on first use *if its folder exists*. Raises ConnectionRefused
        for an unreadable connection string; the message names the part and contains no secret.
        """
        ...

    async def close(self) -> None:
        """Release everything that sessions share (pools, threads)."""
        ...
