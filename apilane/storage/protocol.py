"""The contract between Apilane and a database driver.

A *driver* serves one provider. A *session* is a handle on one database: cheap to keep, safe to share between tasks of
one event loop; connections behind it open when needed. A *write is a unit*: a generator that yields steps and receives
their results, so that the driver decides where it runs and no caller ever holds a transaction open.
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
    """One statement of a unit with its parameters in the order of the text."""

    statement: Statement
    parameters: Sequence[Value] = ()


class ScriptStep(NamedTuple):
    """SQL of an application's developer, with the values of its marks; its ``Result`` has ``sets``.

    Runs with least privileges (``apilane.model.privileges``), under the time limit of its unit, and gives 50,000 rows
    at most; what a statement has beyond is left out. A unit with such a step runs ``alone``.
    """

    script: Script
    values: Mapping[str, Value]


class ResultSet(NamedTuple):
    """What one statement of a script gave. ``booleans``: positions of columns that are declared boolean."""

    columns: tuple[str, ...]
    booleans: tuple[int, ...]
    rows: Sequence[Row]


class Result(Struct, frozen=True, gc=False):
    """What a step gave. ``matched``: rows matched by an update or delete, changed or not.

    ``sets``: of a script, in order; statements without columns add none.
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
"""A write. A failing step is thrown into the generator as a ``StorageError``; a unit that lets it pass is rolled back,
as is one that raises anything else. After a failure a unit may yield reads (to find out what was violated) only where
``Features.reads_after_failure`` is set. Units never await and must be repeatable: a driver is given what makes the
unit, and may make and run it again."""

UnitWithScripts = Generator[Step | ScriptStep, Result, T]
"""A unit that may also yield scripts; it runs alone."""


class Finding(NamedTuple):
    """One thing to know of a database. ``advice``: what to do about it; empty where all is well."""

    text: str
    advice: str = ""
    serious: bool = False
    """It will not work like this."""


class Features(Struct, frozen=True, kw_only=True):
    """What product code may ask of a driver before it tries. Each flag is proven by the conformance suite."""

    embedded: bool = False
    """The database is a file of this machine; Apilane chooses its path, and no connection string is given."""
    exact_decimals: bool = True
    """Numbers with decimals come back as they went in, up to 18 digits; otherwise up to 15."""
    transactional_ddl: bool = True
    """A failing migration leaves nothing behind."""
    reads_after_failure: bool = False
    """A unit may read after one of its steps failed."""
    names_foreign_keys: bool = True
    """``ForeignKeyViolation`` carries the columns."""
    scripts: bool = True
    """Scripts run with least privileges. Without: ``Unsupported``, and ``Dialect.script_problems`` refuses them."""


@runtime_checkable
class Session(Protocol):
    """One database. All methods raise only ``StorageError`` for what the database does."""

    async def fetch(self, statement: Statement, parameters: Sequence[Value] = ()) -> Sequence[Row]:
        """Run a read and return its rows; sees every unit acknowledged before the call."""
        ...

    def stream(self, statement: Statement, parameters: Sequence[Value] = ()) -> AsyncIterator[Sequence[Row]]:
        """Run a read and give its rows in batches, without holding all of them."""
        ...

    async def run(self, make_unit: Callable[[], UnitWithScripts[T]], *, single: bool = False, alone: bool = False) -> T:
        """Run a unit in a transaction of its own and return its value once it is durable.

        ``single``: the unit yields at most one step that writes, as its last, and raises nothing once that succeeded:
        it may be committed with it. ``alone``: no other unit takes part in its transaction, as scripts ask for.
        Cancelling the caller before the unit began leaves no trace; a unit that has begun is finished or rolled back
        whole.
        """
        ...

    async def run_script(self, step: ScriptStep) -> Result:
        """Run a script in a transaction of its own; one that only reads does not wait for units."""
        ...

    async def alter(self, make_unit: Callable[[], Unit[T]]) -> T:
        """Run a unit of schema statements alone; foreign keys are checked at its end, not during."""
        ...

    async def change_mark(self) -> Value:
        """A value that differs when another connection has committed since the last call; cheap enough for 4 calls/s.

        None: the driver cannot tell, and the caller must read the tables.
        """
        ...

    def exclusive(self, name: str) -> AbstractAsyncContextManager[bool]:
        """Hold the lock ``name`` (letters, digits, dashes; 64 at most) among all users of the database, on any machine.

        Gives False at once when the lock is held already. It ends with its process, so a killed one blocks no other.
        """
        ...

    async def diagnose(self) -> Sequence[Finding]:
        """What a look at database and server tells, for ``apilane doctor``. Raises when it cannot be reached."""
        ...

    async def close(self) -> None:
        """Finish what was accepted, then let go of every connection."""
        ...


@runtime_checkable
class Driver(Protocol):
    """One storage provider."""

    name: str
    """The ``StorageProvider`` of manifests: SQLite, MySQL ..."""
    features: Features

    @property
    def version(self) -> str:
        """Of the client library and what it carries, for people: ``apsw 3.54.1 (SQLite 3.54.1)``."""
        ...

    @property
    def dialect(self) -> Dialect:
        """The SQL of its databases; a driver may make it when it is first asked for."""
        ...

    def session(self, address: str) -> Session:
        """A handle on the database at ``address``: a path for an embedded provider, else a connection string.

        Opens nothing yet. Embedded databases are created when they are first used *if their folder exists*. Raises
        ConnectionRefused for a connection string that cannot be read; the message names the part and holds no secret.
        """
        ...

    async def close(self) -> None:
        """Let go of everything shared between sessions (pools, threads)."""
        ...
