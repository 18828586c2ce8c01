"""Each flag of ``Features`` agrees with the behaviour of the driver, when set and when not set."""

from __future__ import annotations

from collections.abc import Callable, Generator
from decimal import Decimal
from pathlib import Path

import pytest

from apilane.sql.script import read_script
from apilane.sql.statement import Statement
from apilane.storage.errors import ForeignKeyViolation, NotNullViolation, StorageError, Unavailable, Unsupported
from apilane.storage.protocol import Driver, Result, ScriptStep, Session, Step
from apilane.testing.conformance.case import Database
from apilane.testing.conformance.tables import MAKERS

__all__ = ["FlagsProven"]


class FlagsProven:
    """The tests that the module docstring describes."""

    def test_shapes(self, db: Database, record_property: Callable[[str, object], None]) -> None:
        """Driver and session have every method of the protocol, and the driver has a name and a version."""
        assert isinstance(db.driver, Driver)
        assert isinstance(db.session, Session)
        assert db.driver.name
        assert db.driver.version
        record_property("driver", db.driver.name)
        record_property("version", db.driver.version)
        record_property(
            "features", {name: getattr(db.driver.features, name) for name in db.driver.features.__struct_fields__}
        )

    def test_embedded(self, db: Database) -> None:
        """``embedded``: the address is a path. A missing folder raises Unavailable, which names it."""
        if not db.driver.features.embedded:
            assert not Path(db.address).exists()
            return
        assert Path(db.address).is_file()
        missing = Path(db.address).parent / "missing" / "x.db"
        session = db.driver.session(str(missing))
        with pytest.raises(Unavailable, match="missing"):
            db.wait(session.fetch(db.reading("ID").statement))
        with pytest.raises(Unavailable, match="missing"):
            db.wait(session.run(lambda: _one(db.inserting())))

    def test_exact_decimals(self, db: Database) -> None:
        """``exact_decimals``: 18 digits are stored and read exactly; otherwise they are not."""
        value = Decimal("1234567890.12345678")
        db.insert(Exact=value if db.driver.features.exact_decimals else float(value))
        ((stored,),) = db.rows("Exact")
        assert (Decimal(stored) == value) is db.driver.features.exact_decimals

    def test_transactional_ddl(self, db: Database) -> None:
        """``transactional_ddl``: a failing migration is rolled back; otherwise its statements stay."""
        steps = [Step(Statement(text, kind="ddl")) for text in _new_table(db)]  # a table may need other objects first
        with pytest.raises(NotNullViolation):
            db.alter(*steps, db.inserting(Name=None))
        stayed = True
        try:
            db.rows("ID", entity=_RETURNS)
        except StorageError:
            stayed = False
        assert stayed is not db.driver.features.transactional_ddl

    def test_reads_after_failure(self, db: Database) -> None:
        """``reads_after_failure``: a unit may read after a step failed."""
        if not db.driver.features.reads_after_failure:
            return

        def unit() -> Generator[Step, Result, int]:
            yield db.inserting(MAKERS, Name="m")
            try:
                yield db.inserting(Maker=99)
            except ForeignKeyViolation:
                return len((yield db.reading("ID", entity=MAKERS)).rows)
            return -1

        assert db.unit(unit) == 1

    def test_scripts(self, db: Database) -> None:
        """``scripts``: custom SQL runs; otherwise it raises Unsupported."""
        step = ScriptStep(read_script("SELECT 1 AS one", db.dialect), {})
        if db.driver.features.scripts:
            ((row,),) = (each.rows for each in db.wait(db.session.run_script(step)).sets)
            assert tuple(row) == (1,)
            return
        with pytest.raises(Unsupported):
            db.wait(db.session.run_script(step))

    def test_names_foreign_keys(self, db: Database) -> None:
        """``names_foreign_keys``: the violation names the column; otherwise it names none."""
        with pytest.raises(ForeignKeyViolation) as caught:
            db.insert(Maker=99)
        assert caught.value.columns == (("Maker",) if db.driver.features.names_foreign_keys else ())


_RETURNS = MAKERS.__class__(name="Returns", properties=MAKERS.properties)


def _new_table(db: Database) -> list[str]:
    from apilane.model.migration import Migration

    return db.dialect.migrate(Migration(db.entities, (*db.entities, _RETURNS)))


def _one(step: Step) -> Generator[Step, Result, None]:
    yield step
