"""Units: they are atomic, durable when answered, and get the failures of their steps."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from functools import partial

import pytest

from apilane.sql.write import select_by_ids, select_kept, select_where, update_where
from apilane.storage.errors import NotNullViolation, StorageError, UniqueViolation
from apilane.storage.protocol import Result, Step
from apilane.testing.conformance.case import Database
from apilane.testing.conformance.tables import THINGS

__all__ = ["Units"]

Steps = Generator[Step, Result, int]


class _OwnError(Exception):
    """Raised by a unit."""


class Units:
    """The tests that the module docstring describes."""

    def test_value_of_a_unit(self, db: Database) -> None:
        """The caller gets the unit's return value, even if the unit has no steps."""

        def unit() -> Steps:
            return 42
            yield

        assert db.unit(unit) == 42

    def test_unit_reads_its_own_writes(self, db: Database) -> None:
        """A read inside a unit sees what the unit wrote."""

        def unit() -> Steps:
            yield db.inserting(Name="x")
            return len((yield db.reading("ID")).rows)

        assert db.unit(unit) == 1

    @pytest.mark.parametrize("single", [False, True])
    def test_failing_step_undoes_the_unit(self, db: Database, single: bool) -> None:
        """A failure that the unit does not catch reaches the caller, and the unit is rolled back."""
        steps = [db.inserting(Name=None)] if single else [db.inserting(Name="x"), db.inserting(Name=None)]
        with pytest.raises(NotNullViolation):
            db.write(*steps, single=single)
        assert db.rows("ID") == []

    @pytest.mark.parametrize("single", [False, True])
    def test_own_error_undoes_the_unit(self, db: Database, single: bool) -> None:
        """An error that the unit raises reaches the caller unchanged, and the unit is rolled back."""

        def unit() -> Steps:
            yield db.reading("ID") if single else db.inserting(Name="x")
            raise _OwnError

        with pytest.raises(_OwnError):
            db.wait(db.session.run(unit, single=single))
        assert db.rows("ID") == []

    def test_failure_may_become_another(self, db: Database) -> None:
        """A unit can turn a storage failure into another error."""

        def unit() -> Steps:
            try:
                yield db.inserting(Name=None)
            except NotNullViolation as error:
                raise _OwnError from error
            return 0

        with pytest.raises(_OwnError) as caught:
            db.unit(unit)
        assert isinstance(caught.value.__cause__, NotNullViolation)

    def test_original_error_is_the_cause(self, db: Database) -> None:
        """The error of the client library is kept as the cause."""
        with pytest.raises(StorageError) as caught:
            db.insert(Name=None)
        assert caught.value.__cause__ is not None

    def test_answered_units_are_seen(self, db: Database) -> None:
        """A read after an answered unit always sees its writes."""
        for n in range(20):
            db.insert(Count=n)
            assert len(db.rows("ID")) == n + 1

    def test_many_at_once(self, db: Database) -> None:
        """Units submitted together all take effect, each with a different ID."""

        async def scenario() -> list[int | None]:
            def unit(n: int) -> Generator[Step, Result, int | None]:
                return (yield db.inserting(Count=n)).inserted_id

            return await asyncio.gather(*(db.session.run(partial(unit, n), single=n % 2 == 0) for n in range(200)))

        ids = db.wait(scenario())
        assert len(set(ids)) == 200
        assert sorted(row[0] for row in db.rows("Count")) == list(range(200))

    @pytest.mark.parametrize("single", [False, True])
    def test_failures_stay_with_their_units(self, db: Database, single: bool) -> None:
        """Among many units that commit together only the failing ones fail."""

        def unit(n: int) -> Generator[Step, Result, int]:
            if single and n % 5 == 1:
                raise _OwnError
            yield db.inserting(Name=None if n % 5 == 0 else "x", Count=n)
            if n % 5 == 1:
                raise _OwnError
            return n

        async def scenario() -> list[int | BaseException]:
            runs = (db.session.run(partial(unit, n), single=single) for n in range(100))
            return await asyncio.gather(*runs, return_exceptions=True)

        answers = db.wait(scenario())
        assert all(isinstance(answers[n], NotNullViolation) for n in range(0, 100, 5))
        assert all(isinstance(answers[n], _OwnError) for n in range(1, 100, 5))
        fine = [n for n in range(100) if n % 5 > 1]
        assert [answers[n] for n in fine] == fine
        assert sorted(row[0] for row in db.rows("Count")) == fine

    def test_rows_read_by_id_are_kept_from_others(self, db: Database) -> None:
        """A unit that reads rows by ID and then changes them does not overwrite the change of another unit."""
        id = db.insert(Count=0)
        read = select_by_ids(db.table(THINGS), ("Count",), 1, (), db.dialect)

        def unit() -> Generator[Step, Result, None]:
            ((count,),) = (yield Step(read, (id,))).rows
            yield db.updating(id, Count=count + 1)

        async def scenario() -> None:
            await asyncio.gather(*(db.session.run(unit) for _ in range(40)))

        db.wait(scenario())
        assert db.rows("Count") == [(40,)]

    def test_kept_rows_do_not_change(self, db: Database) -> None:
        """A row that a unit keeps stays as it is until the unit ends, while other units keep it too; a row that does
        not meet the restriction is not found.
        """
        id = db.insert(Kind="inside")
        other = db.case.make_driver()
        table = db.table(THINGS)
        keep = select_kept(table, 1, (("Kind", "kind"),), db.dialect)
        look = select_where(table, ("Kind",), (("ID", "id"),), db.dialect)
        seen: list[object] = []

        def referring() -> Generator[Step, Result, None]:
            if not (yield Step(keep, keep.parameters({"id0": id, "kind": "inside"}))).rows:
                return
            yield db.inserting(Note="refers")
            seen.append((yield Step(look, (id,))).rows[0][0])

        async def scenario() -> None:
            sessions = (db.session, other.session(db.address))
            moving = ("outside", "inside")

            def move(n: int) -> Generator[Step, Result, None]:
                yield db.updating(id, Kind=moving[n % 2])

            runs = [sessions[n % 2].run(referring) for n in range(30)]
            runs += [sessions[n % 2].run(partial(move, n)) for n in range(30)]
            await asyncio.gather(*(runs[n // 2 + 30 * (n % 2)] for n in range(60)))
            await db.session.run(referring)
            await other.close()

        db.wait(scenario())
        assert seen
        assert set(seen) == {"inside"}
        assert len([note for (note,) in db.rows("Note") if note]) == len(seen)

    def test_two_machines_lose_nothing(self, db: Database) -> None:
        """The same with two processes, here two drivers: no unit fails because of writes of the other process."""
        id = db.insert(Count=0)
        other = db.case.make_driver()
        read = select_by_ids(db.table(THINGS), ("Count",), 1, (), db.dialect)

        def unit() -> Generator[Step, Result, None]:
            ((count,),) = (yield Step(read, (id,))).rows
            yield db.updating(id, Count=count + 1)
            yield db.inserting()

        async def scenario() -> None:
            sessions = (db.session, other.session(db.address))
            await asyncio.gather(*(sessions[n % 2].run(unit) for n in range(30)))
            await other.close()

        db.wait(scenario())
        assert db.rows("Count")[0] == (30,)
        assert len(db.rows("ID")) == 31

    def test_deadlocks_are_run_again(self, db: Database) -> None:
        """Units that lock the same rows in opposite orders all succeed: deadlock victims run again from their start."""
        first, second = db.insert(Count=0), db.insert(Count=0)
        begun = 0

        def unit(ids: tuple[int, int]) -> Generator[Step, Result, None]:
            nonlocal begun
            begun += 1
            mark = begun
            for id in ids:
                statement = update_where(db.table(THINGS), ("Grade",), (("ID", "id"),), db.dialect)
                yield Step(statement, statement.parameters({"new_Grade": mark, "id": id}))

        async def scenario() -> None:
            orders = [(first, second), (second, first)] * 4
            await asyncio.gather(*(db.session.run(partial(unit, order)) for order in orders))

        db.wait(scenario())
        assert begun >= 8
        grades = {row[0] for row in db.rows("Grade")}
        assert len(grades) == 1  # the last unit set both rows

    def test_races_of_several_values(self, db: Database) -> None:
        """Of units that insert the same unique values in opposite orders one succeeds; others raise UniqueViolation."""

        def unit(codes: list[str]) -> Generator[Step, Result, None]:
            for code in codes:
                yield db.inserting(Code=code)

        async def scenario() -> list[object]:
            runs = [["a", "b"], ["b", "a"]] * 5
            units = (db.session.run(partial(unit, codes)) for codes in runs)
            return await asyncio.gather(*units, return_exceptions=True)

        answers = db.wait(scenario())
        assert answers.count(None) == 1, answers
        assert sum(isinstance(answer, UniqueViolation) for answer in answers) == 9, answers
        assert sorted(row[0] for row in db.rows("Code")) == ["a", "b"]

    def test_one_of_a_race_wins(self, db: Database) -> None:
        """Of many callers that insert the same unique value exactly one succeeds."""

        async def scenario() -> list[object]:
            step = db.inserting(Code="same")

            def unit() -> Generator[Step, Result, None]:
                yield step

            return await asyncio.gather(*(db.session.run(unit) for _ in range(30)), return_exceptions=True)

        answers = db.wait(scenario())
        assert answers.count(None) == 1
        assert sum(isinstance(answer, UniqueViolation) for answer in answers) == 29
