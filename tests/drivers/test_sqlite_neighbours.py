"""The SQLite driver beside other processes and programs, and with broken files and folders."""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from threading import Timer

import apsw
import pytest

from apilane.sql.statement import Statement
from apilane.storage.errors import Unavailable
from apilane.storage.protocol import Result, Step
from apilane.testing.conformance import Database
from apilane_sqlite import SQLiteDriver
from tests.privileges import unprivileged

WRITES = 600

WRITER = """
import asyncio, sys, time
from apilane.sql.statement import Statement
from apilane.storage.protocol import Step
from apilane_sqlite import SQLiteDriver

path, count, tasks = sys.argv[1], int(sys.argv[2]), 8
insert = Step(Statement('INSERT INTO "Makers" ("Name") VALUES (?)', kind="insert"), ("x",))

def unit():
    return (yield insert).inserted_id

async def main():
    driver = SQLiteDriver()
    session = driver.session(path)
    await session.run(unit)
    print("ready", flush=True)
    sys.stdin.readline()
    waits = []
    async def work():
        for _ in range(count // tasks):
            begun = time.monotonic()
            await session.run(unit)
            waits.append(time.monotonic() - begun)
    begun = time.monotonic()
    await asyncio.gather(*(work() for _ in range(tasks)))
    print(time.monotonic() - begun, max(waits))
    await driver.close()

asyncio.run(main())
"""


def _one(step: Step) -> Generator[Step, Result, Result]:
    return (yield step)


def test_two_processes_write_at_once(db: Database) -> None:
    """Two processes lose no write, never get an error for a busy file, and are served in turn."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, db.address, str(WRITES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    answers = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        answers.append([float(text) for text in process.communicate(timeout=60)[0].split()])
        assert process.returncode == 0
    total = db.wait(db.session.fetch(Statement('SELECT count(*) FROM "Makers"')))[0][0]
    assert total == 2 * (WRITES + 1)
    (one, longest), (other, longest_other) = answers
    assert max(one, other) < 4 * min(one, other) + 1
    assert max(longest, longest_other) < 5


@pytest.mark.better("B-D15")
def test_another_program_holds_the_write_lock(db: Database) -> None:
    """A program that writes without Apilane's lock makes writers wait, not fail; readers do not wait."""
    db.insert()
    other = apsw.Connection(db.address)
    other.execute("BEGIN IMMEDIATE")
    timer = Timer(1.5, other.execute, ["COMMIT"])
    timer.start()
    assert len(db.rows("ID")) == 1
    db.insert()
    timer.join()
    other.close()
    assert len(db.rows("ID")) == 2


@pytest.mark.better("B-D15")
def test_writers_wait_no_longer_than_the_limit(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that waits too long for the lock gets Unavailable, its write is not stored, and later writes work."""
    db.wait(db.session.close())
    monkeypatch.setattr("apilane_sqlite.writer.WAIT_LIMIT_S", 0.3)
    with Path(f"{db.address}.lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        async def scenario() -> list[object]:
            step = db.inserting()
            return await asyncio.gather(*(db.session.run(lambda: _one(step)) for _ in range(3)), return_exceptions=True)

        assert [type(answer) for answer in db.wait(scenario())] == [Unavailable] * 3
        fcntl.flock(file, fcntl.LOCK_UN)
    db.insert()
    assert len(db.rows("ID")) == 1


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_opens_its_own(db: Database) -> None:
    """A child of a process with open databases uses separate connections, and the parent's still work."""
    db.insert()
    child = os.fork()
    if not child:
        try:
            asyncio.run(db.session.run(lambda: _one(db.inserting())))
            asyncio.run(db.session.fetch(Statement("SELECT 1")))
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    db.insert()
    assert len(db.rows("ID")) == 3


def _messages(path: Path) -> tuple[str, str]:
    """The errors of a read and a write of the database."""

    async def scenario() -> tuple[str, str]:
        driver = SQLiteDriver()
        session = driver.session(str(path))
        with pytest.raises(Unavailable) as read:
            await session.fetch(Statement("SELECT * FROM sqlite_schema"))
        with pytest.raises(Unavailable) as write:
            await session.run(lambda: _one(Step(Statement("CREATE TABLE t (x)", kind="ddl"))))
        await driver.close()
        return str(read.value), str(write.value)

    return asyncio.run(scenario())


def test_not_a_database(tmp_path: Path) -> None:
    """A file of another kind is named in the error, which says that it is not a database, and stays unchanged."""
    path = tmp_path / "notes.db"
    path.write_text("These are my notes. " * 100)
    for message in _messages(path):
        assert str(path) in message
        assert "not an SQLite database" in message
    assert path.read_text().startswith("These are my notes. ")


def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    """A folder in place of the file is named in the error."""
    path = tmp_path / "folder.db"
    path.mkdir()
    assert all(str(path) in message for message in _messages(path))


@pytest.mark.parametrize("exists", [False, True])
def test_read_only_folder(tmp_path: Path, exists: bool) -> None:
    """A folder that cannot be written is named, with or without a database, and works after its rights change."""
    _messages(tmp_path)  # runs the late imports
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.db"
        if exists:
            connection = apsw.Connection(str(path))
            connection.execute("PRAGMA journal_mode = WAL; CREATE TABLE other (x)")
            connection.close()
        Path(folder).chmod(0o555)
        with unprivileged():
            messages = _messages(path)
        assert all(str(path) in message for message in messages)
        Path(folder).chmod(0o755)

        async def works() -> None:
            driver = SQLiteDriver()
            await driver.session(str(path)).run(lambda: _one(Step(Statement("CREATE TABLE t (x)", kind="ddl"))))
            await driver.close()

        asyncio.run(works())
