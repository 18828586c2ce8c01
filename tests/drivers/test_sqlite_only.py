"""The SQLite driver's promises beyond the suite: where reads run, how writes are grouped, how many files are open."""

from __future__ import annotations

import asyncio
import struct
import weakref
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from time import monotonic, thread_time

import apsw
import pytest
import sqlalchemy as sa

from apilane.sql.statement import Statement, compile_statement
from apilane.storage.errors import StatementTimeout
from apilane.storage.protocol import Result, Step
from apilane.testing.conformance import Database
from apilane.testing.conformance.tables import THINGS
from apilane_sqlite.connection import LEAST_WORK_S, PAGE_CACHE_BYTES, Deadline
from apilane_sqlite.driver import SQLiteDriver
from apilane_sqlite.reader import Batches

MakeDatabase = Callable[..., Database]

SLOW = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT max(i) FROM n"


def _one(step: Step) -> Generator[Step, Result, Result]:
    return (yield step)


def _pragma(db: Database, name: str) -> object:
    """The value of a pragma of the writing connection."""
    return db.unit(lambda: _one(Step(Statement(f"PRAGMA {name}")))).rows[0][0]


def _open_files(folder: str) -> int:
    links = [str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
    return sum(link.startswith(folder) for link in links)


def _pooled(db: Database) -> int:
    """The number of idle connections in the pool."""
    return len(db.session._readers._idle)  # type: ignore[attr-defined]


# Where reads run.


def test_short_reads_run_on_the_loop(db: Database) -> None:
    """A short read needs no connection of the pool."""
    db.wait(db.session.fetch(db.reading("ID").statement))
    assert not _pooled(db)


def test_a_shape_is_planned_once(db: Database) -> None:
    """A prepared statement is not planned again for other values: planning takes as long as reading a page."""
    statement = Statement('SELECT "ID" FROM "Things" WHERE "Count" >= ? ORDER BY "Count" LIMIT ?', ("least", "limit"))
    planned: list[object] = []

    def watch(*what: object) -> int:
        planned.append(what)
        return apsw.SQLITE_OK

    def read(least: int) -> None:
        db.wait(db.session.fetch(statement, (least, 20 + least)))

    read(0)
    db.session._connection.authorizer = watch
    read(1)
    assert planned  # a new authorizer makes SQLite plan again
    planned.clear()
    read(2)
    read(3)
    assert not planned


def test_custom_sql_finds_beginnings_by_an_index(db: Database) -> None:
    """In custom SQL, LIKE with a parameter uses an index, because its plan depends on the value."""
    db.unit(lambda: _one(Step(Statement('CREATE TABLE "L" ("T" TEXT COLLATE NOCASE UNIQUE)', kind="ddl"))))
    connection = db.session._readers.take()
    try:
        plan = connection.execute('EXPLAIN QUERY PLAN SELECT * FROM "L" WHERE "T" LIKE ?', ("ab%",)).fetchall()
    finally:
        db.session._readers.give(connection)
    assert "SEARCH" in str(plan)


def test_a_stream_closed_before_it_began(db: Database) -> None:
    """A reader that leaves a stream before its first batch leaves no connection open, in any order of the threads."""
    readers = db.session._readers
    batches = Batches(readers, "SELECT 1", (), 10)
    batches.cancel()
    batches.close()
    assert batches.next() == ()
    assert readers.busy == 0


def test_long_reads_move_to_the_pool(db: Database) -> None:
    """A read over 2 ms runs again in the pool, stays there, and never blocks the loop."""
    statement = Statement(SLOW.format(400_000))

    async def scenario() -> float:
        gaps = []

        async def tick() -> None:
            while True:
                before = monotonic()
                await asyncio.sleep(0.001)
                gaps.append(monotonic() - before)

        ticking = asyncio.ensure_future(tick())
        for _ in range(2):
            assert await db.session.fetch(statement) == [(400_000,)]
        ticking.cancel()
        assert len(gaps) > 5
        return sorted(gaps)[-3]

    assert db.wait(scenario()) < 0.1
    assert statement in db.session._slow  # type: ignore[attr-defined]


def test_waiting_for_a_processor_is_not_work() -> None:
    """A late statement is interrupted when it has worked long enough, or is very late; without patience at once."""
    patient = Deadline(patience=4)
    patient.at = monotonic() + 100
    assert [patient.passed() for _ in range(4)] == [False] * 4
    ends = thread_time() + 2 * LEAST_WORK_S
    while thread_time() < ends:
        pass
    assert not patient.passed()  # it has worked, and is not late
    patient.at = monotonic() - 100
    assert [patient.passed() for _ in range(4)] == [False, False, False, True]
    assert Deadline(monotonic() - 0.001).passed()


def test_slow_in_one_database_is_not_slow_in_another(make_db: MakeDatabase) -> None:
    """Applications share statements: slow data of one moves no other application's read to the pool."""
    full, other = make_db(), make_db()
    full.write(*(full.inserting(Count=n) for n in range(2000)))
    text = 'SELECT count(*) FROM "Things" a, "Things" b WHERE a."Count" > b."ID"'
    statement = Statement(text)
    for db in (full, other):
        db.wait(db.session.fetch(statement))
    assert statement in full.session._slow  # type: ignore[attr-defined]
    assert statement not in other.session._slow  # type: ignore[attr-defined]
    assert not _pooled(other)


def test_unconditional_counts_go_to_the_pool(db: Database) -> None:
    """Counting a whole table cannot be interrupted, so it does not run on the loop."""
    things = sa.table("Things", sa.column("ID"))
    statement = compile_statement(sa.select(sa.func.count()).select_from(things), db.dialect.sqlalchemy)
    assert db.wait(db.session.fetch(statement)) == [(0,)]
    assert _pooled(db)
    some = sa.select(sa.func.count()).where(sa.bindparam("id") == things.c.ID)
    assert not compile_statement(some, db.dialect.sqlalchemy).counts_all


def test_reads_have_a_time_limit(make_db: MakeDatabase) -> None:
    """A read over the statement's time limit is a StatementTimeout, and the next one works."""
    db = make_db(statement_timeout_s=0.1)
    with pytest.raises(StatementTimeout):
        db.wait(db.session.fetch(Statement(SLOW.format(10**9))))
    assert db.rows("ID") == []


def test_a_cancelled_read_stops(db: Database) -> None:
    """A caller that leaves keeps no thread of the pool busy."""

    async def scenario() -> None:
        task = asyncio.ensure_future(db.session.fetch(Statement(SLOW.format(10**9))))
        await asyncio.sleep(0.1)
        assert db.session.busy
        task.cancel()
        until = monotonic() + 5
        while db.session.busy:
            assert monotonic() < until
            await asyncio.sleep(0.01)

    db.wait(scenario())


@pytest.mark.parametrize(
    ("property", "operator", "value", "index"),
    [
        ("Code", "equal", "abc", "NOCASE_Things_Code"),
        ("Code", "startswith", "abc", "NOCASE_Things_Code"),
        ("Name", "equal", "abc", "NOCASE_Things_Name"),
        ("Made", "greater", 5, "INDEX_Things_Made"),
        ("Maker", "equal", 5, "INDEX_Things_Maker"),
    ],
)
def test_indexes_are_used(db: Database, property: str, operator: str, value: object, index: str) -> None:
    """Filters on indexed properties use their index, also for text without letter case."""
    from apilane.model.filter import Leaf, Operator
    from apilane.sql.filter import bind_filter
    from apilane.sql.select import ReadShape, select_records

    leaf = Leaf(THINGS.property(property), Operator(operator), value)  # type: ignore[operator]
    shape, values = bind_filter(leaf, db.dialect)
    text = select_records(THINGS, db.table(THINGS), ReadShape(("ID", "Note"), filter=shape), db.dialect).text
    plan = db.wait(db.session.fetch(Statement(f"EXPLAIN QUERY PLAN {text}"), values))
    assert f"USING INDEX {index} (" in plan[0][3]


# Writes.


def test_pragmas_of_the_writer(db: Database) -> None:
    """Writes are synced at each commit, the write-ahead log is on, and references are checked."""
    assert [_pragma(db, name) for name in ("synchronous", "journal_mode", "foreign_keys")] == [2, "wal", 1]


@pytest.mark.parametrize(("mmap_mib", "mapped"), [(1, 2**20), (0, 0)])
def test_large_files_are_read_in_place(tmp_path: Path, mmap_mib: int, mapped: int) -> None:
    """Reads on the loop map part of a large file; rows that others write or truncate meanwhile are seen."""

    async def scenario() -> None:
        driver = SQLiteDriver(mmap_mib=mmap_mib)
        session = driver.session(str(tmp_path / "data.db"))
        rows = Statement("SELECT count(*), sum(length(t)), max(rowid) FROM x WHERE t > ''")
        other = apsw.Connection(str(tmp_path / "data.db"))
        other.execute("PRAGMA journal_mode = WAL; CREATE TABLE x (t)").fetchall()
        other.execute("INSERT INTO x VALUES (zeroblob(?))", (PAGE_CACHE_BYTES,))
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        assert await session.fetch(Statement("PRAGMA mmap_size")) == [(mapped,)]
        for size in (10, 4000, 5, 6000):
            other.execute("DELETE FROM x; VACUUM").fetchall()
            with other:
                other.executemany("INSERT INTO x VALUES (?)", (["x" * 1000] for _ in range(size)))
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            assert await session.fetch(rows) == [(size, size * 1000, size)]
        other.close()
        await driver.close()

    asyncio.run(scenario())


def test_files_that_grow_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file is not mapped; it is after its own writes made it large."""
    monkeypatch.setattr("apilane_sqlite.session.WRITES_BETWEEN_LOOKS", 4)

    def unit(text: str) -> Generator[Step, Result, None]:
        yield Step(Statement(text, kind="ddl"))

    async def scenario() -> list[int]:
        driver = SQLiteDriver(mmap_mib=1)
        session = driver.session(str(tmp_path / "data.db"))
        await session.alter(lambda: unit("CREATE TABLE x (t)"))
        seen = []
        for _ in range(4):
            for _ in range(4):
                await session.run(lambda: unit(f"INSERT INTO x VALUES (zeroblob({PAGE_CACHE_BYTES}))"))
            seen.append((await session.fetch(Statement("PRAGMA mmap_size")))[0][0])
        await driver.close()
        return seen

    assert sorted(set(asyncio.run(scenario()))) == [0, 2**20]


def test_foreign_keys_are_on_after_a_migration(db: Database) -> None:
    """After a migration, failed or not, references are checked."""
    from apilane.model.definition import Entity

    db.migrate((*db.entities, Entity(name="More", properties=THINGS.properties[:1])))
    assert _pragma(db, "foreign_keys") == 1
    broken = Step(Statement("CREATE TABLE x (", kind="ddl"))
    with pytest.raises(Exception, match="incomplete"):
        db.wait(db.session.alter(lambda: _one(broken)))
    assert _pragma(db, "foreign_keys") == 1


def _commits(address: str) -> int:
    """The number of commits in the write-ahead log: frames that contain the size of the database."""
    log = Path(f"{address}-wal").read_bytes()
    page_size = struct.unpack(">I", log[8:12])[0]
    salts = log[16:24]
    frames = range(32, len(log), 24 + page_size)
    return sum(1 for at in frames if log[at + 8 : at + 16] == salts and struct.unpack(">I", log[at + 4 : at + 8])[0])


def test_writes_commit_in_groups(db: Database) -> None:
    """Units that wait together share a commit."""

    async def scenario() -> None:
        step = db.inserting()
        await asyncio.gather(*(db.session.run(partial(_one, step), single=True) for _ in range(200)))

    before = _commits(db.address)
    db.wait(scenario())
    assert 1 <= _commits(db.address) - before <= 40


def test_nothing_is_kept_of_writes(db: Database) -> None:
    """After a write is answered its objects are freed at once, however many writes follow."""
    kept: list[weakref.ref[Value]] = []

    class Value:
        """An object that a unit holds."""

    def unit(value: Value) -> Generator[Step, Result, Result]:
        assert value is not None
        return (yield Step(Statement("SELECT 1")))

    async def scenario() -> None:
        for _ in range(5):
            value = Value()
            kept.append(weakref.ref(value))
            await db.session.run(partial(unit, value))
            del value
        await asyncio.sleep(0)

    db.wait(scenario())
    assert [reference() for reference in kept[:-1]] == [None] * 4  # the thread holds the last one until the next


def test_a_unit_over_its_time_limit(make_db: MakeDatabase) -> None:
    """A unit that takes too long fails alone; the other units of its group succeed."""
    db = make_db(statement_timeout_s=0.2)

    async def scenario() -> list[object]:
        fine, slow = db.inserting(), Step(Statement(SLOW.format(10**9)))
        writes_slow = Step(Statement(f'INSERT INTO "Makers" ("Name") {SLOW.format(10**9)}', kind="insert"))
        steps = [fine, slow, fine, writes_slow, fine]
        return await asyncio.gather(*(db.session.run(partial(_one, s)) for s in steps), return_exceptions=True)

    answers = db.wait(scenario())
    assert [type(answer) for answer in answers] == [Result, StatementTimeout, Result, StatementTimeout, Result]
    assert len(db.rows("ID")) == 3


def test_disk_full(db: Database) -> None:
    """If the file cannot grow, only the unit that needs space is Unavailable; later units work again."""
    from apilane.storage.errors import Unavailable

    pages = _pragma(db, "page_count")
    _pragma(db, f"max_page_count = {int(str(pages)) + 20}")

    async def scenario() -> list[object]:
        small, large = db.inserting(Note="x"), db.inserting(Note="x" * 1_000_000)
        steps = [small, large, small, small]
        return await asyncio.gather(*(db.session.run(partial(_one, s)) for s in steps), return_exceptions=True)

    answers = db.wait(scenario())
    assert [type(answer) for answer in answers] == [Result, Unavailable, Result, Result]
    assert len(db.rows("ID")) == 3
    _pragma(db, "max_page_count = 1000000")
    db.insert(Note="x" * 1_000_000)


# Open files.


def test_least_recently_used_are_closed(make_db: MakeDatabase, tmp_path: Path) -> None:
    """Beyond the limit the least recently used database is closed, and opens again on its next use."""
    db = make_db(open_databases=2)

    async def scenario() -> None:
        sessions = [db.driver.session(str(tmp_path / f"more{n}.db")) for n in range(8)]
        one = Statement("SELECT 1")
        for session in sessions:
            await session.fetch(one)
        for n in range(2):
            for session in sessions:
                assert await session.run(lambda: _one(Step(Statement("SELECT 1")))), n
        await asyncio.sleep(0.3)
        assert _open_files(str(tmp_path / "more")) <= 2 * 7

    db.wait(scenario())
    assert db.insert()


def test_work_in_flight_is_not_closed(make_db: MakeDatabase, tmp_path: Path) -> None:
    """A database is not closed while a read, a stream or a unit runs in it."""
    db = make_db(open_databases=1)
    db.write(*(db.inserting(Count=n) for n in range(1500)))

    async def scenario() -> None:
        reading = asyncio.ensure_future(db.session.fetch(Statement(SLOW.format(400_000))))
        stream = db.session.stream(db.reading("ID").statement)
        rows = len(await anext(stream))
        writing = [asyncio.ensure_future(db.session.run(lambda: _one(db.inserting()))) for _ in range(50)]
        for n in range(5):
            await db.driver.session(str(tmp_path / f"more{n}.db")).fetch(Statement("SELECT 1"))
        async for batch in stream:
            rows += len(batch)
        assert rows == 1500
        assert await reading == [(400_000,)]
        assert len(await asyncio.gather(*writing)) == 50

    db.wait(scenario())
    assert len(db.rows("ID")) == 1550


def test_close_lets_every_file_go(db: Database, tmp_path: Path) -> None:
    """After close no file of the database is open, and the log is removed."""
    db.insert()
    db.wait(db.session.fetch(Statement(SLOW.format(400_000))))
    db.wait(db.session.close())
    assert _open_files(str(tmp_path)) == 0
    assert not Path(f"{db.address}-wal").exists()


@pytest.mark.better("B-D17")
def test_reads_by_other_programs(db: Database) -> None:
    """Other tools can read and write the file: no index or table needs Apilane's functions."""
    db.insert(Name="x", Code="é")
    connection = apsw.Connection(db.address)
    connection.execute('REINDEX; INSERT INTO "Things" ("Name") VALUES (\'y\')')
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    assert [row[0] for row in db.rows("Name")] == ["x", "y"]
